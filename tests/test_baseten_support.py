"""What users of Baseten were promised, line by line: tests that read what a real server received, or that make one send the
very bytes. The table of docs/reference/baseten-support.md is made from the markers of these tests."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import basetenkit as bk
from docs.generate.baseten_support import LINES, holders

from .peer import peer

HEAD = "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {n}\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[bk.emulator.Emulator]:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as running:
        yield running


def received(
    server: bk.emulator.Emulator, url: str | None = None, **fields: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the JSON body that the server received, the row) of one request."""
    params = fields.pop("request_params", {})
    endpoint = bk.Endpoint(url=url or server.url, **({"model": "m"} | fields))
    config = bk.RunConfig(
        steady=False,
        preflight=False,
        endpoint=endpoint,
        scenarios="D(12,6)",
        concurrency=1,
        max_requests=1,
        request_params=params,
    )
    server.truth(reset=True)
    (row,) = bk.run_sync(config).requests.to_dicts()
    (seen,) = server.truth()["bodies"]
    return json.loads(seen["body"]), row


def answered(body: str, status: str = "200 OK", kind: str = "application/json", **fields: Any) -> dict[str, Any]:
    """The row of one request to a server that answers just so."""

    def answer(sock: socket.socket, _request: bytes) -> None:
        data = body.encode()
        sock.sendall(HEAD.format(status=status, kind=kind, n=len(data)).encode() + data)

    with peer(answer) as p:
        endpoint = bk.Endpoint(url=p.url, **({"stream": False} | fields))
        config = bk.RunConfig(
            steady=False, preflight=False, endpoint=endpoint, scenarios="D(12,6)", concurrency=1, max_requests=1
        )
        (row,) = bk.run_sync(config).requests.to_dicts()
    return row


@pytest.mark.baseten("chat", "streaming")
def test_the_server_receives_the_documented_chat_payload(server: bk.emulator.Emulator) -> None:
    body, row = received(server)
    (message,) = body.pop("messages")
    assert message["role"] == "user"
    assert len(message["content"]) > 10
    rest = {
        "model": "m",
        "max_tokens": 6,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert body == rest
    assert (row["outcome"], row["output_tokens"], row["token_source"]) == ("ok", 6, "server")
    assert row["ttft_s"] > 0


@pytest.mark.baseten("prompt")
@pytest.mark.parametrize("how", [{"request_params": {"use_prompt_format": True}}, {"request_format": "prompt"}])
def test_the_server_receives_the_documented_prompt_payload(server: bk.emulator.Emulator, how: dict[str, Any]) -> None:
    body, row = received(server, server.prompt_url, **how)
    assert len(body.pop("prompt")) > 10
    assert body == {"max_tokens": 6, "stream": True}
    assert row["outcome"] == "ok"


@pytest.mark.baseten("streaming", "filter")
@pytest.mark.parametrize("stream", [True, False])
def test_only_the_switch_decides_on_streaming(server: bk.emulator.Emulator, stream: bool) -> None:
    body, row = received(server, stream=stream, request_params={"stream": not stream, "use_prompt_format": False})
    assert body["stream"] is stream
    assert "use_prompt_format" not in body
    assert (row["wire_format"], row["ttft_s"] is None) == (("sse", False) if stream else ("json", True))


@pytest.mark.baseten("filter", "temperature")
def test_other_parameters_go_through_as_they_are(server: bk.emulator.Emulator) -> None:
    given = {"temperature": 0.7, "top_p": 0.9, "stop": ["\n"], "nested": {"a": [1, None]}}
    body, _ = received(server, request_params=given)
    assert {key: body[key] for key in given} == given
    assert "temperature" not in received(server)[0]


@pytest.mark.baseten("openai response")
def test_the_documented_openai_response() -> None:
    row = answered(
        '{"choices": [{"message": {"content": "This is the generated response"}}],'
        ' "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}'
    )
    assert (row["outcome"], row["text"]) == ("ok", "This is the generated response")
    assert (row["input_tokens"], row["output_tokens"], row["token_source"]) == (10, 5, "server")


@pytest.mark.baseten("alternative fields", "warnings")
@pytest.mark.parametrize("field", ["text", "output", "response", "generated_text"])
def test_each_alternative_field_is_read_and_its_tokens_counted(field: str) -> None:
    row = answered(json.dumps({field: f"Response from {field} field"}), request_format="prompt")
    assert (row["outcome"], row["text"], row["token_source"]) == ("ok", f"Response from {field} field", "tokenizer")
    assert row["output_tokens"] == row["output_tokens_client"] > 0
    assert any(w.startswith("tokens_no_usage") for w in row["warnings"])


@pytest.mark.baseten("plain text", "warnings")
@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
def test_a_plain_text_response(kind: str) -> None:
    row = answered("This is a plain text response", kind=kind, request_format="prompt")
    assert (row["outcome"], row["text"], row["wire_format"]) == ("ok", "This is a plain text response", "text")


@pytest.mark.baseten("network")
def test_a_port_that_refuses_is_a_row_and_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint = bk.Endpoint(url=f"http://127.0.0.1:{port}/predict")
    run = bk.run_sync(
        bk.RunConfig(
            steady=False, preflight=False, endpoint=endpoint, scenarios="D(5,5)", concurrency=1, max_requests=2
        )
    )
    assert run.requests["outcome"].to_list() == ["connection_error"] * 2
    assert f"no connection to 127.0.0.1:{port}" in run.requests["error_message"][0]
    assert "all_failed" in [f.code for f in run.findings]


@pytest.mark.baseten("http error")
@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        ("500 Internal Server Error", '{"error": "the model broke"}', "the model broke"),
        ("429 Too Many Requests", '{"error": {"message": "slow down"}}', "slow down"),
        ("404 Not Found", "<html><title>gone</title></html>", "gone"),
    ],
)
def test_an_http_error_keeps_the_servers_words(status: str, body: str, says: str) -> None:
    row = answered(body, status=status)
    assert (row["outcome"], row["status"]) == ("http_error", int(status[:3]))
    assert says in row["error_message"]
    assert row["output_tokens"] is None


