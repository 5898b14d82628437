"""A request stays method, target, headers and body until it is written."""

from __future__ import annotations

import pickle

from basetenkit.transport.http_request import Head, HttpRequest

HEAD = Head("POST", "/a?b=c", (("host", "h"), ("authorization", "Bearer the-key"), ("x-name", "M\u00fcller \u4e2d")))
REQUEST = HttpRequest(HEAD, (("x-id", "r-1"),), b'{"a": 1}')


def test_its_bytes_are_the_head_its_own_headers_the_length_and_the_body() -> None:
    assert REQUEST.encode() == (
        b"POST /a?b=c HTTP/1.1\r\nhost: h\r\nauthorization: Bearer the-key\r\nx-name: M\xfcller ?\r\n"
        b'x-id: r-1\r\ncontent-length: 8\r\n\r\n{"a": 1}'
    )
    assert REQUEST.headers == (*HEAD.headers, ("x-id", "r-1"), ("content-length", "8"))


def test_another_target_changes_the_first_line_alone() -> None:
    assert REQUEST.to("/z").encode() == REQUEST.encode().replace(b"/a?b=c", b"/z")
    assert REQUEST.to("/z").headers == REQUEST.headers


def test_it_goes_to_a_worker_and_shows_no_key() -> None:
    again = pickle.loads(pickle.dumps(REQUEST))
    assert again.encode() == REQUEST.encode()
    assert "the-key" not in f"{REQUEST!r} {HEAD!r}"
