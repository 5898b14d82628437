"""The loop over messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from basetenkit.parsing import stream
from basetenkit.parsing.collector import Collector
from basetenkit.parsing.stream import close_stream, read_messages
from basetenkit.parsing.wire import sse_messages


def read(*data: Any, response_path: str | None = None, name: str = "") -> Collector:
    head = f"event: {name}\n" if name else ""
    body = "".join(f"{head}data: {d if isinstance(d, str) else json.dumps(d)}\n\n" for d in data).encode()
    out = Collector(body)
    read_messages(sse_messages(body), out, response_path, "sse")
    close_stream(out, "sse")
    return out


def word(text: str) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}}]}


def test_the_end_mark_ends_it() -> None:
    out = read(word("a"), "[DONE]", word("b"), "[DONE]")
    assert (out.texts, out.done, out.after_done, out.cut) == (["a"], True, 1, None)


def test_an_error_ends_it_and_keeps_what_came() -> None:
    out = read(word("a"), {"error": {"message": "m"}}, word("b"), "[DONE]")
    assert out.texts == ["a"]
    assert out.error is not None
    assert out.error.message == "m"


def test_an_event_named_error_is_one_whatever_it_says() -> None:
    for data, message in ((word("a"), '{"choices":[{"delta":{"content":"a"}}]}'), ("oh no", "oh no"), ('"oh"', "oh")):
        out = read(data, name="error")
        assert out.error is not None
        assert out.error.message == message


@pytest.mark.parametrize("bad", ["{no", "words", "[1, 2]", "<html>502</html>", '"half'])
def test_a_message_that_cannot_be_read_ends_the_reading(bad: str) -> None:
    out = read(word("a"), bad, word("b"), "[DONE]")
    assert out.texts == ["a"]
    assert out.broken is not None
    assert out.broken.startswith(f"the message at byte {len(json.dumps(word('a'))) + 8} cannot be read: ")


def test_words_before_messages_are_no_text() -> None:
    out = read("connecting to the model", word("a"), "[DONE]")
    assert out.texts == []
    assert out.broken is not None
    assert "connecting to the model" in out.broken


@pytest.mark.parametrize("word_", ["ping", "keep-alive", "[]", "null"])
def test_what_only_keeps_the_connection_open_is_no_message(word_: str) -> None:
    out = read(word("a"), word_, word("b"), "[DONE]")
    assert (out.texts, out.broken, out.done) == (["a", "b"], None, True)


@pytest.mark.parametrize("mark", ["[DONE]", "[done]", "DONE", "[END]", '"[DONE]"'])
def test_end_marks(mark: str) -> None:
    out = read(word("a"), mark)
    assert (out.texts, out.broken, out.done) == (["a"], None, True)


def test_a_dialect_may_change() -> None:
    assert read(word("a"), {"text": "b"}, word("c"), "[DONE]").texts == ["a", "b", "c"]


def test_bare_words_keep_their_whitespace() -> None:
    out = read("a", "  b", " 3", "{x}", "[DONE]")
    assert out.texts == ["a", "  b", " 3", "{x}"]
    assert read("4", "2", "[DONE]").texts == ["4", "2"]


def test_a_list_of_one_message_is_the_message() -> None:
    assert read([{"generated_text": "a"}], "[DONE]").texts == ["a"]


def test_a_path_is_followed_and_where_it_leads_nowhere_the_dialects_are_asked() -> None:
    assert read({"x": "a"}, {"x": "b"}, "[DONE]", response_path="x").texts == ["a", "b"]
    assert read({"y": "a"}, "[DONE]", response_path="x").broken is not None


@pytest.mark.parametrize(
    "last", [{"type": "message_stop"}, {"text": "", "done": True}, {"choices": [{"finish_reason": "x"}]}]
)
def test_other_ends(last: dict[str, Any]) -> None:
    assert read(word("a"), last).cut is None


def test_no_end_is_incomplete() -> None:
    assert "without [DONE]" in (read(word("a")).cut or "")


def test_a_message_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_DOCUMENT", 100)
    assert "longer than 100 bytes" in (read(word("a"), word("b" * 200)).broken or "")
    assert read(word("a"), word("b"), word("c"), "[DONE]").broken is None
