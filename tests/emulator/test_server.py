"""Every route, form and failure of the embedded endpoint through real HTTP; and how its process starts and ends."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import basetenkit as bk
from basetenkit.emulator.options import FORMS
from basetenkit.emulator.words import count

from .asking import CHAT, STREAM, USAGE, client, content, messages, post

PATH = "/v1/chat/completions"
SAID_OF_500 = "Internal Server Error (in model/chainlet)."


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=4, itl_ms=1, tail_ms=1) as server:
        yield server


def raw(server: Any, data: bytes) -> bytes:
    """Sends bytes as they are and returns all that comes until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2])), timeout=20) as sock:
        sock.sendall(data)
        got = b""
        while more := sock.recv(65536):
            got += more
        return got


def request(path: str, payload: Any, *lines: str) -> bytes:
    body = json.dumps(payload).encode()
    head = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


def test_a_chat_stream_has_a_role_frame_its_tokens_a_finish_usage_and_done(server: Any) -> None:
    response = post(server, PATH, USAGE)
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["transfer-encoding"] == "chunked"
    role, *tokens, finish, usage, done = messages(response)
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [t["choices"][0]["finish_reason"] for t in tokens] == [None] * 4
    assert count(content(tokens)) == 4
    assert finish["choices"][0]["finish_reason"] == "length"
    assert usage["choices"] == []
    prompt = count("hello there")
    assert usage["usage"] == {"prompt_tokens": prompt, "completion_tokens": 4, "total_tokens": prompt + 4}
    assert done == "[DONE]"


def test_a_chat_stream_reports_usage_only_where_it_was_asked_for(server: Any) -> None:
    events = messages(post(server, PATH, STREAM))
    assert events[-1] == "[DONE]"
    assert not any("usage" in e for e in events[:-1])


def test_a_chat_document_is_whole(server: Any) -> None:
    body = post(server, PATH, CHAT).json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 4


def test_completions_stream_and_whole(server: Any) -> None:
    asked = {"prompt": "hello", "max_tokens": 3}
    whole = post(server, "/v1/completions", asked).json()
    assert whole["object"] == "text_completion"
    assert count(whole["choices"][0]["text"]) == whole["usage"]["completion_tokens"] == 3
    *tokens, finish, done = messages(post(server, "/v1/completions", asked | {"stream": True}))
    assert count("".join(t["choices"][0]["text"] for t in tokens)) == len(tokens) == 3
    assert finish["choices"][0] == {"index": 0, "text": "", "finish_reason": "length"}
    assert done == "[DONE]"


def test_predict_streams_text_and_answers_in_json(server: Any) -> None:
    asked = {"prompt": "hello", "max_tokens": 5}
    stream = post(server, "/environments/production/predict", asked | {"stream": True})
    assert stream.headers["content-type"] == "application/octet-stream"
    assert count(stream.text) == 5
    whole = post(server, "/predict", asked).json()
    assert list(whole) == ["output"]
    assert count(whole["output"]) == 5
    assert messages(post(server, "/production/predict", STREAM))[-1] == "[DONE]"


@pytest.mark.parametrize("form", ["string", FORMS[0]])
def test_predict_answers_in_the_form_it_is_told(form: str) -> None:
    with bk.emulator.serve(ttft_ms=0, itl_ms=0, form=form) as server:
        body = post(server, "/predict", {"prompt": "x", "max_tokens": 2}).json()
    assert count(body if form == "string" else body[form]) == 2


def test_embeddings_as_numbers_and_as_base64(server: Any) -> None:
    asked = {"input": ["a", "b"], "dimensions": 8}
    numbers = post(server, "/v1/embeddings", asked).json()
    coded = post(server, "/v1/embeddings", asked | {"encoding_format": "base64"}).json()
    assert [d["index"] for d in numbers["data"]] == [0, 1]
    assert numbers["usage"]["prompt_tokens"] == 2
    for number, code in zip(numbers["data"], coded["data"], strict=True):
        assert struct.unpack("<8f", base64.b64decode(code["embedding"])) == pytest.approx(number["embedding"], abs=1e-6)


