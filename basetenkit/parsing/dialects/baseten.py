"""What Python models on Baseten return: `{"text": ...}`, `{"output": ...}`, `{"data": {"generated_text": ...}}` and their like.

There is no standard, only habits. The keys below are those that published model code uses; the first of them which holds
a text gives the text. A document with none of them is not guessed at: its reader is told to name the path.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from basetenkit.core.notes import Note, note
from basetenkit.parsing.collector import CONTENT, REASONING, Collector
from basetenkit.parsing.endings import reason_in
from basetenkit.parsing.failures import report_of
from basetenkit.parsing.thinking import reasoning_in

# In this order, by the presence of a text that is not empty.
TEXT_KEYS = (
    "text", "output", "response", "generated_text", "result", "completion", "content", "answer", "transcript",
    "extracted_text", "delta", "token", "chunk",
)  # fmt: skip
HOLDER_KEYS = ("data", "model_output", "outputs", "predictions", "results", "generations", "message")
_JOINED = frozenset({"output", "response", "token", "chunk"})  # a list of strings there is pieces of one text
_END_KEYS = ("done", "stop", "is_finished", "finished", "is_final", "completed")
_REPORT_KEYS = frozenset({"status", "success", "object", "type"})  # beside a text, these may say that it is an error
_DEPTH = 5


@dataclass(slots=True)
class Found:
    """A text and the path to it. `text` is "" where the keys are there and hold nothing."""

    text: str
    path: str
    notes: list[Note] = field(default_factory=list)


def find_text(value: object, path: str = "", depth: int = 0) -> Found | None:
    """The text in a document of unknown shape; None if no known key is in it."""
    if isinstance(value, str):
        return Found(value, path)
    if isinstance(value, (int, float)):
        return Found("true" if value is True else "false" if value is False else str(value), path, [note("number")])
    if depth > _DEPTH:
        return None
    if isinstance(value, list):
        return _in_list(value, path, depth)
    return _in_dict(value, path, depth) if isinstance(value, dict) else None


def _in_list(items: list[object], path: str, depth: int) -> Found | None:
    if not items:
        return Found("", path)
    texts = [item for item in items if isinstance(item, str)] if path.rpartition(".")[2] in _JOINED else []
    if len(texts) == len(items):
        return Found("".join(texts), path)
    found = find_text(items[0], f"{path}.0" if path else "0", depth + 1)
    if found is not None and len(items) > 1:
        found.notes.append(note("array", n=len(items)))
    return found


def _in_dict(doc: dict[str, object], path: str, depth: int) -> Found | None:
    nothing: Found | None = None
    for key in (*TEXT_KEYS, *HOLDER_KEYS):
        if key not in doc:
            continue
        value = doc[key]
        # Words beside a status are a message to people; as output they count only inside an object.
        if key == "message" and not isinstance(value, dict):
            continue
        here = f"{path}.{key}" if path else key
        found = Found("", here) if value is None else find_text(value, here, depth + 1)
        if found is not None and found.text:
            return found
        nothing = nothing or found
    return nothing


def read_baseten(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one document or one message of a stream; False if no known key is in it."""
    if not _REPORT_KEYS.isdisjoint(doc) and report_of(doc) is not None:
        return False  # an error, which is read as one
    over = any(doc.get(key) is True for key in _END_KEYS)
    reason = reason_in(doc.get("finish_reason")) or reason_in(doc.get("stop_reason"))
    found, thought = find_text(doc), reasoning_in(doc)
    if found is None and not over and not reason and not thought:
        return False
    if over:
        out.finished = True
    for key in ("finish_reason", "stop_reason"):
        out.set_finish_reason(doc.get(key))
    out.take_usage(doc.get("usage"))
    out.take_usage({key: doc[key] for key in ("tokens_evaluated", "tokens_predicted") if key in doc})
    out.opened = out.can_repeat = True
    if thought:
        out.emit(thought, REASONING, start, end)
    if found is None or not found.text or (over and _repeats_all(found.text, out)):
        return True
    if not out.texts:
        out.warn("field", path=found.path)
        out.notes.extend(found.notes)
    out.emit(found.text, CONTENT, start, end)
    return True


def _repeats_all(text: str, out: Collector) -> bool:
    """True if a stream's last message holds the whole text once more, after its pieces."""
    return len(out.texts) > 1 and out.text_of(CONTENT) == text
