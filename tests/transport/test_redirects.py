from __future__ import annotations

import socket

import pytest

import basetenkit as bk
from basetenkit.core.types import Exchange, Failure, Outcome, Request
from basetenkit.transport.http_request import Head, HttpRequest
from basetenkit.transport.redirects import MOST, forget, redirected

from ..peer import OK, Peer, peer

POST = HttpRequest(Head("POST", "/a/b?c=1", (("authorization", "Bearer k"),)), (), b"{}")


def answered(status: int, location: str | None) -> Exchange:
    headers = [] if location is None else [("location", location)]
    return Exchange(Request("", b"", ""), status=status, headers=headers)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/x", "/x"),
        ("d", "/a/d"),
        ("?e=2", "/a/b?e=2"),
        ("http://h/x", "/x"),
        ("//h:80/y", "/y"),
    ],
)
def test_the_same_origin_is_followed_with_method_key_and_body(location: str, target: str) -> None:
    for status in (307, 308):
        assert redirected(answered(status, location), POST, "http://h:80") == POST.to(target)


@pytest.mark.parametrize(
    "location", ["http://other/x", "https://h/x", "http://h:81/x", "//g/x", None, "", "http://[", "x\n"]
)
def test_another_origin_and_no_place_at_all_are_not(location: str | None) -> None:
    assert redirected(answered(307, location), POST, "http://h:80") is None


def test_other_statuses_failures_and_circles_end_there() -> None:
    for status in (200, 301, 302, 303, 304, 401):
        assert redirected(answered(status, "/x"), POST, "http://h") is None
    broken, circling = answered(307, "/x"), answered(307, "/x")
    broken.failure = Failure(Outcome.INCOMPLETE, "cut")
    circling.redirects = MOST
    assert redirected(broken, POST, "http://h") is None
    assert redirected(circling, POST, "http://h") is None
    forget(answered(307, "/x"))


def run_against(p: Peer) -> dict[str, object]:
    endpoint = bk.Endpoint(url=p.url, api_key="the-key", stream=False, request_format="prompt")
    config = bk.RunConfig(
        steady=False, preflight=False, endpoint=endpoint, scenarios="D(5,5)", concurrency=1, max_requests=1
    )
    return bk.run_sync(config).requests.to_dicts()[0]


def send_on(location: str, status: int = 307) -> bytes:
    return f"HTTP/1.1 {status} Onward\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()


def test_a_run_follows_it_says_so_and_measures_the_answer() -> None:
    def answer(sock: socket.socket, request: bytes) -> None:
        sock.sendall(OK if request.startswith(b"POST /final ") else send_on("/final"))

    with peer(answer) as p:
        row = run_against(p)
        assert [r.split(b" ")[1] for r in p.requests] == [b"/v1/chat/completions", b"/final"]
        assert p.requests[0].partition(b"\r\n\r\n")[2] == p.requests[1].partition(b"\r\n\r\n")[2]
    assert (row["outcome"], row["status"], row["text"]) == ("ok", 200, "x")
    assert any(str(w).startswith("redirected:") for w in row["warnings"])  # type: ignore[attr-defined]


def test_the_key_never_crosses_to_another_port() -> None:
    with peer(lambda s, _: s.sendall(OK)) as other, peer(lambda s, _: s.sendall(send_on(other.url))) as p:
        row = run_against(p)
        assert other.connections == 0
    assert (row["outcome"], row["status"]) == ("http_error", 307)


def test_a_circle_ends() -> None:
    with peer(lambda s, _: s.sendall(send_on("/again"))) as p:
        row = run_against(p)
        assert len(p.requests) == MOST + 1
    assert (row["outcome"], row["status"]) == ("http_error", 307)