@pytest.mark.baseten("malformed")
@pytest.mark.parametrize("body", ['{"choices": [{"message"', "{'text': 'single quotes'}", '{"unknown": {"shape": 1}}'])
def test_malformed_json_is_no_success(body: str) -> None:
    row = answered(body)
    assert row["outcome"] in ("malformed", "incomplete")
    assert row["error_message"]


@pytest.mark.baseten("authentication", "http error")
def test_a_key_that_is_refused_is_told_in_the_servers_words() -> None:
    row = answered('{"error": "Unauthorized: bad key"}', status="401 Unauthorized", api_key="wrong")
    assert (row["outcome"], row["status"]) == ("http_error", 401)
    assert "Unauthorized: bad key" in row["error_message"]


@pytest.mark.baseten("authentication", "keys")
def test_a_missing_key_names_both_variables_before_anything_is_sent() -> None:
    endpoint = bk.Endpoint.baseten("abcd1234")
    with pytest.raises(bk.errors.MissingKeyError, match="MODEL_API_KEY or BASETEN_API_KEY"):
        bk.run_sync(
            bk.RunConfig(
                steady=False, preflight=False, endpoint=endpoint, scenarios="D(5,5)", concurrency=1, max_requests=1
            )
        )


@pytest.mark.baseten("keys")
def test_the_order_of_the_keys_as_a_server_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def answer(sock: socket.socket, request: bytes) -> None:
        seen.extend(x[15:].decode() for x in request.split(b"\r\n") if x.lower().startswith(b"authorization: "))
        sock.sendall(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{"text": "x"}')

    with peer(answer) as p:
        steps: list[Callable[[], None]] = [
            lambda: monkeypatch.setenv("BASETEN_API_KEY", "third"),
            lambda: monkeypatch.setenv("MODEL_API_KEY", "second"),
            lambda: None,
        ]
        for step, key in zip(steps, [None, None, "first"], strict=True):
            step()
            endpoint = bk.Endpoint(url=p.url, stream=False, api_key=key)
            bk.run_sync(
                bk.RunConfig(
                    steady=False, preflight=False, endpoint=endpoint, scenarios="D(5,5)", concurrency=1, max_requests=1
                )
            )
    assert seen == ["Bearer third", "Bearer second", "Bearer first"]


def test_each_line_has_a_test() -> None:
    assert set(holders()) == set(LINES)
