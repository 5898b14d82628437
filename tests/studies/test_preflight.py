from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import basetenkit as bk
from basetenkit.core.errors import ConfigError, MissingKeyError

from ..peer import OK, Peer, peer

KEY = "planted-key-4711"


def test_an_endpoint_that_works_says_what_it_speaks() -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=25) as server:  # so slow that on a busy machine, too, no two come as one
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
    [
        ("http_503", "not ready"),
        ("http_429", "limiting requests"),
        ("html", "could not be parsed"),
        ("truncate", "broke off"),
    ],
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
    assert "Check the host and the port" in found.advice[0]
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
        (402, "an unpaid bill"),
        (403, "not for this model"),
        (404, "nothing at this URL"),
        (413, "too large"),
        (422, "request_params={'ignore_eos': None}"),
        (500, "The server failed"),
    ],
)
def test_each_refusal_has_the_sentence_that_helps(status: int, words: str) -> None:
    with refusing(status, "no such field: ignore_eos") as url:
        found = bk.preflight(bk.Endpoint(url=url, model="m"))
    assert (found.outcome, found.status) == ("http_error", status)
    assert words in " ".join(found.advice)
    assert "no such field" in (found.message or "")
    if status in (400, 422):
        assert found.checks["ignore_eos"] == "refused: the message names it"
        assert found.checks["stream_options"] == "sent; the refusal does not name it"
    else:
        assert "ignore_eos" not in found.checks


def answering(head: str, body: bytes) -> contextlib.AbstractContextManager[Peer]:
    """A server that gives every request this answer, all of it at once, as late as a gateway does that holds it back. It waits
    much longer than a client on a busy machine is late: the client then knows that this was not its own doing."""

    def answer(sock: socket.socket, _request: bytes) -> None:
        time.sleep(0.3)
        sock.sendall(f"HTTP/1.1 {head}\r\n\r\n".encode() + body)

    return peer(answer)


STREAM = b"".join(
    b'data: {"choices":[{"index":0,"delta":{"content":"w%d "},"finish_reason":%s}]}\n\n'
    % (i, b'"stop"' if i == 7 else b"null")
    for i in range(8)
)
STREAM += b'data: {"choices":[],"usage":{"prompt_tokens":16,"completion_tokens":8}}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    ("head", "body", "words"),
    [
        (f"content-length: {len(STREAM)}", STREAM, "The stream had a Content-Length"),
        (
            "transfer-encoding: chunked",
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(STREAM), STREAM),
            "8 events of the stream arrived at 1 time(s)",
        ),
    ],
)
def test_a_gateway_that_holds_the_stream_back_is_told(head: str, body: bytes, words: str) -> None:
    with answering(f"200 OK\r\ncontent-type: text/event-stream\r\n{head}", body) as p:
        for _ in range(10):  # a client that another process kept from reading does not know, and says nothing
            found = bk.preflight(bk.Endpoint(url=p.url, model="m"))
            assert found.ok
            if found.advice:
                break
    (advice,) = found.advice
    assert words in advice
    assert "proxy_buffering off" in advice


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_names_where_it_leads_and_that_it_is_not_followed(status: int) -> None:
    with answering(f"{status} Moved\r\nlocation: https://elsewhere.example/v1\r\ncontent-length: 0", b"") as p:
        found = bk.preflight(bk.Endpoint(url=p.url, model="m"))
        assert len(p.requests) == 1
    assert "redirects to https://elsewhere.example/v1, which is not followed" in (found.message or "")
    assert "as Endpoint.url" in found.advice[0]


def test_a_certificate_of_an_own_authority_is_cured_by_verify(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with peer(lambda sock, _: sock.sendall(OK), context) as p:
        url = p.url.replace("http:", "https:")
        assert "verify=" in bk.preflight(url).advice[0]
        assert bk.preflight(bk.Endpoint(url=url, verify=str(tmp_path / "ca.pem"), stream=False)).ok


def test_embeddings_are_told_by_the_url_or_by_the_task() -> None:
    with bk.emulator.serve() as server:
        for found in (
            bk.preflight(server.embeddings_url),
            bk.preflight(bk.Endpoint(url=server.embeddings_url), task="text-to-embeddings"),
        ):
            assert found.ok
            assert found.checks["wire format"] == "embedding"
            assert found.checks["vectors"].startswith("1, of ")
            assert found.advice == []


def test_images_request_params_and_a_config_are_taken() -> None:
    with bk.emulator.serve() as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        assert bk.preflight(endpoint, task="image-text-to-text", request_params={"temperature": 0.5}).ok
        config = bk.RunConfig(endpoint=endpoint, request_params={"top_p": 0.9}, concurrency=[4], max_requests=100)
        assert bk.preflight(config).ok
        sent = [json.loads(b["body"] if isinstance(b, dict) else b) for b in server.truth()["bodies"]]
    assert [s.get("temperature") for s in sent] == [0.5, None]
    assert [s.get("top_p") for s in sent] == [None, 0.9]
    assert sent[0]["messages"][0]["content"][1]["type"] == "image_url"


@pytest.mark.parametrize("path", ["/v1/completions", "/predict"])
def test_a_bare_prompt_on_openais_own_path_has_the_models_name(path: str) -> None:
    with peer(lambda sock, _: sock.sendall(OK)) as p:
        url = p.url.replace("/v1/chat/completions", path)
        bk.preflight(bk.Endpoint(url=url, model="m", request_format="prompt", stream=False))
        sent = json.loads(p.requests[0].partition(b"\r\n\r\n")[2])
    assert sent.get("model") == ("m" if path == "/v1/completions" else None)


def test_a_wrong_argument_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="preflight: a int is not an endpoint"):
        bk.preflight(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="task"):
        bk.preflight("http://127.0.0.1:9/", task="nonsense")
