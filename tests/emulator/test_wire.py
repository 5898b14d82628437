from __future__ import annotations

import pytest

from basetenkit.emulator.reply import Piece, Reply
from basetenkit.emulator.wire import BadRequest, chunk, head, take_request

POST = b"POST /v1/x?a=1&b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"


def test_a_request_is_there_when_its_last_byte_is_and_not_before() -> None:
    for n in range(len(POST)):
        assert take_request(POST[:n]) is None
    asked = take_request(POST)
    assert asked is not None
    assert (asked.method, asked.path, asked.query) == ("POST", "/v1/x", {"a": ["1"]})
    assert asked.headers == {"host": "h", "content-length": "4"}
    assert (asked.body, asked.size, asked.last) == (b"body", len(POST), False)


def test_what_follows_a_request_is_left_for_the_next() -> None:
    follows = b"GET /health HTTP/1.1\r\nConnection: Close\r\n\r\n"
    asked = take_request(POST + follows)
    assert asked is not None
    assert asked.size == len(POST)
    second = take_request((POST + follows)[asked.size :])
    assert second is not None
    assert (second.method, second.path, second.body, second.last) == ("GET", "/health", b"", True)


@pytest.mark.parametrize("length", ["-1", "four", "4.0", "٤"])
def test_a_length_that_is_no_number_is_told(length: str) -> None:
    with pytest.raises(BadRequest, match="must be a whole number") as caught:
        take_request(f"POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\nbody".encode())
    assert caught.value.status == 400


def test_a_chunked_request_is_refused() -> None:
    with pytest.raises(BadRequest, match="content-length") as caught:
        take_request(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert caught.value.status == 411


def test_a_target_that_is_no_path_is_refused() -> None:
    with pytest.raises(BadRequest, match="target"):
        take_request(b"GET http://[ HTTP/1.1\r\n\r\n")


def test_a_document_has_its_length_and_a_stream_its_chunks() -> None:
    whole = head(Reply(503, "text/html", [Piece(0, b"ab"), Piece(1, b"c")], headers=(("x-y", "z"),)))
    assert whole == (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/html\r\nx-y: z\r\ncontent-length: 3\r\n\r\nabc"
    )
    stream = head(Reply(200, "text/event-stream", [Piece(0, b"ab")], chunked=True))
    assert stream == b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    assert chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"
