"""response_path."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.collector import Collector
from basetenkit.parsing.path import follow, read_path, text_at

DOC = {"a": {"b": [{"c": "x"}, {"c": ["y", "z"]}]}, "n": 4, "0": "zero", "none": None}


@pytest.mark.parametrize(
    ("path", "found", "text"),
    [
        ("a.b.0.c", True, "x"),
        ("a.b.1.c", True, "yz"),
        ("a.b.-1.c.0", True, "y"),
        ("n", True, "4"),
        ("0", True, "zero"),
        ("none", True, ""),
        ("a", True, None),
        ("a.b.2", False, None),
        ("a.x", False, None),
        ("n.1", False, None),
        ("a.b.--1", False, None),
        ("a.b.²", False, None),
        ("a.b." + "9" * 50, False, None),
        ("", False, None),
    ],
)
def test_where_a_path_leads(path: str, found: bool, text: str | None) -> None:
    assert text_at(DOC, path) == (found, text)
    assert follow(DOC, path)[0] == found


def test_ends_and_counts_are_read_beside_it() -> None:
    out = Collector(b"")
    doc: dict[str, Any] = {"x": "a", "usage": {"completion_tokens": 1}, "done": True, "finish_reason": "stop"}
    assert read_path(doc, "x", out, 0, 9)
    assert not read_path(doc, "y", out, 0, 9)
    assert (out.texts, out.finished, out.finish_reason) == (["a"], True, "stop")
    assert out.usage == {"completion_tokens": 1}
    assert [*map(str, out.notes)] == ["response_path: the text was taken from response_path x"]
