"""Where the dialects put what they find: output events in flat columns, and what else the response says of itself.

Columns of strings and numbers, because an object kept for each token would make Python's garbage collector walk all of
them, again and again, while a thousand streams are in flight.
"""

from __future__ import annotations

from typing import Any

from basetenkit.findings import note
from basetenkit.parsing.failures import Report
from basetenkit.parsing.lenient import clean
from basetenkit.parsing.usage import normalise
from basetenkit.types import Kind

CONTENT = Kind.CONTENT.value
REASONING = Kind.REASONING.value
REFUSAL = Kind.REFUSAL.value
TOOL_CALL = Kind.TOOL_CALL.value


class Collector:
    """The output events and findings of one response, while it is read.

    `finished`: an end mark of the dialect's own was seen; `done`: [DONE] was. `cut` and `broken` are sentences: why the
    body is incomplete, why it is malformed. `is_chat`: a chat's answer, which does not repeat the prompt.
    """

    __slots__ = (
        "after_done", "bad", "bad_why", "body", "broken", "can_repeat", "cut", "dialect", "done", "embeddings", "ends",
        "error", "finish_reason", "finished", "is_chat", "keys", "kinds", "notes", "opened", "others", "specials", "starts",
        "streamed", "texts", "trace", "usage", "wire_format",
    )  # fmt: skip

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.texts: list[str] = []
        self.kinds: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        # Choice 1, 2, ... -> the texts of its events by their position in the columns, where several choices came.
        self.others: dict[int, dict[int, str]] = {}
        self.finish_reason: str | None = None
        self.finished = self.done = self.opened = self.is_chat = self.can_repeat = False
        self.wire_format: str | None = None
        self.streamed = False
        self.usage: dict[str, Any] | None = None
        self.embeddings: list[list[float]] | None = None
        self.error: Report | None = None
        self.cut: str | None = None
        self.broken: str | None = None
        self.bad = self.after_done = self.specials = 0
        self.bad_why = self.dialect = ""
        self.keys: list[str] = []  # of the first message that no dialect could read
        self.notes: list[str] = []
        self.trace: list[str] = []

    def emit(self, text: str, kind: str, start: int, end: int) -> None:
        """One output event. Empty text is no output: do not call this with it."""
        self.texts.append(text)
        self.kinds.append(kind)
        self.starts.append(start)
        self.ends.append(end)

    def text_of(self, kind: str) -> str:
        """All text of one kind, joined."""
        return "".join(text for text, k in zip(self.texts, self.kinds, strict=True) if k == kind)

    def emit_other(self, choice: int, text: str, kind: str, start: int, end: int) -> None:
        """An output event of another choice than the first: it counts in time, but its text is not in the response's."""
        self.others.setdefault(choice, {})[len(self.texts)] = text
        self.emit("", kind, start, end)

    def take_usage(self, said: Any) -> None:
        """The last word on each count wins; nothing is added up, for servers repeat their totals."""
        if not isinstance(said, dict) or not said:
            return
        said = normalise(said)
        if self.usage is None:
            self.usage = dict(said)
        else:
            self.usage.update({k: v for k, v in said.items() if v is not None})

    def take_finish(self, reason: Any) -> None:
        """The finish reason, from a string or from SGLang's {"type": ...}."""
        if isinstance(reason, dict):
            reason = reason.get("type")
        if isinstance(reason, str) and reason:
            self.finish_reason = clean(reason)[:200]

    def warn(self, code: str, **fields: object) -> None:
        """A note, once."""
        text = note(code, **fields)
        if text not in self.notes:
            self.notes.append(text)

    def because(self, decision: str, start: int = 0, end: int | None = None) -> None:
        """Keeps a decision with the bytes that led to it, for `explain`."""
        stop = len(self.body) if end is None else end
        shown = self.body[start : min(stop, start + 60)]
        dots = "..." if stop - start > 60 else ""
        self.trace.append(f"{decision}  [bytes {start}-{stop}: {shown!r}{dots}]")
