"""The registry: which dialect takes what."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.collector import Collector
from basetenkit.parsing.dialects import READERS, find


@pytest.mark.parametrize(
    ("doc", "name"),
    [
        ({"choices": []}, "OpenAI"),
        ({"type": "response.created"}, "OpenAI Responses"),
        ({"type": "message_start"}, "Anthropic"),
        ({"token": {"text": "a"}}, "TGI"),
        ({"text": "a", "meta_info": {}}, "SGLang"),
        ({"response": "a", "done": False}, "Ollama"),
        ({"response": "a"}, "a model's own keys"),
        ({"generated_text": "a"}, "a model's own keys"),
    ],
)
def test_each_finds_its_own(doc: dict[str, Any], name: str) -> None:
    out = Collector(b"{}")
    assert find(doc, out, 0, 2) is READERS[name]
    assert out.dialect == name
    assert out.trace[0].startswith(f"dialect: {name}")


def test_none_takes_what_none_knows() -> None:
    out = Collector(b"{}")
    assert find({"foo": 1}, out, 0, 2) is None
    assert out.dialect == ""
