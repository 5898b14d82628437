"""Text Generation Inference's own stream."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.dialects.tgi import read_tgi

from .helpers import ODD, events, read_all, refuses


def test_special_tokens_are_no_text_and_the_whole_text_is_the_end() -> None:
    details = {"finish_reason": "eos_token", "generated_tokens": 2, "prefill": [{}, {}, {}]}
    last = {"token": {"text": "</s>", "special": True}, "generated_text": "a", "details": details}
    out = read_all(read_tgi, {"token": {"text": "a", "special": False}, "generated_text": None}, last)
    assert events(out) == [("a", "content")]
    assert (out.finished, out.finish_reason) == (True, "eos_token")
    assert out.usage == {"completion_tokens": 2, "prompt_tokens": 3}
    assert out.notes == []


def test_more_special_tokens_than_the_end_mark_are_reported() -> None:
    special = {"token": {"text": "<|x|>", "special": True}, "generated_text": None}
    last = {"token": {"text": "</s>", "special": True}, "generated_text": "a", "details": None}
    out = read_all(read_tgi, {"token": {"text": "a", "special": False}, "generated_text": None}, special, last)
    assert events(out) == [("a", "content")]
    assert [*map(str, out.notes)] == [
        "special_tokens: 2 token(s) of the response are special tokens: they are counted but are not in the text"
    ]


def test_a_whole_answer_with_details() -> None:
    out = read_all(read_tgi, {"generated_text": "a", "details": {"generated_tokens": 1, "finish_reason": "length"}})
    assert events(out) == [("a", "content")]
    assert out.finished


@pytest.mark.parametrize("doc", [{"token": "x"}, {"generated_text": "x"}, {"text": "x"}])
def test_what_is_not_its_kind(doc: dict[str, Any]) -> None:
    assert refuses(read_tgi, doc)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_make_no_output(odd: Any) -> None:
    text = None if isinstance(odd, str) else odd
    assert events(read_all(read_tgi, {"token": {"text": text}, "details": odd, "generated_text": odd})) == []
