"""docs/reference/formats.md is true: it lists every dialect, and each of its claims on outcomes and counts holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from basetenkit.parsing import parse
from basetenkit.parsing.dialects import READERS

from .cases import CASES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "formats.md").read_text("utf-8")
SSE = {"content-type": "text/event-stream"}
# A first message of each dialect, with a text in it, and nothing that ends the stream.
BEGUN = {
    "OpenAI": {"choices": [{"index": 0, "delta": {"content": "a"}}]},
    "OpenAI Responses": {"type": "response.output_text.delta", "output_index": 0, "delta": "a"},
    "Anthropic": {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
    "Cohere": {"type": "content-delta", "delta": {"message": {"content": {"text": "a"}}}},
    "Gemini": {"candidates": [{"content": {"parts": [{"text": "a"}]}}]},
    "TGI": {"token": {"id": 1, "text": "a"}, "generated_text": None},
    "SGLang": {"text": "a", "meta_info": {"completion_tokens": 1}},
    "Ollama": {"response": "a", "done": False},
    "Triton": {"model_name": "m", "text_output": "a"},
    "a model's own keys": {"output": "a"},
}


def body(*messages: object) -> bytes:
    return "".join(f"data: {m if isinstance(m, str) else json.dumps(m)}\n\n" for m in messages).encode()


def test_the_table_has_each_dialect() -> None:
    rows = [line.split("|")[1].strip() for line in PAGE.splitlines() if line.startswith("| ")]
    assert set(READERS) <= set(rows)
    assert set(BEGUN) == set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_what_never_counts_as_a_success_in_any_dialect(name: str) -> None:
    begun = BEGUN[name]
    assert f"dialect: {name}" in parse(body(begun), headers=SSE).explain()
    cut = parse(body(begun), headers=SSE)
    assert (cut.outcome, cut.text) == ("ok" if name == "Triton" else "incomplete", "a")
    reported = {"error": {"message": "boom", "code": 7}}
    for tail in (body(reported), f"error: {json.dumps(reported)}\n\n".encode(), json.dumps(reported).encode() + b"\n"):
        for end in (b"", body("[DONE]")):
            found = parse(body(begun) + tail + end, headers=SSE)
            assert (found.outcome, found.text, found.error_message, found.error_code) == (
                "api_error",
                "a",
                "boom",
                "7",
            ), found.explain()
    for bad in ("{not", "Internal Server Error", "<html>502</html>"):
        found = parse(body(begun, bad, "[DONE]"), headers=SSE)
        assert (found.outcome, len(found.events)) == ("malformed", 1), found.explain()
        first = parse([(0.5, body(bad)), (1.0, body(begun, "[DONE]"))], headers=SSE)
        assert (first.outcome, first.events) == ("malformed", []), first.explain()


def test_the_outcomes_of_the_page_are_those_of_the_cases() -> None:
    outcomes = {case.name: case.expect["outcome"] for case in CASES}
    assert outcomes["abort"] == outcomes["word_null"] == "incomplete"
    assert outcomes["choice_error"] == outcomes["error_field"] == outcomes["bare_error"] == "api_error"
    assert outcomes["bad_message_between"] == outcomes["no_json_between_documents"] == "malformed"
