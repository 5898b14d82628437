"""Ollama's two interfaces."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.dialects.ollama import read_ollama

from .helpers import ODD, events, read_all, refuses


def test_generate() -> None:
    last = {"response": "", "done": True, "done_reason": "length", "prompt_eval_count": 3, "eval_count": 2}
    out = read_all(read_ollama, {"response": "a", "thinking": "t", "done": False}, last)
    assert events(out) == [("t", "reasoning"), ("a", "content")]
    assert (out.finished, out.finish_reason) == (True, "length")
    assert out.usage == {"prompt_tokens": 3, "completion_tokens": 2}


def test_chat_with_a_tool_call() -> None:
    call = {"function": {"name": "f", "arguments": {}}}
    out = read_all(read_ollama, {"message": {"content": "", "tool_calls": [call, 1]}, "done": True})
    assert events(out) == [("f", "tool_call")]
    assert out.is_chat
    assert out.finish_reason == "stop"


@pytest.mark.parametrize(
    "doc", [{"response": "a"}, {"done": True}, {"done": 1, "response": "a"}, {"message": "a", "done": True}]
)
def test_what_is_not_its_kind(doc: dict[str, Any]) -> None:
    assert refuses(read_ollama, doc)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_make_no_output(odd: Any) -> None:
    text = None if isinstance(odd, str) else odd
    docs = [{"response": text, "done": False}, {"message": {"content": text, "tool_calls": odd}, "done": False}]
    assert events(read_all(read_ollama, *docs)) == []
