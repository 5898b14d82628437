"""The dialects' results: output events in flat columns, and other information in the response.

Columns of strings and numbers, because an object kept for each token would make Python's garbage collector walk all of
them, again and again, while a thousand streams are in flight.
"""

from __future__ import annotations

from basetenkit.core.notes import Note, note
from basetenkit.core.types import Kind
from basetenkit.parsing.endings import failure_in, reason_in
from basetenkit.parsing.failures import Report
from basetenkit.parsing.usage import merge, normalise

CONTENT = Kind.CONTENT.value
REASONING = Kind.REASONING.value
REFUSAL = Kind.REFUSAL.value
TOOL_CALL = Kind.TOOL_CALL.value


class Collector:
    """The output events and findings of one response, while it is read.

    `finished`: an end mark of the dialect's own was seen; `done`: [DONE] was. `cut` and `broken` are sentences: why the
    body is incomplete, why it is malformed. `is_chat`: a chat's answer, which does not repeat the prompt. `failed`: the
    failure that a finish reason or a choice names; the rest of the response is still read. `is_endless`: the
    protocol has no end mark. `details`: positions of events that may repeat the reasoning so far; `parts`: what the deltas
    of each part of an output brought. `stray`: the first line of an event stream that is neither a field nor a comment.
    """

    __slots__ = (
        "after_done", "body", "broken", "can_repeat", "cut", "details", "dialect", "done", "embeddings", "ends", "error",
        "example", "failed", "finish_reason", "finished", "is_chat", "is_endless", "keys", "kinds", "notes", "opened",
        "others", "parts", "repeats", "said", "specials", "starts", "stray", "streamed", "texts", "trace", "wire_format",
    )  # fmt: skip

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.texts: list[str] = []
        self.kinds: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        # Choice 1, 2, ... -> the texts of its events by their position in the columns, if several choices came.
        self.others: dict[int, dict[int, str]] = {}
        self.finish_reason: str | None = None
        self.finished = self.done = self.opened = self.is_chat = self.can_repeat = self.is_endless = False
        self.repeats = False  # the dialect is known to send the whole text so far with each event
        self.details: list[int] = []
        self.parts: dict[tuple[object, ...], str] = {}
        self.wire_format: str | None = None
        self.streamed = False
        self.said: dict[str, object] | None = None  # usage, as the server sent it
        self.embeddings: list[list[float]] | None = None
        self.error: Report | None = None
        self.failed: Report | None = None
        self.cut: str | None = None
        self.broken: str | None = None
        self.after_done = self.specials = 0
        self.dialect = self.stray = ""
        self.keys: list[str] = []  # of the first message that no dialect could read
        self.example: str | None = None  # the likeliest path to a text in it
        self.notes: list[Note] = []
        self.trace: list[str] = []

    def emit(self, text: str, kind: str, start: int, end: int) -> None:
        """One output event. Do not call this with empty text, which is not output."""
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

    @property
    def usage(self) -> dict[str, object] | None:
        """The usage under OpenAI's names; None if the server reported none."""
        return None if self.said is None else normalise(self.said)

    def take_usage(self, said: object) -> None:
        """The last word on each count wins; nothing is added up, because servers repeat their totals."""
        if isinstance(said, dict) and said:
            self.said = merge(self.said or {}, said)

    def set_finish_reason(self, said: object) -> None:
        """The finish reason, from a string or from SGLang's {"type": ...}. A word for none is none; a failure is noted."""
        reason = reason_in(said)
        if reason is not None:
            self.finish_reason = reason
            self.take_failure(failure_in(said))

    def take_failure(self, report: Report | None) -> None:
        """A failure that the answer names. One that has its own message counts more than a bare finish reason."""
        if report is not None and (self.failed is None or (self.failed.is_bare and not report.is_bare)):
            self.failed = report

    def forget_events(self) -> None:
        """Drops all events, because they were not output."""
        for column in (self.texts, self.kinds, self.starts, self.ends):
            column.clear()

    def warn(self, code: str, **fields: object) -> None:
        """A note, once."""
        found = note(code, **fields)
        if found not in self.notes:
            self.notes.append(found)

    def add_trace(self, decision: str, start: int = 0, end: int | None = None) -> None:
        """Keeps a decision with the bytes that led to it, for `explain`."""
        stop = len(self.body) if end is None else end
        shown = self.body[start : min(stop, start + 60)]
        dots = "..." if stop - start > 60 else ""
        self.trace.append(f"{decision}  [bytes {start}-{stop}: {shown!r}{dots}]")
