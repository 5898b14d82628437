"""`response_path`: the place of the text that the user sets, e.g. "a.b.0.c". Keys of objects, positions in lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from basetenkit.parsing.collector import CONTENT, Collector
from basetenkit.parsing.dialects.baseten import find_text

_POSITION = re.compile(r"-?[0-9]{1,9}")
_END_KEYS = ("done", "stop", "is_finished", "finished", "sequence_end", "is_final", "completed")
_REASON_KEYS = ("finish_reason", "done_reason", "stop_reason", "finishReason")
# Parts of keys that name a text, and keys that name something else.
_LIKELY = (
    "text", "output", "response", "answer", "content", "result", "generat", "completion", "token", "delta", "reply",
)  # fmt: skip
_UNLIKELY = frozenset({
    "id", "model", "version", "object", "type", "role", "name", "status", "created", "date", "time", "reason", "finish", "url",
    "language", "format", "prompt", "input",
})  # fmt: skip
_DEEPEST, _LOOKED_AT = 4, 200


def follow(doc: object, path: str) -> tuple[bool, object]:
    """(whether the path leads to a value, that value)."""
    for step in path.split("."):
        if isinstance(doc, dict) and step in doc:
            doc = doc[step]
        elif isinstance(doc, list) and _POSITION.fullmatch(step) and -len(doc) <= int(step) < len(doc):
            doc = doc[int(step)]
        else:
            return False, None
    return True, doc


def text_at(doc: object, path: str) -> tuple[bool, str | None]:
    """(whether the path leads somewhere, the text there: a string, joined pieces, or a number; None if it is not text)."""
    found, value = follow(doc, path)
    if not found or value is None:
        return found, "" if found else None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return True, "".join(value)
    if isinstance(value, (str, int, float)):
        text = find_text(value)
        return True, text.text if text else None
    return True, None


def likeliest(doc: object) -> str | None:
    """The path to the string in `doc` that is most likely the model's text: by its key's name, then by its length."""
    found = list(islice(_strings(doc, "", 0), _LOOKED_AT))
    return max(found, key=_likelihood)[0] if found else None


def _likelihood(found: tuple[str, str]) -> tuple[int, int]:
    key = next((step for step in reversed(found[0].split(".")) if not _POSITION.fullmatch(step)), "")
    words = re.findall("[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower())
    if words and words[-1] in _UNLIKELY:
        return -1, len(found[1])
    if any(part in key.lower() for part in _LIKELY):
        return 1, len(found[1])
    return -1 if _UNLIKELY.intersection(words) else 0, len(found[1])


def _strings(value: object, here: str, depth: int) -> Iterator[tuple[str, str]]:
    """(path, string) of all strings in a document, nearest first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = []
    for step, item in items:
        at = f"{here}.{step}" if here else str(step)
        if isinstance(item, str):
            yield at, item
        elif depth < _DEEPEST:
            inner.append((item, at))
    for item, at in inner:
        yield from _strings(item, at, depth + 1)


def read_path(doc: object, path: str, out: Collector, start: int, end: int) -> bool:
    """Takes in one document or message by its path; False if the path leads nowhere in it, or to no text.

    The end of the stream and the token counts are in their usual keys, so those are still read.
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


def _other_keys(doc: dict[str, object], out: Collector) -> None:
    out.take_usage(doc.get("usage"))
    for key in _REASON_KEYS:
        out.set_finish_reason(doc.get(key))
    choices = doc.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    out.set_finish_reason(first.get("finish_reason"))
    if any(doc.get(key) is True for key in _END_KEYS):
        out.finished = True
    # These protocols have no end marker: Triton's, and a model's own of unusual shape.
    if not out.opened:
        out.is_endless = "choices" not in doc and not any(key in doc for key in (*_END_KEYS[:4], *_REASON_KEYS))
