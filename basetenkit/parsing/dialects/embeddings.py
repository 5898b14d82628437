"""Embeddings: OpenAI's list, Text Embeddings Inference's bare arrays, Ollama's and Baseten models' own keys.

A vector is a list of numbers, or a base64 string of little-endian 32-bit floats (OpenAI's `encoding_format`). Vectors are
given in the order of the inputs; one that is missing makes the whole response wrong, because it is unknown which one.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array

from basetenkit.parsing.collector import Collector

_NUMBERS = (int, float)


def read_embeddings(doc: object, out: Collector, inputs: int | None) -> bool:
    """Takes in a whole document; False if it holds no embeddings. `inputs`: how many vectors there must be.

    Errors in them are put in `out.broken`.
    """
    items = _items(doc, inputs)
    if items is None:
        return False
    if isinstance(doc, dict):
        out.take_usage(doc.get("usage"))
    vectors = [_vector(item.get("embedding") if isinstance(item, dict) else item, out) for item in items]
    bad = next((i for i, vector in enumerate(vectors) if vector is None), None)
    if bad is not None:
        out.broken = f"embedding {bad} is neither a list of numbers nor base64 of 32-bit floats"
        return True
    whole = _in_order(items, [v for v in vectors if v is not None], out, inputs)
    if whole is not None:
        out.embeddings = whole
        _look_at(whole, out)
    return True


def _items(doc: object, inputs: int | None) -> list[object] | None:
    """The list of vectors, or of objects with a vector each; None if there is none."""
    if isinstance(doc, dict):
        if "embedding" in doc and isinstance(doc["embedding"], (list, str)):
            return [doc["embedding"]]
        items = doc.get("embeddings", doc.get("data", doc.get("predictions")))
        if isinstance(items, dict):
            items = items.get("embeddings", items.get("data"))
        expected = "embeddings" in doc or (inputs is not None and "data" in doc)
    else:
        items, expected = doc, inputs is not None
    if not isinstance(items, list):
        return None
    if items and isinstance(items[0], _NUMBERS) and expected:
        return [items]
    if items and (_is_vector_list(items[0]) or (isinstance(items[0], dict) and "embedding" in items[0])):
        return items
    return items if expected and (not items or isinstance(items[0], str)) else None


def _is_vector_list(value: object) -> bool:
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    return isinstance(value, list) and bool(value) and (value[0] is None or _is_number(value[0]))


def _is_number(value: object) -> bool:
    return isinstance(value, _NUMBERS) and not isinstance(value, bool)


def _vector(value: object, out: Collector) -> list[float] | None:
    if isinstance(value, str):
        return _from_base64(value)
    depth = 0
    while isinstance(value, list) and value and isinstance(value[0], list):
        value, depth = value[0], depth + 1
    if not isinstance(value, list) or not value:
        return None
    if depth:
        out.warn("nested_embedding")
    kinds = set(
        map(type, value)
    )  # once over a list that may have thousands of numbers, and without a step of ours for each
    if kinds == {float}:
        return value
    if not kinds <= {float, int, type(None)}:
        return None
    try:
        # Python's JSON writers turn NaN into null; it stays what it was: not a number.
        return [math.nan if v is None else float(v) for v in value]
    except OverflowError:
        return None


def _from_base64(text: str) -> list[float] | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not data or len(data) % 4:
        return None
    floats = array("f")
    floats.frombytes(data)
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tolist()


def _in_order(
    items: list[object], vectors: list[list[float]], out: Collector, inputs: int | None
) -> list[list[float]] | None:
    if inputs is not None and len(vectors) != inputs:
        out.broken = f"{len(vectors)} embeddings came for {inputs} inputs; expected one per input"
        return None
    indices = [item.get("index") if isinstance(item, dict) else None for item in items]
    known = [i for i in indices if isinstance(i, int) and not isinstance(i, bool)]
    if len(known) < len(indices):
        if isinstance(items[0] if items else None, dict) and len(items) > 1:
            out.warn("index_missing")
        return vectors
    if sorted(known) != list(range(len(known))):
        out.broken = f"the embeddings' indices are not 0 to {len(known) - 1}, each once"
        return None
    return [vector for _, vector in sorted(zip(known, vectors, strict=True), key=lambda pair: pair[0])]


def _look_at(vectors: list[list[float]], out: Collector) -> None:
    sizes = sorted({len(vector) for vector in vectors})
    if len(sizes) > 1:
        out.warn("dimensions_differ", sizes=", ".join(map(str, sizes[:8])))
    odd = sum(not math.isfinite(sum(vector)) for vector in vectors)
    if odd:
        out.warn("not_finite", n=odd)
