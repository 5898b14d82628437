from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

import basetenkit as bk
from basetenkit.errors import MissingKeyError

from ..peer import peer

KEY = "planted-key-4711"


def test_an_endpoint_that_works_says_what_it_speaks() -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        found = bk.preflight(bk.Endpoint(url=server.url, model="m", api_key=KEY))
        assert len(server.truth()["requests"]) == 1
    assert found.ok
    assert found.advice == []
    assert found.checks["wire format"] == "sse"
    assert found.checks["streamed"] == "yes, 8 chunk(s)"
    assert found.checks["usage"] == "reported"
    assert (found.checks["ignore_eos"], found.checks["stream_options"]) == ("accepted", "accepted")
    assert KEY not in repr(found)
    assert "<table" in found._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize(
    ("fail", "words"),
    [("http_503", "not ready"), ("http_429", "limits requests"), ("html", "not in a form"), ("truncate", "broke off")],
)
def test_what_fails_says_what_to_mend(fail: str, words: str) -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1, fail={fail: 1.0}) as server:
        found = bk.preflight(bk.Endpoint(url=server.url, model="m"))
    assert not found.ok
    assert found.message
    assert words in found.advice[0]


def test_a_wrong_key_says_how_it_was_sent() -> None:
    with bk.emulator.serve(api_key="right") as server:
        found = bk.preflight(bk.Endpoint(url=server.url, api_key=KEY))
    assert (found.outcome, found.status) == ("http_error", 401)
    assert "sent as Bearer" in found.advice[0]
    assert KEY not in repr(found)


def test_a_stream_that_comes_whole_is_told() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1, form="text") as server:
        endpoint = bk.Endpoint(url=server.prompt_url, request_format="prompt", stream=False)
        assert bk.preflight(endpoint).checks["streamed"] == "no"


def test_nobody_there_is_no_exception_and_a_missing_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = bk.preflight(bk.Endpoint(url="http://127.0.0.1:9/"))
    assert found.outcome == "connection_error"
    assert "Check host and port" in found.advice[0]
    with pytest.raises(MissingKeyError):
        bk.preflight(bk.Endpoint.baseten("abcd1234"))


@contextlib.contextmanager
def refusing(status: int, message: str) -> Iterator[str]:
    """The URL of a server that refuses every request so."""
    body = json.dumps({"error": {"message": message}}).encode()

    def answer(sock: socket.socket, _request: bytes) -> None:
        head = b"HTTP/1.1 %d Refused\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        sock.sendall(head % (status, len(body)) + body)

    with peer(answer) as p:
        yield p.url


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "request_params={'ignore_eos': None}"),
        (402, "a payment to settle"),
        (403, "not for this model"),
        (404, "nothing at this URL"),
        (413, "too large"),
        (422, "refuses a field"),
        (500, "The server failed"),
    ],
)
def test_each_refusal_has_the_sentence_that_helps(status: int, words: str) -> None:
    with refusing(status, "no such field: ignore_eos") as url:
        found = bk.preflight(bk.Endpoint(url=url, model="m"))
    assert (found.outcome, found.status) == ("http_error", status)
    assert words in found.advice[0]
    assert "no such field" in (found.message or "")
    if status in (400, 422):
        assert found.checks["ignore_eos"] == "refused: the message names it"
        assert found.checks["stream_options"] == "sent; the refusal does not name it"
    else:
        assert "ignore_eos" not in found.checks
