"""Bytes -> a JSON value: strict first, because strict is fast; lenient only if strict has failed.

Model servers written in Python send `NaN`, raw control characters and bytes that are not UTF-8. A measurement must not lose
such a response, and must not hide the error either: every correction is returned with its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import orjson

MAX_DOCUMENT = 64 * 1024 * 1024  # bytes; one line or document longer than this is refused, not read
_SMALL = 64 * 1024  # bytes; up to this size a second pass for duplicate keys costs next to nothing
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[{}\[\]]', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


def load_json(data: bytes) -> tuple[object, list[str]]:
    """The JSON value in `data`, and why it is not strict JSON (empty if it is). ValueError if it is not JSON."""
    try:
        return orjson.loads(data), []
    except orjson.JSONDecodeError:
        return load_forgiving(data)


def load_forgiving(data: bytes) -> tuple[object, list[str]]:
    """As `load`, for data that strict JSON refused: NaN, control characters, lone surrogates and bad UTF-8 are taken."""
    why: list[str] = []

    def constant(name: str) -> float:
        why.append(f"{name} in it")
        return float(name)

    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        value = json.loads(text, strict=False, parse_constant=constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if bad_bytes(data):
        why.append("bytes that are not UTF-8")
    return value, list(dict.fromkeys(why)) or ["control characters, lone surrogates or great numbers"]


def has_duplicate_keys(data: bytes) -> bool:
    """True if a small document has a key twice in one object. Large ones are not looked at: it would cost too much."""
    if len(data) > _SMALL:
        return False
    found = False

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal found
        value = dict(items)
        found = found or len(value) != len(items)
        return value

    try:
        json.loads(data.decode("utf-8", "replace"), strict=False, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return False
    return found


def document_ends(data: bytes, start: int = 0) -> Iterator[tuple[int, int, bool]]:
    """(start, end, closed) of each object or array in `data`, by its brackets; text between them is left out.

    The last one has `closed` False if its brackets are still open at the end. Linear, and no deeper than a counter.
    """
    depth, begin = 0, -1
    for match in _TOKEN.finditer(data, start):
        token = match[0]
        if token[:1] == b'"':
            continue
        if token in b"{[":
            begin = match.start() if depth == 0 else begin
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                yield begin, match.end(), True
    if depth:
        yield begin, len(data), False


def is_cut_off(data: bytes) -> bool:
    """True if `data` looks like the beginning of a JSON document: something in it is still open at its end."""
    data = data.strip()
    if data[:1] == b'"':
        match = _TOKEN.match(data)
        return match is not None and match.end() == len(data) and not _STRING.fullmatch(data)
    return any(not closed for _, _, closed in document_ends(data))


def bad_bytes(data: bytes) -> int:
    """How many bytes of `data` are not UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return len(data) - len(data.decode("utf-8", "ignore").encode("utf-8"))
    return 0


def mend_surrogates(texts: list[str]) -> int:
    """Join, in place, surrogate halves in neighbouring texts; replace lone ones. Gives how many were replaced.

    A server that escapes to ASCII and cuts between tokens sends half an emoji in each of two messages. Python would keep
    the halves, and the first file written would fail on them.
    """
    replaced, carry = 0, ""
    for i, text in enumerate(texts):
        if not text or (not carry and text.isascii()):
            continue
        text, carry = carry + text, ""
        if i + 1 < len(texts) and "\ud800" <= text[-1] <= "\udbff":
            text, carry = text[:-1], text[-1]
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        text, n = _SURROGATE.subn("\ufffd", text)
        texts[i], replaced = text, replaced + n
    if carry:
        texts[-1] += "\ufffd"
        replaced += 1
    return replaced


def clean(text: str) -> str:
    """`text` with lone surrogates replaced, so that it can be written anywhere."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
