"""Reasoning in all its forms, and the parts of it that are not text."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.thinking import REASONING_KEYS, details_in, reasoning_in, thinking_text


@pytest.mark.parametrize(
    "value",
    [
        "a b", {"text": "a b"}, {"content": "a b"}, {"thinking": "a b", "signature": "x"}, ["a ", "b"],
        [{"text": "a "}, {"text": "b"}], {"summary": [{"type": "summary_text", "text": "a b"}]}, {"text": "", "content": "a b"},
        [{"type": "reasoning.summary", "summary": "a b"}, {"type": "reasoning.encrypted", "data": "x"}],
    ],
)  # fmt: skip
def test_a_text_in_any_shape(value: Any) -> None:
    assert thinking_text(value) == "a b"
    for key in REASONING_KEYS:
        assert reasoning_in({key: value}) == "a b"
    assert details_in({"reasoning_details": value}) == details_in({"thinking_blocks": value}) == "a b"


@pytest.mark.parametrize(
    "value",
    [None, 0, True, "", [], {}, {"signature": "x"}, {"type": "redacted_thinking", "data": "x"}, [[[[[["a"]]]]]]],
)
def test_what_holds_no_text(value: Any) -> None:
    assert thinking_text(value) == reasoning_in({"reasoning": value}) == ""


def test_the_first_key_with_a_text_counts() -> None:
    assert reasoning_in({"reasoning_content": {"signature": "x"}, "reasoning": "a", "thinking": "b"}) == "a"
