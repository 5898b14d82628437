"""One whole document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from basetenkit.parsing.collector import Collector
from basetenkit.parsing.document import read_document


def read(doc: Any, response_path: str | None = None, inputs: int | None = None) -> Collector:
    out = Collector(json.dumps(doc).encode())
    read_document(doc, out, response_path, inputs)
    return out


def notes(out: Collector) -> set[str]:
    return {note.code for note in out.notes}


def test_its_output_is_complete_with_the_last_byte() -> None:
    out = read({"choices": [{"message": {"content": "a", "reasoning_content": "t"}}]})
    assert (out.texts, out.kinds) == (["t", "a"], ["reasoning", "content"])
    assert set(out.ends) == {len(out.body)}
    assert set(out.starts) == {0}


def test_strings_inside_strings() -> None:
    assert (read("a").texts, notes(read("a"))) == (["a"], set())
    once = read(json.dumps({"text": "a"}))
    assert (once.texts, notes(once)) == (["a"], {"unwrapped", "field"})
    assert read(json.dumps([{"generated_text": "a"}])).texts == ["a"]
    assert read('{"a": 1}').texts == ['{"a": 1}']
    assert read("[1, 2]").texts == ["[1, 2]"]
    assert read('"a"').texts == ['"a"']
    deep = json.dumps(json.dumps(json.dumps({"text": "a"})))
    assert read(deep).texts == [deep]


def test_a_gathered_stream_has_no_times_of_its_own() -> None:
    text = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[{"delta":{"content":"b"}}]}\n\n'
    whole = read(text + "data: [DONE]\n\n")
    assert (whole.texts, whole.cut, notes(whole)) == (["a", "b"], None, {"gathered"})
    assert set(whole.ends) == {len(whole.body)}
    assert read(text).cut is not None
    lines = read('{"response":"a","done":false}\n{"response":"b","done":true}\n')
    assert (lines.texts, notes(lines)) == (["a", "b"], {"gathered"})


def test_an_error_beside_a_text_is_an_error_and_the_text_is_kept() -> None:
    out = read({"error": "m", "output": "a"})
    assert out.error is not None
    assert out.texts == ["a"]


@pytest.mark.parametrize(
    ("doc", "parts"),
    [
        ({"foo": "a", "bar": {"baz": "b"}}, ["foo, bar", 'response_path="foo"']),
        ({"x": {"y": "a"}}, ["keys are: x", 'response_path="x.y"']),
        ({"foo": 1}, ["foo"]),
        ([[]], []),
    ],
)
def test_what_is_not_known_is_named(doc: Any, parts: list[str]) -> None:
    out = read(doc)
    assert not out.texts
    assert all(part in (out.broken or "") for part in parts)


@pytest.mark.parametrize(
    "doc", [None, "", {}, [], {"text": ""}, {"output": []}, {"choices": []}, {"id": "x", "model": "m"}]
)
def test_nothing_is_no_error(doc: Any) -> None:
    out = read(doc)
    assert (out.texts, out.error) == ([], None)
    assert out.broken is None


def test_paths() -> None:
    assert read({"a": {"b": "x"}, "text": "y"}, "a.b").texts == ["x"]
    assert "leads nowhere" in (read({"a": 1}, "b").broken or "")
    assert "leads to no text" in (read({"a": {"b": 1}}, "a").broken or "")
    assert "which is an array" in (read(["a"], "b").broken or "")
    assert read({"error": "m", "a": "x"}, "a").error is not None


def test_embeddings_that_were_asked_for_and_did_not_come() -> None:
    assert "no embeddings" in (read({"text": "a"}, None, 1).broken or "")
    assert read(None, None, 1).broken is None
