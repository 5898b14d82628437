from __future__ import annotations

import random
from itertools import pairwise

import pytest

from basetenkit.core.types import END, EXACT, READ_WIDTH, Exchange, Outcome, Request
from basetenkit.transport.http1 import HEAD_LIMIT, ResponseReader

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"


def read(
    *pieces: bytes, eof: bool = False, exact: bool = True, crlf_apart: bool = False
) -> tuple[Exchange, ResponseReader]:
    exchange = Exchange(Request("r", b"", "s"))
    reader = ResponseReader(exchange, crlf_apart)
    for i, piece in enumerate(pieces):
        if not reader.done:
            reader.feed(memoryview(piece), 1000 * (i + 1), 1000 * i, exact)
    if eof:
        reader.eof()
    return exchange, reader


def exact_flags(exchange: Exchange) -> list[bool]:
    return [bool(x) for x in exchange.reads[EXACT::READ_WIDTH]]


WHOLE = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", 200, True),
    "chunked": (CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello", 200, True),
    "chunked with trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n", b"hello", 200, True),
    "interim answer first": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        b"hello",
        200,
        True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", 204, True),
    "says close": (b"HTTP/1.1 500 X\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", b"x", 500, False),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_a_whole_response_reads_the_same_however_it_is_split(name: str, size: int) -> None:
    raw, body, status, keep_alive = WHOLE[name]
    exchange, reader = read(*(raw[i : i + size] for i in range(0, len(raw), size)))
    assert (bytes(exchange.body), exchange.status, reader.failure) == (body, status, None)
    assert reader.done
    assert reader.keep_alive is keep_alive
    assert exchange.read_ends[-1] == len(body)


