"""Anthropic's messages."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.dialects.anthropic import read_anthropic

from .helpers import ODD, events, read_all, refuses


def delta(kind: str, key: str, text: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, key: text}}


def test_each_kind_of_delta() -> None:
    out = read_all(
        read_anthropic,
        delta("thinking_delta", "thinking", "t"),
        delta("text_delta", "text", "a"),
        delta("text_delta", "text", ""),
        delta("signature_delta", "signature", "xyz"),
        {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f", "input": {}}},
        delta("input_json_delta", "partial_json", "{}"),
    )
    assert events(out) == [("t", "reasoning"), ("a", "content"), ("f", "tool_call"), ("{}", "tool_call")]


def test_usage_of_both_ends_is_joined_and_the_stop_is_the_end() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}
    stop = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 9}}
    out = read_all(read_anthropic, start, {"type": "ping"}, stop)
    assert out.usage == {"prompt_tokens": 5, "completion_tokens": 9}
    assert (out.finish_reason, out.finished) == ("max_tokens", False)
    assert read_all(read_anthropic, {"type": "message_stop"}).finished


def test_a_whole_message() -> None:
    blocks = [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]
    out = read_all(read_anthropic, {"type": "message", "content": blocks, "stop_reason": "end_turn"})
    assert events(out) == [("t", "reasoning"), ("a", "content")]


@pytest.mark.parametrize(
    "doc", [{"type": "error"}, {"type": "other"}, {"text": "x"}, {"type": "message", "content": "x"}]
)
def test_what_is_not_its_kind(doc: dict[str, Any]) -> None:
    assert refuses(read_anthropic, doc)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_make_no_output(odd: Any) -> None:
    docs = [
        {"type": "content_block_delta", "delta": odd},
        {"type": "content_block_start", "content_block": odd},
        {"type": "message_start", "message": odd},
        {"type": "message_delta", "delta": odd, "usage": odd},
        {"type": "message", "content": [odd]},
    ]
    assert events(read_all(read_anthropic, *docs)) == []
