"""Chat completions and completions: which frames are output, and as what."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.dialects.openai import read_openai

from .helpers import ODD, events, read_all, refuses


def chunk(delta: Any, index: Any = 0, finish: Any = None) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def test_only_frames_with_new_output_are_events() -> None:
    deltas = [{"role": "assistant"}, {"role": "assistant", "content": ""}, {"content": None}, {"content": "a"}, {}]
    out = read_all(read_openai, *map(chunk, deltas))
    assert events(out) == [("a", "content")]
    assert (out.starts, out.ends) == ([30], [40])


def test_a_role_beside_content_is_output() -> None:
    assert events(read_all(read_openai, chunk({"role": "assistant", "content": "a"}))) == [("a", "content")]


def test_reasoning_comes_before_content_of_the_same_frame() -> None:
    out = read_all(read_openai, chunk({"content": "b", "reasoning_content": "a"}), chunk({"reasoning": "c"}))
    assert events(out) == [("a", "reasoning"), ("b", "content"), ("c", "reasoning")]


def test_the_same_reasoning_under_two_names_counts_once() -> None:
    assert events(read_all(read_openai, chunk({"reasoning": "a", "reasoning_content": "a"}))) == [("a", "reasoning")]


def test_tool_calls_and_the_older_function_call() -> None:
    call = {"index": 0, "function": {"name": "f", "arguments": ""}}
    out = read_all(read_openai, chunk({"tool_calls": [call]}), chunk({"function_call": {"arguments": "{}"}}))
    assert events(out) == [("f", "tool_call"), ("{}", "tool_call")]


def test_content_parts_with_thoughts_and_refusals() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "a"}, "b"]
    out = read_all(read_openai, chunk({"content": [*parts, {"type": "refusal", "refusal": "no"}]}))
    assert events(out) == [("t", "reasoning"), ("no", "refusal"), ("ab", "content")]


def test_completions_and_the_legacy_string_delta() -> None:
    out = read_all(
        read_openai, {"choices": [{"text": "a"}]}, {"choices": [{"delta": "b"}]}, {"choices": [{"text": ""}]}
    )
    assert events(out) == [("a", "content"), ("b", "content")]
    assert not out.is_chat


def test_other_choices_count_in_time_and_keep_their_texts_apart() -> None:
    out = read_all(read_openai, chunk({"content": "a"}), chunk({"content": "x"}, 1, "length"), chunk({}, 0, "stop"))
    assert events(out) == [("a", "content"), ("", "content")]
    assert out.others == {1: {1: "x"}}
    assert out.finish_reason == "stop"


def test_usage_in_the_frame_the_choice_and_the_delta() -> None:
    out = read_all(
        read_openai,
        chunk({"content": "a", "usage": {"completion_tokens": 1}}),
        {"choices": [], "usage": {"completion_tokens": 2, "prompt_tokens": None}},
        {"choices": [{"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3}}], "usage": None},
    )
    assert out.usage == {"completion_tokens": 2, "prompt_tokens": 3}


def test_what_has_no_choices_is_not_taken() -> None:
    assert refuses(read_openai, {"usage": {"prompt_tokens": 1}})


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_make_no_output(odd: Any) -> None:
    delta = {
        "content": odd if not isinstance(odd, str) else None,
        "tool_calls": odd,
        "reasoning": [[], odd if not isinstance(odd, str) else None],
    }
    docs = [{"choices": odd}, {"choices": [odd], "usage": odd}, chunk(delta, index=odd, finish=odd)]
    out = read_all(read_openai, *docs)
    assert all(kind == "content" and text in ("", "x") for text, kind in events(out))
    assert out.finish_reason in (None, "x")
