"""SGLang's own /generate."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.dialects.sglang import read_sglang

from .helpers import ODD, events, read_all, refuses


def test_texts_are_taken_as_they_come_and_may_repeat() -> None:
    meta = {"finish_reason": None, "prompt_tokens": 3, "completion_tokens": 1, "id": "x"}
    last = {"finish_reason": {"type": "length"}, "prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 1}
    out = read_all(read_sglang, {"text": "a", "meta_info": meta}, {"text": "ab", "meta_info": last})
    assert events(out) == [("a", "content"), ("ab", "content")]
    assert out.can_repeat
    assert out.finish_reason == "length"
    assert out.usage == {"prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 1}


@pytest.mark.parametrize("doc", [{"text": "a"}, {"meta_info": {}}, {"text": "a", "meta_info": 1}])
def test_what_is_not_its_kind(doc: dict[str, Any]) -> None:
    assert refuses(read_sglang, doc)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_make_no_output(odd: Any) -> None:
    text = None if isinstance(odd, str) else odd
    out = read_all(read_sglang, {"text": text, "meta_info": {"finish_reason": odd, "completion_tokens": odd}})
    assert events(out) == []
