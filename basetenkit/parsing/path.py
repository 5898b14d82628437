"""`response_path`: the user's own word on where the text is, "a.b.0.c". Keys of objects, positions in lists."""

from __future__ import annotations

import re
from typing import Any

from basetenkit.parsing.collector import CONTENT, Collector
from basetenkit.parsing.dialects.baseten import find_text

_POSITION = re.compile(r"-?[0-9]{1,9}")
_END_KEYS = ("done", "stop", "is_finished", "finished")


def follow(doc: Any, path: str) -> tuple[bool, Any]:
    """(whether the path leads somewhere, what is there)."""
    for step in path.split("."):
        if isinstance(doc, dict) and step in doc:
            doc = doc[step]
        elif isinstance(doc, list) and _POSITION.fullmatch(step) and -len(doc) <= int(step) < len(doc):
            doc = doc[int(step)]
        else:
            return False, None
    return True, doc


def text_at(doc: Any, path: str) -> tuple[bool, str | None]:
    """(whether the path leads somewhere, the text there: a string, pieces joined, a number; None where it is no text)."""
    found, value = follow(doc, path)
    if not found or value is None:
        return found, "" if found else None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return True, "".join(value)
    if isinstance(value, (str, int, float)):
        text = find_text(value)
        return True, text.text if text else None
    return True, None


def read(doc: Any, path: str, out: Collector, start: int, end: int) -> bool:
    """Takes in one document or message by its path; False where the path leads nowhere in it, or to no text.

    How the stream ends and what it counts stands where it always does, so those keys are read all the same.
    """
    found, text = text_at(doc, path)
    if isinstance(doc, dict):
        _other_keys(doc, out)
    if text is None:
        return False
    out.opened = True
    if text:
        if not out.texts:
            out.warn("response_path", path=path)
        out.emit(text, CONTENT, start, end)
    return found


def _other_keys(doc: dict[str, Any], out: Collector) -> None:
    out.take_usage(doc.get("usage"))
    out.take_finish(doc.get("finish_reason") or doc.get("done_reason"))
    choices = doc.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        out.take_finish(choices[0].get("finish_reason"))
    if any(doc.get(key) is True for key in _END_KEYS):
        out.finished = True
