"""The shapes that Python models return."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.dialects.baseten import HOLDER_KEYS, TEXT_KEYS, find_text, read_baseten

from .helpers import events, read_all, refuses


@pytest.mark.parametrize("key", TEXT_KEYS)
def test_each_key_gives_its_text(key: str) -> None:
    out = read_all(read_baseten, {key: "a", "unknown": "b"})
    assert events(out) == [("a", "content")]
    assert [*map(str, out.notes)] == [f"field: the text was taken from {key}"]


@pytest.mark.parametrize("key", HOLDER_KEYS)
def test_each_holder_is_looked_into(key: str) -> None:
    found = find_text({key: {"generated_text": "a"}})
    assert found is not None
    assert (found.text, found.path) == ("a", f"{key}.generated_text")


@pytest.mark.parametrize(
    ("doc", "text", "path"),
    [
        ({"text": "", "output": "a"}, "a", "output"),
        ({"output": ["a", "b"]}, "ab", "output"),
        ({"outputs": ["a", "b"]}, "a", "outputs.0"),
        ({"predictions": [["a"]]}, "a", "predictions.0.0"),
        ({"data": {"outputs": [{"text": "a"}]}}, "a", "data.outputs.0.text"),
        ({"text": ""}, "", "text"),
        ({"text": None}, "", "text"),
        ({"outputs": []}, "", "outputs"),
        ({"result": 0.5}, "0.5", "result"),
        ({"result": True}, "true", "result"),
    ],
)
def test_where_the_text_is(doc: dict[str, Any], text: str, path: str) -> None:
    found = find_text(doc)
    assert found is not None
    assert (found.text, found.path) == (text, path)


@pytest.mark.parametrize("doc", [{}, {"foo": "a"}, {"message": "a"}, {"data": {"foo": "a"}}, {"status": "success"}])
def test_no_known_key_is_not_guessed_at(doc: dict[str, Any]) -> None:
    assert find_text(doc) is None
    assert refuses(read_baseten, doc)


def test_depth_is_bounded() -> None:
    doc: Any = "a"
    for _ in range(1000):
        doc = {"data": doc}
    assert find_text(doc) is None


def test_llama_cpp_ends_with_stop_and_counts() -> None:
    last = {"content": "", "stop": True, "tokens_evaluated": 3, "tokens_predicted": 1}
    out = read_all(read_baseten, {"content": "a", "stop": False}, last)
    assert events(out) == [("a", "content")]
    assert out.finished
    assert out.usage == {"prompt_tokens": 3, "completion_tokens": 1}


def test_a_last_message_that_repeats_all_adds_nothing() -> None:
    assert events(read_all(read_baseten, {"text": "a"}, {"text": "b"}, {"text": "ab", "done": True}))[2:] == []
    assert len(events(read_all(read_baseten, {"text": "a"}, {"text": "b"}, {"text": "ab"}))) == 3
