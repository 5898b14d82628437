"""Google's generateContent, streamed or whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from basetenkit.parsing import parse
from basetenkit.parsing.dialects.gemini import read_gemini

from .helpers import ODD, events, read_all, refuses


def said(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **more}]}


COUNTS = {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 40, "totalTokenCount": 47}


def test_thoughts_text_and_calls() -> None:
    out = read_all(
        read_gemini,
        said({"text": "t", "thought": True}),
        said({"text": "a"}, {"functionCall": {"name": "f", "args": {}}}),
        said({"text": ""}, finishReason="STOP") | {"usageMetadata": COUNTS},
    )
    assert events(out) == [("t", "reasoning"), ("a", "content"), ('{"name":"f","args":{}}', "tool_call")]
    assert out.finish_reason == "STOP"


def test_the_count_includes_the_thoughts() -> None:
    body = json.dumps(said({"text": "a"}, finishReason="STOP") | {"usageMetadata": COUNTS}).encode()
    parsed = parse(body, headers={"content-type": "application/json"}, stream=False)
    assert (parsed.prompt_tokens, parsed.completion_tokens, parsed.reasoning_tokens) == (5, 42, 40)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_are_no_output_and_no_count(odd: Any) -> None:
    whole = {"candidates": [{"content": odd, "finishReason": odd}], "usageMetadata": odd}
    out = read_all(read_gemini, {"candidates": [odd]}, said(odd), whole)
    reason = odd if odd == "x" else None  # a text is a reason that we do not know
    assert (events(out), out.others, out.finish_reason, out.failed) == ([], {}, reason, None)
    assert out.usage == (odd if odd == {"a": 1} else None)


def test_a_blocked_prompt_is_a_content_filters() -> None:
    out = read_all(read_gemini, {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})
    assert (out.finish_reason, events(out)) == ("content_filter", [])


def test_what_is_not_taken() -> None:
    assert refuses(read_gemini, {"choices": []})
