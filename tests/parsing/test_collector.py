"""The columns, and the data that is kept beside them."""

from __future__ import annotations

from typing import Any

from basetenkit.parsing.collector import CONTENT, REASONING, Collector


def test_columns_grow_together() -> None:
    out = Collector(b"0123456789")
    out.emit("a", CONTENT, 0, 5)
    out.emit("b", REASONING, 5, 10)
    out.emit_other(1, "x", CONTENT, 5, 10)
    assert (out.texts, out.kinds) == (["a", "b", ""], [CONTENT, REASONING, CONTENT])
    assert (out.starts, out.ends) == ([0, 5, 5], [5, 10, 10])
    assert out.text_of(CONTENT) == "a"
    assert out.others == {1: {2: "x"}}


def test_the_last_word_on_each_count_wins() -> None:
    out = Collector(b"")
    for said in (
        {"prompt_tokens": 1},
        None,
        3,
        {},
        {"prompt_tokens": None, "completion_tokens": 2},
        {"output_tokens": 3},
    ):
        out.take_usage(said)
    assert out.usage == {"prompt_tokens": 1, "completion_tokens": 3}


def test_finish_reasons() -> None:
    out = Collector(b"")
    odd: list[Any] = [None, "", 3, [], {"type": None}]
    for reason in odd:
        out.set_finish_reason(reason)
    out_before = out.finish_reason
    out.set_finish_reason({"type": "length"})
    assert (out_before, out.finish_reason) == (None, "length")
    out.set_finish_reason("stop\ud83d")
    assert out.finish_reason == "stop\ufffd"


def test_a_note_stands_once_and_a_decision_with_its_bytes() -> None:
    out = Collector(b"x" * 100)
    out.warn("bom")
    out.warn("bom")
    assert len(out.notes) == 1
    out.add_trace("why", 2, 5)
    out.add_trace("all")
    assert out.trace[0] == "why  [bytes 2-5: b'xxx']"
    assert out.trace[1].endswith("...]")
