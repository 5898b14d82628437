"""What a recipient may forgive in a head (RFC 9112), and what stays ambiguous and is refused."""

from __future__ import annotations

import pytest

from basetenkit.transport.heads import end_of_head, headers_in, is_http, mended, shown, unfinished

START = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("fields", "is_chunked"),
    [
        (b"", False),
        (b"Content-Length: 5\r\n", False),
        (b"Transfer-Encoding: chunked\r\n", True),
        (b"X-Content-Length: 1\r\nContent-Length: 5\r\n", False),
    ],
)
def test_an_ordinary_head_stays_as_it_is(fields: bytes, is_chunked: bool) -> None:
    head = START + fields + b"\r\n"
    found, chunked = mended(head)
    assert found is head
    assert chunked is is_chunked


@pytest.mark.parametrize(
    ("fields", "right", "is_chunked"),
    [
        (b"X: a\r\n b\r\n\tc\r\n", b"X: a b c\r\n", False),
        (b"X: a  \r\n   \r\nY: c\r\n", b"X: a \r\nY: c\r\n", False),
        (b"X: a\nY: b\n", b"X: a\r\nY: b\r\n", False),
        (b"Content-Length: 5\r\ncontent-length: 5\r\n", b"Content-Length: 5\r\n", False),
        (b"Content-Length: 5, 5,5\r\n", b"Content-Length: 5\r\n", False),
        (b"Content-Length: 5\r\nX: y\r\nTransfer-Encoding: chunked\r\n", b"X: y\r\nTransfer-Encoding: chunked\r\n", True),
        (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: Chunked \r\n", b"Transfer-Encoding: chunked\r\n", True),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nX: y\r\n", b"X: y\r\n", False),
        (b"Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n", b"", False),
        (b"Transfer-Encoding: chunkedchunked\r\n", b"", False),
        (b"Transfer-Encoding: chunked;a=b\r\n", b"Transfer-Encoding: chunked\r\n", True),
    ],
)  # fmt: skip
def test_what_is_forgiven(fields: bytes, right: bytes, is_chunked: bool) -> None:
    end = b"\n" if b"\r" not in fields else b"\r\n"
    assert mended(START.replace(b"\r\n", end) + fields + end) == (START + right + b"\r\n", is_chunked)


@pytest.mark.parametrize("fields", [b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: 5, 6\r\n"])
def test_two_lengths_that_differ_stay(fields: bytes) -> None:
    assert mended(START + fields + b"\r\n") == (START + fields + b"\r\n", False)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (START + b"\r\n", len(START) + 2),
        (START + b"A: b\r\n\r\nbody\r\n\r\n", len(START) + 8),
        (b"HTTP/1.1 200 OK\n\nbody", 17),
        (b"HTTP/1.1 200 OK\n\r\nbody", 18),
        (b"\r\n\r\n" + START + b"\r\n", len(START) + 6),
        (START, -1),
        (START + b"\r", -1),
        (START + b" \r\n", -1),
    ],
)
def test_where_a_head_ends(data: bytes, end: int) -> None:
    assert end_of_head(data) == end
    for start in range(len(data)):
        if end_of_head(data[:start]) < 0:
            assert end_of_head(data, start) == end


def test_what_may_begin_a_response() -> None:
    assert all(is_http(data) for data in (b"", b"H", b"HTTP/", b"HTTP/1.1 200", b"\r\nHTT"))
    assert not any(is_http(data) for data in (b"TP", b"<html>", b"HTTPS", b"{", b"\x00"))


def test_headers_as_they_came() -> None:
    head = START + b"X-A:  b\r\n  c\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"
    assert headers_in(head) == [("x-a", "b c"), ("content-length", "5"), ("content-length", "5")]


def test_half_a_head_stays_without_its_end() -> None:
    assert unfinished(b"HTTP/1.1 200 OK\nA: b\n c") == b"HTTP/1.1 200 OK\r\nA: b c"


def test_the_beginning_is_shown_short() -> None:
    assert shown(b"x" * 100) == repr(b"x" * 40)
