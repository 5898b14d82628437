from __future__ import annotations

import json
import socket
import time
from typing import Any

import httpx
import httpx2
import pytest

import basetenkit as bk
from basetenkit import TimedTransport
from basetenkit.core.types import EARLIEST, EXACT, READ_WIDTH, STAMP
from basetenkit.transport.clock import Poller

from ..peer import END, HEAD, chunk, peer
from .loop import on_loop


def stream_three(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(HEAD)
    for i in range(3):
        time.sleep(0.02)
        sock.sendall(chunk(b"data: %d\n\n" % i))
    sock.sendall(END)


LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda x: x.__name__)


@LIBRARIES
def test_a_client_gets_each_responses_exact_arrivals(library: Any) -> None:
    async def work(_poller: Poller) -> tuple[list[bytes], Any]:
        async with (
            library.AsyncClient(transport=TimedTransport()) as client,
            client.stream("POST", p.url, json={"a": 1}) as response,
        ):
            return [piece async for piece in response.aiter_raw()], response

    with peer(stream_three) as p:
        pieces, response = on_loop(work)
        assert b'{"a":1}' in p.requests[0]
    assert b"".join(pieces) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert isinstance(response, library.Response)
    arrivals = response.extensions["arrivals"]
    assert arrivals[-1][2] == 27
    assert [at for at, _, _ in arrivals] == sorted(at for at, _, _ in arrivals)
    assert arrivals[0][0] >= 0.02


@LIBRARIES
def test_a_client_sees_its_own_librarys_errors(library: Any) -> None:
    async def work(_poller: Poller) -> None:
        async with library.AsyncClient(transport=TimedTransport(), timeout=library.Timeout(60, read=0.2)) as client:
            with pytest.raises(library.ConnectError):
                await client.get("http://127.0.0.1:1/")
            with pytest.raises(library.ReadTimeout):
                await client.get(p.url)

    with peer(lambda s, _: bool(s.recv(1))) as p:
        on_loop(work)
        assert len(p.requests) == 1


@LIBRARIES
def test_a_response_closed_early_leaves_nothing_behind(library: Any) -> None:
    async def work(_poller: Poller) -> int:
        async with library.AsyncClient(transport=TimedTransport()) as client, client.stream("GET", p.url) as response:
            async for piece in response.aiter_raw():
                return len(piece)
        return 0

    with peer(stream_three) as p:
        assert on_loop(work) > 0


MESSAGES: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [],
     "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Good "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "day"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]  # fmt: skip


def anthropic_stream(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(HEAD)
    for message in MESSAGES:
        if message["type"] == "content_block_delta":
            time.sleep(0.03)
        sock.sendall(chunk(f"event: {message['type']}\ndata: {json.dumps(message)}\n\n".encode()))
    sock.sendall(END)


def test_the_anthropic_sdk_runs_on_it_and_its_response_has_exact_arrivals() -> None:
    import anthropic  # here, because every test process would import it otherwise

    async def work(_poller: Poller) -> tuple[str, Any]:
        http_client = httpx2.AsyncClient(transport=TimedTransport())
        async with anthropic.AsyncAnthropic(
            base_url=f"http://127.0.0.1:{p.port}", api_key="any", http_client=http_client, max_retries=0
        ) as client:
            stream = await client.messages.create(
                model="x", messages=[{"role": "user", "content": "hello"}], max_tokens=5, stream=True
            )
            said = [e.delta.text async for e in stream if e.type == "content_block_delta"]  # type: ignore[union-attr]
            return "".join(said), stream.response

    with peer(anthropic_stream) as p:
        text, response = on_loop(work)
    assert text == "Good day"
    arrivals = response.extensions["arrivals"]
    assert len(response.extensions["exchange"].body) == arrivals[-1][2]
    assert arrivals[-1][0] - arrivals[0][0] >= 0.055


@LIBRARIES
def test_the_openai_sdk_runs_on_it_and_its_response_has_exact_arrivals(library: Any) -> None:
    import openai

    async def work(_poller: Poller) -> tuple[str, Any]:
        http_client = library.AsyncClient(transport=TimedTransport())
        async with openai.AsyncOpenAI(base_url=url, api_key="any", http_client=http_client, max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="emulated", messages=[{"role": "user", "content": "hello"}], max_tokens=5, stream=True
            )
            said = [c.choices[0].delta.content or "" async for c in stream if c.choices]
            return "".join(said), stream.response

    with bk.emulator.serve(ttft_ms=30, itl_ms=25) as server:
        url = server.url.removesuffix("/chat/completions")
        text, response = on_loop(work)
        (truth,) = server.truth(writes=True)["requests"]
    assert text
    arrivals = response.extensions["arrivals"]
    assert arrivals
    assert len(response.extensions["exchange"].body) == arrivals[-1][2]
    reads, slack_ns = response.extensions["exchange"].reads, 100_000
    came = list(zip(reads[EARLIEST::READ_WIDTH], reads[STAMP::READ_WIDTH], strict=True))
    assert len(truth["writes"]) == 5
    for before, after in truth[
        "writes"
    ]:  # one that shares a read came in its interval, and only the read's end at its stamp
        assert any(low - slack_ns <= after and high + slack_ns >= before for low, high in came)
    exact = [at for at, proven in zip(reads[STAMP::READ_WIDTH], reads[EXACT::READ_WIDTH], strict=True) if proven]
    assert any(before - slack_ns <= at <= after + slack_ns for before, after in truth["writes"] for at in exact)