def test_models_health_and_what_is_not_there(server: Any) -> None:
    with client(server) as c:
        assert c.get("/v1/models").json()["data"][0]["id"] == "emulated"
        assert c.get("/health").json() == {"status": "ok"}
        for lost in (c.get("/v1/nothing"), c.post("/v1/nothing", json=CHAT)):
            assert (lost.status_code, lost.json()) == (404, {"detail": "Not Found"})
        assert c.put(PATH, json=CHAT).status_code == 405
        assert c.post(PATH, content=b"{no json").status_code == 400


def test_options_switch_off_the_role_frame_and_usage_and_gather_tokens() -> None:
    with bk.emulator.serve(ttft_ms=0, itl_ms=0, role_frame=False, usage=False, tokens_per_chunk=3) as server:
        *tokens, finish, done = messages(post(server, PATH, USAGE | {"max_tokens": 7}))
        assert "usage" not in post(server, PATH, CHAT).json()
    assert [count(content([t])) for t in tokens] == [3, 3, 1]
    assert "usage" not in finish
    assert done == "[DONE]"


def test_a_key_is_asked_for_where_one_is_set() -> None:
    with bk.emulator.serve(ttft_ms=0, itl_ms=0, api_key="right") as server:
        wrong = post(server, PATH, CHAT, headers={"authorization": "Bearer wrong"})
        right = post(server, PATH, CHAT, headers={"authorization": "Api-Key right"})
    assert (wrong.status_code, wrong.json()) == (401, {"error": "Invalid API key"})
    assert right.status_code == 200


@pytest.mark.parametrize(("kind", "status"), [("http_500", 500), ("http_429", 429), ("http_503", 503)])
def test_a_failure_by_header_has_its_status_and_basetens_own_headers(server: Any, kind: str, status: int) -> None:
    response = post(server, PATH, STREAM, headers={"x-emulator-fail": kind})
    assert response.status_code == status
    assert response.headers["x-baseten-error-source"] == "04"
    assert response.json()["error"]


