"""How these tests speak to the embedded endpoint: through httpx, past any proxy, and reading a stream for themselves."""

from __future__ import annotations

import json
from typing import Any

import httpx

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hello there"}], "max_tokens": 4}
STREAM: dict[str, Any] = CHAT | {"stream": True}
USAGE: dict[str, Any] = STREAM | {"stream_options": {"include_usage": True}}


def client(server: Any, **kw: Any) -> httpx.Client:
    return httpx.Client(base_url=server.base_url, trust_env=False, timeout=30, **kw)


def post(server: Any, path: str, payload: Any, **kw: Any) -> httpx.Response:
    with client(server) as c:
        return c.post(path, json=payload, **kw)


def messages(response: httpx.Response) -> list[Any]:
    """The data of each SSE message; "[DONE]" stands for itself."""
    blocks = response.text.split("\n\n")
    assert blocks.pop() == "", "the stream ends within a message"
    data = [block.removeprefix("data: ") for block in blocks]
    return [d if d == "[DONE]" else json.loads(d) for d in data]


def content(events: list[Any]) -> str:
    """All the content of a chat stream."""
    deltas = [c["delta"] for e in events if e != "[DONE]" for c in e.get("choices", [])]
    return "".join(d.get("content") or "" for d in deltas)
