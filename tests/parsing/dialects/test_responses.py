"""OpenAI's Responses API."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.dialects.responses import read_responses

from .helpers import ODD, events, read_all, refuses


def test_each_kind_of_delta() -> None:
    out = read_all(
        read_responses,
        {"type": "response.created", "response": {"usage": None}},
        {"type": "response.reasoning_summary_text.delta", "delta": "t"},
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.output_text.done", "text": "a"},
        {"type": "response.refusal.delta", "delta": "no"},
        {"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}},
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
    )
    kinds = ["reasoning", "content", "refusal", "tool_call", "tool_call"]
    assert events(out) == list(zip(["t", "a", "no", "f", "{}"], kinds, strict=True))
    assert not out.finished


def test_the_last_event_ends_it_and_brings_the_usage() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}}
    out = read_all(read_responses, {"type": "response.completed", "response": {"status": "completed", "usage": usage}})
    assert (out.finished, out.finish_reason) == (True, "completed")
    assert out.usage is not None
    assert out.usage["completion_tokens"] == 2
    assert out.usage["completion_tokens_details"] == {"reasoning_tokens": 1}


def test_an_incomplete_one_says_why_and_a_failed_one_is_an_error() -> None:
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert (
        read_all(read_responses, {"type": "response.incomplete", "response": cut}).finish_reason == "max_output_tokens"
    )
    failed = read_all(
        read_responses, {"type": "response.failed", "response": {"status": "failed", "error": {"message": "m"}}}
    )
    assert failed.error is not None
    assert failed.error.message == "m"
    assert read_all(read_responses, {"type": "response.failed", "response": {"status": "failed"}}).error is not None


def test_a_whole_response() -> None:
    message = {
        "type": "message",
        "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "n"}],
    }
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]}
    out = read_all(read_responses, {"object": "response", "status": "completed", "output": [thought, call, message]})
    assert events(out) == [("t", "reasoning"), ("f{}", "tool_call"), ("a", "content"), ("n", "refusal")]


@pytest.mark.parametrize("doc", [{"type": "responses"}, {"object": "response"}, {"type": 1}, {"output": []}])
def test_what_is_not_its_kind(doc: dict[str, Any]) -> None:
    assert refuses(read_responses, doc)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_make_no_output(odd: Any) -> None:
    docs = [
        {"type": "response.completed", "response": odd},
        {"type": "response.output_item.added", "item": odd},
        {"object": "response", "output": [odd], "usage": odd, "incomplete_details": odd},
        {"object": "response", "output": [{"content": odd, "summary": [odd]}]},
    ]
    assert events(read_all(read_responses, *docs)) == []
