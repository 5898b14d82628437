from __future__ import annotations

import pytest

from basetenkit.engine.http1 import HEAD_LIMIT, ResponseReader
from basetenkit.types import END, EXACT, READ_WIDTH, Exchange, Outcome, Request

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
        (b"\x16\x03\x01\x02\x00garbage\r\n\r\n", "no HTTP/1.1 response"),
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
