"""Embeddings in every form."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from basetenkit.parsing.collector import Collector
from basetenkit.parsing.dialects.embeddings import read_embeddings


def taken(doc: Any, inputs: int | None) -> Collector:
    out = Collector(b"")
    assert read_embeddings(doc, out, inputs)
    return out


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@pytest.mark.parametrize(
    ("doc", "inputs", "vectors"),
    [
        ({"data": [{"index": 1, "embedding": [3]}, {"index": 0, "embedding": [1.5]}]}, 2, [[1.5], [3.0]]),
        ({"data": [{"index": 0, "embedding": packed(1.5, -2)}]}, 1, [[1.5, -2.0]]),
        ({"data": [[1.0, 2.0]]}, 1, [[1.0, 2.0]]),
        ({"data": [1.0, 2.0]}, 1, [[1.0, 2.0]]),
        ({"data": {"embeddings": [[1.0]]}}, 1, [[1.0]]),
        ({"embedding": [1.0, 2.0]}, None, [[1.0, 2.0]]),
        ({"embeddings": [[1.0], [2.0]]}, None, [[1.0], [2.0]]),
        ({"predictions": [[1.0], [2.0]]}, 2, [[1.0], [2.0]]),
        ([[1.0, 2.0], [3.0, 4.0]], None, [[1.0, 2.0], [3.0, 4.0]]),
        ([[[1.0, 2.0], [3.0, 4.0]]], 1, [[1.0, 2.0]]),
        ([1.0, 2.0], 1, [[1.0, 2.0]]),
        ([packed(1.0)], 1, [[1.0]]),
    ],
)
def test_forms(doc: Any, inputs: int | None, vectors: list[list[float]]) -> None:
    out = taken(doc, inputs)
    assert out.broken is None
    assert out.embeddings == vectors


@pytest.mark.parametrize(
    ("doc", "inputs", "why"),
    [
        ([[1.0]], 2, "1 embeddings came for 2 inputs"),
        ({"data": []}, 2, "0 embeddings came for 2 inputs"),
        ({"data": [{"index": 0, "embedding": [1]}, {"index": 2, "embedding": [1]}]}, 2, "indices"),
        ({"data": [{"index": 0, "embedding": []}]}, 1, "embedding 0"),
        ({"data": [{"index": 0, "embedding": [1.0, "2"]}]}, 1, "embedding 0"),
        ({"data": [{"index": 0, "embedding": [1.0, True]}]}, 1, "embedding 0"),
        ({"data": [{"index": 0, "embedding": "abc"}]}, 1, "base64"),
        ({"data": [{"index": 0, "embedding": base64.b64encode(b"12345").decode()}]}, 1, "base64"),
        ({"data": [{"index": 0, "embedding": [1.0]}, {"index": 1}]}, 2, "embedding 1"),
        ([[1.0], ["x"]], 2, "embedding 1"),
    ],
)
def test_what_is_wrong_is_said(doc: Any, inputs: int, why: str) -> None:
    out = taken(doc, inputs)
    assert why in (out.broken or "")
    assert out.embeddings is None


@pytest.mark.parametrize(
    "doc", [None, "x", 1, {}, {"text": "x"}, {"data": "x"}, {"data": [{"id": "m"}]}, ["a", "b"], [], {"data": [1, 2]}]
)
def test_what_holds_no_embeddings_when_none_were_asked_for(doc: Any) -> None:
    assert not read_embeddings(doc, Collector(b""), None)


def test_usage_is_taken() -> None:
    assert taken({"data": [{"embedding": [1.0]}], "usage": {"prompt_tokens": 4}}, 1).usage == {"prompt_tokens": 4}