def test_html_an_error_event_and_an_empty_response(server: Any) -> None:
    page = post(server, PATH, STREAM, headers={"x-emulator-fail": "html"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html")
    events = messages(post(server, PATH, STREAM, headers={"x-emulator-fail": "error_event"}))
    assert "the model failed" in events[-1]["error"]["message"]
    assert content(events) != ""
    events = messages(post(server, PATH, USAGE, headers={"x-emulator-fail": "empty"}))
    assert content(events) == ""
    assert events[-2]["usage"]["completion_tokens"] == 0
    assert events[-1] == "[DONE]"


def test_a_truncated_stream_ends_cleanly_and_too_early(server: Any) -> None:
    events = messages(post(server, PATH, STREAM, headers={"x-emulator-fail": "truncate"}))
    assert count(content(events)) == 2
    assert "[DONE]" not in events
    assert all(e["choices"][0]["finish_reason"] is None for e in events)


@pytest.mark.parametrize("payload", [CHAT, STREAM], ids=["document", "stream"])
def test_a_reset_and_a_stall_are_seen_as_such(server: Any, payload: dict[str, Any]) -> None:
    server.truth(reset=True)
    with pytest.raises(httpx.ReadError):
        post(server, PATH, payload, headers={"x-emulator-fail": "reset"})
    with client(server) as c, pytest.raises(httpx.ReadTimeout):
        c.post(PATH, json=payload, headers={"x-emulator-fail": "stall"}, timeout=0.3)
    assert [r["outcome"] for r in server.truth()["requests"]] == ["reset", "stall"]


def test_failures_of_whole_documents(server: Any) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        post(server, PATH, CHAT, headers={"x-emulator-fail": "truncate"})
    error = post(server, "/v1/embeddings", {"input": "x"}, headers={"x-emulator-fail": "error_event"})
    assert (error.status_code, list(error.json())) == (200, ["error"])
    empty = post(server, PATH, CHAT, headers={"x-emulator-fail": "empty"}).json()
    assert empty["choices"][0]["message"]["content"] == ""
    assert post(server, "/v1/embeddings", {"input": "x"}, headers={"x-emulator-fail": "empty"}).json()["data"] == []


def test_a_share_of_one_fails_every_request() -> None:
    with bk.emulator.serve(ttft_ms=0, itl_ms=0, fail={"http_500": 1.0}) as server:
        answers = [post(server, PATH, CHAT) for _ in range(5)]
        outcomes = [r["outcome"] for r in server.truth()["requests"]]
    assert [a.status_code for a in answers] == [500] * 5
    assert answers[0].json()["error"] == SAID_OF_500
    assert outcomes == ["http_500"] * 5


def test_a_connection_is_kept_for_the_next_request(server: Any) -> None:
    with client(server) as c, c.stream("POST", PATH, json=STREAM) as first:
        first.read()
        port = first.extensions["network_stream"].get_extra_info("client_addr")[1]
        with c.stream("GET", "/health") as second:
            assert second.extensions["network_stream"].get_extra_info("client_addr")[1] == port


def test_a_request_sent_behind_another_is_answered_after_it(server: Any) -> None:
    both = request(PATH, STREAM) + request("/predict", {"prompt": "x", "max_tokens": 1}, "connection: close")
    got = raw(server, both)
    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert got.index(b"[DONE]") < got.index(b'{"output"')
    assert got.endswith(b'"}')


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_asks_for_the_close_is_told_of_it(server: Any, stream: bool) -> None:
    got = raw(server, request(PATH, STREAM | {"stream": stream}, "connection: keep-alive, Close"))
    assert b"\r\nconnection: close\r\n" in got.partition(b"\r\n\r\n")[0] + b"\r\n"


@pytest.mark.parametrize("header", ["x-y: z", "connection: keep-alive"])
def test_a_client_of_http_1_0_gets_a_stream_without_chunks_that_ends_with_the_connection(
    server: Any, header: str
) -> None:
    asked = request(PATH, STREAM, header).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
    head, _, body = raw(server, asked).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body.startswith(b"data: ")
    assert body.endswith(b"data: [DONE]\n\n")


def test_a_request_in_single_bytes_is_a_request(server: Any) -> None:
    server.truth(reset=True)
    whole = request("/predict", {"prompt": "x", "max_tokens": 1}, "connection: close")
    with socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2])), timeout=20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(whole)):
            sock.sendall(whole[i : i + 1])
        assert b"200 OK" in sock.recv(65536)
    (record,) = server.truth()["requests"]
    assert record["outcome"] == "ok"


def test_a_reply_larger_than_the_sockets_buffer_arrives_whole_though_the_connection_is_closed_after_it(
    server: Any,
) -> None:
    asked = request("/v1/embeddings", {"input": ["a", "b"], "dimensions": 150_000}, "connection: close")
    with socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2])), timeout=20) as sock:
        sock.sendall(asked)
        time.sleep(0.5)  # nothing is read meanwhile, so that the server's buffer is full
        got = b""
        while more := sock.recv(1 << 20):
            got += more
    body = json.loads(got.partition(b"\r\n\r\n")[2])
    assert [len(d["embedding"]) for d in body["data"]] == [150_000] * 2


def test_bytes_that_are_no_request_are_told_and_the_connection_ends(server: Any) -> None:
    got = raw(server, b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"must be a whole number" in got

    def pieces() -> Iterator[bytes]:
        yield b"{}"

    with client(server) as c:
        assert c.post(PATH, content=pieces()).status_code == 411


@pytest.mark.parametrize("payload", [CHAT, STREAM], ids=["document", "stream"])
def test_it_speaks_tls_with_an_authority_of_its_own(payload: dict[str, Any]) -> None:
    with bk.emulator.serve(ttft_ms=0, itl_ms=0, tls=True) as server:
        assert server.url.startswith("https://127.0.0.1:")
        with client(server, verify=ssl.create_default_context(cafile=server.ca_file)) as c:
            for _ in range(2):
                assert c.post(PATH, json=payload | {"max_tokens": 300}).status_code == 200
        with pytest.raises(httpx.ConnectError, match="certificate"), client(server) as c:
            c.get("/health")
        assert [r["tokens"] for r in server.truth()["requests"]] == [300, 300]
    assert server.ca_file is not None
    assert not Path(server.ca_file).exists()
