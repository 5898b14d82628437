"""Decisions that need all events of a response together."""

from __future__ import annotations

import pytest

from basetenkit.parsing.collector import CONTENT, REASONING, Collector
from basetenkit.parsing.settle import finalize


def collected(*texts: str, kind: str = CONTENT) -> Collector:
    out = Collector(b"")
    for n, text in enumerate(texts):
        out.emit(text, kind, n, n + 1)
    return out


@pytest.mark.parametrize(
    ("texts", "settled"),
    [
        (["a", "ab", "abc"], ["a", "b", "c"]),
        (["a", "a", "ab", "abc"], ["a", "b", "c"]),
        (["a", "a\ufffd", "aé", "aéb"], ["a", "é", "b"]),
        (["a", "ab"], ["a", "ab"]),
        (["a", "a", "a"], ["a", "a", "a"]),
        (["ha", "ha", "haha"], ["ha", "ha", "haha"]),
        (["a", "ab", "b"], ["a", "ab", "b"]),
    ],
)
def test_texts_that_repeat(texts: list[str], settled: list[str]) -> None:
    out = collected(*texts)
    out.can_repeat = True
    finalize(out, None)
    assert out.texts == settled
    assert len(out.ends) == len(settled)
    assert bool(out.notes) == (settled != texts)


def test_texts_are_not_taken_for_repeats_where_the_dialect_does_not_repeat() -> None:
    out = collected("a", "ab", "abc")
    finalize(out, None)
    assert out.texts == ["a", "ab", "abc"]


def test_the_echo_is_cut_and_events_of_nothing_else_are_no_output() -> None:
    out = collected("Once ", "upon a", " time")
    finalize(out, "Once upon")
    assert (out.texts, out.starts, out.ends) == ([" a", " time"], [1, 2], [2, 3])
    assert out.notes[0].code == "echo"


def test_no_echo_in_reasoning_or_in_the_middle() -> None:
    out = collected("Once", kind=REASONING)
    finalize(out, "Once")
    assert out.texts == ["Once"]
    out = collected("So once")
    finalize(out, "once")
    assert (out.texts, out.notes) == (["So once"], [])


def test_halves_of_an_emoji_leave_no_empty_event() -> None:
    out = collected("\ud83d", "\ude42", "!")
    finalize(out, None)
    assert (out.texts, out.ends) == (["🙂", "!"], [2, 3])


def test_choices() -> None:
    out = collected("a")
    out.emit_other(1, "x", CONTENT, 5, 6)
    finalize(out, None)
    assert out.texts == ["a", ""]
    assert [*map(str, out.notes)] == [
        "several_choices: the response has 2 choices; the text is that of choice 0, tokens are the sum"
    ]
    alone = Collector(b"")
    alone.emit_other(3, "x", REASONING, 5, 6)
    finalize(alone, None)
    assert (alone.texts, alone.kinds, alone.notes) == (["x"], ["reasoning"], [])


def test_choices_without_a_zeroth() -> None:
    out = Collector(b"")
    for choice, text in ((2, "x"), (1, "a"), (2, "y"), (1, "b")):
        out.emit_other(choice, text, CONTENT, 0, 1)
    finalize(out, None)
    assert out.text_of(CONTENT) == "ab"
    assert len(out.texts) == 4