HEAD = b"HTTP/1.1 200 OK\r\n"
# Our own inputs of the rules that llhttp's and h11's suites hold clients to: (bytes, closed at the end, body, status).
VECTORS = {
    "a folded header": (HEAD + b"X-A: one\r\n two\r\nContent-Length: 2\r\n\r\nhi", False, b"hi", 200),
    "the same length twice": (HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", False, b"hi", 200),
    "the same length as a list": (HEAD + b"Content-Length: 2, 2\r\n\r\nhi", False, b"hi", 200),
    "a coding and a length": (
        HEAD + b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", False, b"hi", 200,
    ),
    "blanks behind a size": (CHUNKED + b"2  \r\nhi\r\n0\r\n\r\n", False, b"hi", 200),
    "blanks behind a later size": (CHUNKED + b"2\r\nhi\r\n1   \r\n!\r\n0\r\n\r\n", False, b"hi!", 200),
    "an empty extension": (CHUNKED + b"2;\r\nhi\r\n0;\r\n\r\n", False, b"hi", 200),
    "a later empty extension": (CHUNKED + b"2\r\nhi\r\n1;\r\n!\r\n0\r\n\r\n", False, b"hi!", 200),
    "extensions": (CHUNKED + b'2;a="b c";d\r\nhi\r\n0\r\n\r\n', False, b"hi", 200),
    "a blank before an extension": (CHUNKED + b"2 ; a=b\r\nhi\r\n0\r\n\r\n", False, b"hi", 200),
    "lines of a head that end in LF": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", False, b"hi", 200),
    "mixed line ends": (b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\nhi", False, b"hi", 200),
    "chunked, then identity": (
        HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\nhi\r\n", True, b"2\r\nhi\r\n", 200,
    ),
    "a coding that ends with the word": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\nhi", True, b"hi", 200),
    "the word twice without a comma": (HEAD + b"Transfer-Encoding: chunkedchunked\r\n\r\nhi", True, b"hi", 200),
    "an unknown coding wins over a length": (
        HEAD + b"Transfer-Encoding: x\r\nContent-Length: 1\r\n\r\nhi", True, b"hi", 200,
    ),
    "capitals": (HEAD + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\nhi\r\n0\r\n\r\n", False, b"hi", 200),
    "trailers": (CHUNKED + b"2\r\nhi\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n", False, b"hi", 200),
    "several interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n b\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\nhi",
        False, b"hi", 200,
    ),
    "204 has no body": (b"HTTP/1.1 204 No Content\r\nContent-Type: a/b\r\n\r\n", False, b"", 204),
    "304 has no body": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n", False, b"", 304),
    "no reason phrase": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", False, b"hi", 200),
    "an empty reason phrase": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", False, b"hi", 200),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhi", True, b"hi", 200),
    "HTTP/1.0 with a length": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", False, b"hi", 200),
    "a blank line before": (b"\r\n" + HEAD + b"Content-Length: 2\r\n\r\nhi", False, b"hi", 200),
    "an empty header": (HEAD + b"X:\r\nContent-Length:2\r\n\r\nhi", False, b"hi", 200),
}  # fmt: skip
REFUSED = {
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", "not HTTP/1.1"),
    "two lengths as a list": (HEAD + b"Content-Length: 2, 3\r\n\r\nhi!", "not HTTP/1.1"),
    "a length that is none": (HEAD + b"Content-Length: two\r\n\r\nhi", "not HTTP/1.1"),
    "a header without a colon": (HEAD + b"Content\r\n\r\n", "not HTTP/1.1"),
    "a size that is none": (CHUNKED + b"2\r\nhi\r\nx\r\n", "chunks break off after 2 bytes"),
    "a chunk longer than its size": (CHUNKED + b"2 \r\nhi!\r\n0\r\n\r\n", "chunks break off after 2 bytes"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", "it begins b'S"),
}


def splits(raw: bytes) -> list[list[bytes]]:
    """The bytes whole, byte by byte, and cut at random."""
    rng, out = random.Random(11), [[raw], [raw[i : i + 1] for i in range(len(raw))]]
    for _ in range(30):
        cuts = sorted(rng.randrange(1, len(raw)) for _ in range(rng.randint(1, 5)))
        out.append([raw[a:b] for a, b in pairwise([0, *cuts, len(raw)]) if a < b])
    return out


@pytest.mark.parametrize("name", VECTORS)
def test_what_other_clients_read_is_read_however_it_is_split(name: str) -> None:
    raw, closed, body, status = VECTORS[name]
    for pieces in splits(raw):
        exchange, reader = read(*pieces, eof=closed)
        assert (bytes(exchange.body), exchange.status, reader.failure) == (body, status, None), pieces
        assert reader.done
        assert list(exchange.read_ends) == sorted(exchange.read_ends)
        assert exchange.read_ends[-1] == len(body)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_however_it_is_split(name: str) -> None:
    raw, words = REFUSED[name]
    for pieces in splits(raw):
        _, reader = read(*pieces)
        assert reader.failure is not None, pieces
        assert reader.failure.outcome is Outcome.MALFORMED
        assert words in reader.failure.message
        assert not reader.keep_alive


@pytest.mark.parametrize(
    "name", ["blanks behind a size", "an empty extension", "the same length twice", "a folded header"]
)
def test_a_stamp_stays_exact_where_the_body_bytes_end_the_read(name: str) -> None:
    raw = VECTORS[name][0]
    at = raw.index(b"hi") + 2
    exchange, reader = read(raw[:at], raw[at:])
    assert exact_flags(exchange)[0]
    assert bytes(exchange.body) == b"hi"
    assert reader.keep_alive


def test_a_forgiven_head_keeps_its_headers_as_they_came() -> None:
    exchange, _ = read(HEAD + b"X-A: one\r\n\ttwo\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi")
    assert exchange.headers == [("x-a", "one two"), ("content-length", "2"), ("content-length", "2")]


@pytest.mark.parametrize("cut", [1, 5, 9, HEAD_LIMIT // 2])
def test_the_limit_of_a_head_does_not_depend_on_the_reads(cut: int) -> None:
    def head(n: int) -> bytes:
        return HEAD + b"Content-Length: 2\r\nX: " + b"y" * (n - len(HEAD) - 26) + b"\r\n\r\n"

    assert len(head(HEAD_LIMIT)) == HEAD_LIMIT
    for pieces in ([head(HEAD_LIMIT)], [head(HEAD_LIMIT)[:-cut], head(HEAD_LIMIT)[-cut:]]):
        assert read(*pieces, b"hi")[1].failure is None
    for pieces in ([head(HEAD_LIMIT + 1)], [head(HEAD_LIMIT + 1)[:-cut], head(HEAD_LIMIT + 1)[-cut:]]):
        failure = read(*pieces, b"hi")[1].failure
        assert failure is not None
        assert "longer than 256 KiB" in failure.message


def test_the_beginning_that_is_shown_is_the_first_bytes_that_came() -> None:
    _, reader = read(b"HT", b"TP", b"<html> what is this", eof=True)
    assert reader.failure is not None
    assert "it begins b'HTTP<html>" in reader.failure.message


def test_half_a_head_is_a_connection_that_closed_and_garbage_is_not() -> None:
    half = read(HEAD + b"Content-Le", eof=True)[1].failure
    assert half is not None
    assert half.outcome is Outcome.CONNECTION_ERROR
    garbage = read(b"HTTP/1.1 OK then\r\nwhat", eof=True)[1].failure
    assert garbage is not None
    assert garbage.outcome is Outcome.MALFORMED


def test_headers_are_lower_case_and_trailers_are_not_among_them() -> None:
    exchange, _ = read(CHUNKED + b"0\r\nX-Late: 1\r\n\r\n")
    assert exchange.headers == [("transfer-encoding", "chunked"), ("x-a", "1")]


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    exchange, reader = read(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo", eof=True)
    assert bytes(exchange.body) == b"hello"
    assert reader.failure is None
    assert not reader.keep_alive


@pytest.mark.parametrize(
    ("pieces", "outcome", "words"),
    [
        ([], Outcome.CONNECTION_ERROR, "without an answer"),
        ([b"HTTP/1.1 200 OK\r\nX:"], Outcome.CONNECTION_ERROR, "within the response's head"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"], Outcome.INCOMPLETE, "after 2 bytes"),
        ([CHUNKED + b"5\r\nhe"], Outcome.INCOMPLETE, "after 2 bytes"),
    ],
)
def test_an_early_end_says_how_far_it_came(pieces: list[bytes], outcome: Outcome, words: str) -> None:
    _, reader = read(*pieces, eof=True)
    assert reader.failure is not None
    assert reader.failure.outcome is outcome
    assert words in reader.failure.message


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x16\x03\x01\x02\x00garbage\r\n\r\n", "not HTTP/1.1"),
        (CHUNKED + b"zz\r\nhello\r\n", "chunks break off"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "switched protocols"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * (HEAD_LIMIT + 10), "head is longer"),
    ],
)
def test_what_is_no_http_is_malformed(raw: bytes, words: str) -> None:
    _, reader = read(raw)
    assert reader.failure is not None
    assert reader.failure.outcome is Outcome.MALFORMED
    assert words in reader.failure.message


def test_bytes_behind_a_whole_response_leave_it_whole_and_end_the_connection() -> None:
    exchange, reader = read(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    )
    assert bytes(exchange.body) == b"ok"
    assert reader.failure is None
    assert not reader.keep_alive


def test_a_stamp_is_exact_only_where_the_body_bytes_end_the_read() -> None:
    exchange, _ = read(CHUNKED, b"3\r\nabc\r\n", b"1\r\nd\r\n1\r\ne\r\n", b"1\r\nf\r\n0\r\n\r\n")
    assert exact_flags(exchange) == [False, True, True, False]
    assert exchange.reads[END::READ_WIDTH].tolist() == [0, 3, 5, 6]


def test_a_read_that_is_cut_or_filled_its_buffer_is_not_exact() -> None:
    exchange, _ = read(CHUNKED, b"3\r\nabc\r\n", exact=False)
    assert exact_flags(exchange) == [False, False]


def test_a_server_that_sends_a_chunks_crlf_apart_is_not_trusted_where_it_came_merged() -> None:
    exchange, reader = read(CHUNKED, b"3\r\nabc\r\n", b"1\r\nd", b"\r\n", b"1\r\ne\r\n", b"0\r\n\r\n")
    assert reader.crlf_apart
    assert exact_flags(exchange) == [False, False, True, False, False, False]


def test_a_connection_that_has_sent_crlf_apart_is_remembered() -> None:
    exchange, _ = read(CHUNKED, b"3\r\nabc\r\n", b"0\r\n\r\n", crlf_apart=True)
    assert exact_flags(exchange) == [False, False, False]


def test_a_broken_connection_keeps_what_had_come() -> None:
    exchange, reader = read(CHUNKED + b"3\r\nabc\r\n")
    reader.lost(ConnectionResetError(104, "Connection reset by peer"))
    assert reader.failure is not None
    assert reader.failure.outcome is Outcome.INCOMPLETE
    assert "Connection reset by peer" in reader.failure.message
    assert bytes(exchange.body) == b"abc"
