"""Cohere's chat, versions 1 and 2."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.dialects.cohere import read_cohere

from .helpers import ODD, events, read_all, refuses


def part(kind: str, **message: Any) -> dict[str, Any]:
    return {"type": kind, "index": 0, "delta": {"message": message}}


USAGE = {"billed_units": {"input_tokens": 1, "output_tokens": 2}, "tokens": {"input_tokens": 7, "output_tokens": 3}}


def test_a_stream_of_version_2() -> None:
    out = read_all(
        read_cohere,
        {"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant", "content": []}}},
        part("content-start", content={"type": "text", "text": ""}),
        part("content-delta", content={"thinking": "t"}),
        part("content-delta", content={"text": "a"}),
        {"type": "content-end", "index": 0},
        part("tool-call-start", tool_calls={"function": {"name": "f", "arguments": ""}}),
        part("tool-call-delta", tool_calls={"function": {"arguments": "{}"}}),
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": USAGE}},
    )
    assert events(out) == [("t", "reasoning"), ("a", "content"), ("f", "tool_call"), ("{}", "tool_call")]
    assert (out.finished, out.finish_reason) == (True, "COMPLETE")
    assert out.usage == {"prompt_tokens": 7, "completion_tokens": 3}


def test_an_error_at_the_end_of_version_2() -> None:
    out = read_all(read_cohere, {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "it broke"}})
    assert out.failed is not None
    assert out.failed.message == "it broke"


def test_a_stream_of_version_1() -> None:
    out = read_all(
        read_cohere,
        {"event_type": "stream-start", "generation_id": "x"},
        {"event_type": "text-generation", "text": "a"},
        {"event_type": "text-generation", "text": " b"},
        {"event_type": "stream-end", "finish_reason": "MAX_TOKENS", "response": {"text": "a b", "meta": USAGE}},
    )
    assert events(out) == [("a", "content"), (" b", "content")]
    assert (out.finished, out.finish_reason) == (True, "MAX_TOKENS")
    assert out.usage == {"prompt_tokens": 7, "completion_tokens": 3}


def test_whole_answers() -> None:
    message = {"role": "assistant", "tool_plan": "t", "content": [{"type": "text", "text": "a"}]}
    out = read_all(read_cohere, {"id": "x", "finish_reason": "COMPLETE", "message": message, "usage": USAGE})
    assert events(out) == [("t", "reasoning"), ("a", "content")]
    out = read_all(read_cohere, {"generation_id": "x", "text": "a", "finish_reason": "COMPLETE", "meta": USAGE})
    assert (events(out), out.finish_reason) == ([("a", "content")], "COMPLETE")


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_are_no_output_and_no_count(odd: Any) -> None:
    out = read_all(
        read_cohere,
        {"type": "content-delta", "delta": odd},
        part("content-delta", content=odd),
        part("tool-call-delta", tool_calls=odd),
    )
    assert (events(out), out.finished, out.finish_reason, out.usage, out.failed) == ([], False, None, None, None)
    out = read_all(
        read_cohere,
        {"type": "message-end", "delta": {"usage": odd, "finish_reason": odd}},
        {"event_type": "stream-end", "response": odd},
    )
    reason = odd if odd == "x" else None  # a text is a reason that we do not know
    assert (events(out), out.finished, out.finish_reason, out.usage, out.failed) == ([], True, reason, None, None)


def test_what_is_not_taken() -> None:
    assert refuses(read_cohere, {"type": "message", "content": []})
    assert refuses(read_cohere, {"text": "a"})
    assert refuses(read_cohere, {"event_type": "other"})
