"""Bytes as a person reads and edits them, and a response less its later arrivals.

Both ways of showing bytes can be reversed exactly: the shown text, sent back unchanged, gives the same bytes. In text, a
byte that no reader could see (not UTF-8, a control character but newline and tab, an invisible or direction-changing one)
is shown as its two hex digits in ⟪ ⟫, so that nothing a server sends can hide or rearrange the text next to it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from itertools import pairwise

import polars as pl

from ...core.errors import ConfigError
from ...core.types import JsonObject, first_header
from ...parsing import encoding
from ...reporting.response_charts import messages_frame
from ...results.parser_case import ParserCase

PAGE = 8 * 1024  # bytes shown at a time: more cannot be read, and every one of them is drawn again at each key stroke
_ROW = 16  # bytes in a line of hex
_ESCAPE = re.compile("⟪([0-9A-Fa-f]{2})⟫")
_HIDDEN = ("C", "Zl", "Zp")  # Unicode's categories of what leaves no mark on the screen, or changes its order


def to_text(data: bytes) -> str:
    """The bytes as text, those that cannot be seen as ⟪HH⟫."""
    return "".join(map(_shown, data.decode("utf-8", "surrogateescape")))


def _shown(char: str) -> str:
    if char in "\n\t":
        return char
    if char == "⟪" or unicodedata.category(char).startswith(_HIDDEN):
        return "".join(f"⟪{byte:02X}⟫" for byte in char.encode("utf-8", "surrogateescape"))
    return char


def from_text(text: str) -> bytes:
    """The bytes for a text of `to_text`. Half a character, which has no bytes, becomes a question mark."""
    parts = _ESCAPE.split(text)  # text, hex digits, text, ...
    return b"".join(bytes.fromhex(part) if i % 2 else part.encode("utf-8", "replace") for i, part in enumerate(parts))


def to_hex(data: bytes, at: int = 0) -> str:
    """Two digits per byte, 16 bytes per line; `at` is the number of bytes of the first line before these."""
    return "".join(f"{byte:02x}" + ("\n" if i % _ROW == _ROW - 1 else " ") for i, byte in enumerate(data, at))


def from_hex(text: str) -> bytes:
    """The bytes of hex digits, blanks between them or not. ConfigError names the line that is none."""
    for number, line in enumerate(text.split("\n"), 1):
        wrong = re.search(r"[^0-9A-Fa-f\s]", line)
        digits = len("".join(line.split()))
        if wrong or digits % 2:
            what = f"{wrong[0]!r} is not a hex digit" if wrong else f"{digits} digits do not make whole bytes"
            raise ConfigError(f"hex, line {number}: {what}; expected two of 0-9 and a-f for each byte")
    return bytes.fromhex("".join(text.split()))


def decoded(case: ParserCase) -> ParserCase:
    """The case with its content encoding undone, which is what messages and events refer to; the case itself if there is none."""
    found = encoding.decode(case.body, case.read_ends, first_header(case.headers, "content-encoding"))
    if not found.encoding:
        return case
    headers = tuple((name, value) for name, value in case.headers if name.lower() != "content-encoding")
    return replace(case, body=found.body, read_ends=tuple(found.read_ends), headers=headers)


def spliced(case: ParserCase, start: int, new: bytes, end: int) -> ParserCase:
    """The case with `new` in the place of bytes start to end. A read that ended after the changed bytes moves with the bytes
    it brought; one that ended within them ends at most where they end now."""
    old = case.body[start:end]
    same = _common(old, new)
    tail = _common(old[same:][::-1], new[same:][::-1])
    first, last, shift = start + same, end - tail, len(new) - len(old)
    ends = tuple(e if e <= first else e + shift if e >= last else min(e, last + shift) for e in case.read_ends)
    return replace(case, body=case.body[:start] + new + case.body[end:], read_ends=ends)


def _common(a: bytes, b: bytes) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def until(case: ParserCase, reads: int) -> ParserCase:
    """What had come after so many reads: the whole case, its failure too, after the last."""
    if reads >= len(case.read_ends):
        return case
    ends = case.read_ends[:reads]
    return replace(
        case, body=case.body[: ends[-1] if ends else 0], read_ends=ends, times=case.times[:reads], failure=None
    )


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of bytes that are drawn alike: as text, with its CSS classes. `start` is its first byte in the decoded body."""

    text: str
    style: str
    start: int


def segments(case: ParserCase, page: tuple[int, int], arrived: int, as_hex: bool) -> list[Segment]:
    """The bytes of a page (start, end) of a decoded case, cut where their meaning changes: at messages, and where a read
    began. `arrived`: how many bytes have come. Style: "odd" or "even" in a message, its first event's kind or "silent",
    "cut" where the body's end cut it off; "read" where a read began; "late" where it has not come yet."""
    parsed = case.parse()
    kinds = dict(zip(reversed(parsed.event_ends), reversed(parsed.event_kinds), strict=True))
    frame = messages_frame(case).filter(pl.col("end") > page[0], pl.col("start") < page[1])
    spans = [(m["start"], m["end"], _style(m, kinds)) for m in frame.iter_rows(named=True)]
    marks = {*page, arrived, *case.read_ends, *(s for s, _, _ in spans), *(e for _, e, _ in spans)}
    cuts = sorted(mark for mark in marks if page[0] <= mark <= page[1])
    begins, found, i = {0, *case.read_ends}, [], 0
    for start, end in pairwise(cuts):
        while i < len(spans) and spans[i][1] <= start:
            i += 1
        within = spans[i][2] if i < len(spans) and spans[i][0] <= start else ""
        style = " ".join(filter(None, (within, "read" * (start in begins), "late" * (start >= arrived))))
        data = case.body[start:end]
        found.append(Segment(to_hex(data, start - page[0]) if as_hex else to_text(data), style, start))
    return found


def _style(message: JsonObject, kinds: dict[int, str]) -> str:
    parts = ["odd" if message["index"] % 2 else "even", kinds.get(message["end"], "silent")]
    return " ".join(parts if message["whole"] else [*parts, "cut"])
