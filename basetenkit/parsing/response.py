"""A response's bytes -> its text and its outcome: connects `wire`, the dialects and the steps after them.

The input is the whole body, the output are events with byte ranges. The time of an event is found by its offset among the
reads, so the same bytes parse to the same result however they are split. The one exception is a plain-text stream, which has no
messages: each read is an event. No response raises an exception here; an error becomes the outcome and one sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from basetenkit.core.markup import render
from basetenkit.core.notes import Note
from basetenkit.core.types import Failure, Outcome, OutputEvent, first_header
from basetenkit.parsing import encoding
from basetenkit.parsing.body import ParseContext, read_body
from basetenkit.parsing.collector import CONTENT, REASONING, REFUSAL, Collector
from basetenkit.parsing.failures import asking_to_wait, http_report, source_of
from basetenkit.parsing.lenient import clean
from basetenkit.parsing.settle import finalize
from basetenkit.parsing.usage import UsageCounts, validate_usage
from basetenkit.parsing.wire import framing

_SHOWN = 2000
_SHOWN_AS = """<pre style="white-space:pre-wrap">{{ said }}</pre>
<details open><summary>{{ outcome }}: why</summary><pre style="white-space:pre-wrap">{{ why }}</pre></details>
"""
_REQUEST_IDS = ("x-baseten-request-id", "x-request-id", "request-id")


@dataclass(slots=True, eq=False)
class ParsedResponse:
    """A parsed response. The `event_*` columns have one entry per output event, in order of arrival.

    `event_starts`, `event_ends`: its message's byte range in the decoded body; `event_reads`: the index of the read that
    completed it, -1 if no reads were given; `event_closes`: whether it ends exactly where that read ended.
    `usage` is as the server reported it, under OpenAI's names; the `*_tokens` properties are its plausible values.
    `embeddings`: one vector an input.
    """

    outcome: Outcome = Outcome.EMPTY
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    usage: dict[str, object] | None = None
    error_message: str | None = None
    error_source: str | None = None
    error_code: str | None = None
    upstream_request_id: str | None = None
    wire_format: str | None = None
    streamed: bool = False
    embeddings: list[list[float]] | None = None
    notes: list[Note] = field(default_factory=list)
    event_texts: list[str] = field(default_factory=list)
    event_kinds: list[str] = field(default_factory=list)
    event_starts: list[int] = field(default_factory=list)
    event_ends: list[int] = field(default_factory=list)
    event_reads: list[int] = field(default_factory=list)
    event_closes: list[bool] = field(default_factory=list)
    counts: UsageCounts = field(default_factory=UsageCounts)
    read_times: Sequence[float] = ()
    decisions: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        """The parser's remarks, each as "code: sentence"."""
        return [str(note) for note in self.notes]

    @property
    def events(self) -> list[OutputEvent]:
        """The output events as objects; `arrival_s` where the times of the reads were given."""
        times = self.read_times
        columns = zip(
            self.event_texts, self.event_kinds, self.event_starts, self.event_ends, self.event_reads, strict=True
        )
        return [OutputEvent(t, k, s, e, times[r] if times and r >= 0 else None) for t, k, s, e, r in columns]

    @property
    def prompt_tokens(self) -> int | None:
        """Input tokens, as the server reported and as can be."""
        return self.counts.prompt

    @property
    def completion_tokens(self) -> int | None:
        """Output tokens, as the server reported and as can be."""
        return self.counts.completion

    @property
    def reasoning_tokens(self) -> int | None:
        """How many of the output tokens were reasoning."""
        return self.counts.reasoning

    @property
    def cached_tokens(self) -> int | None:
        """How many of the input tokens came from the server's prefix cache."""
        return self.counts.cached

    def explain(self) -> str:
        """The decisions in order, each with the bytes that led to it."""
        lines = [*self.decisions, *(f"note: {note}" for note in self.notes)]
        lines.append(f"outcome: {self.outcome.value}" + (f", {self.error_message}" if self.error_message else ""))
        return "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """The text first, then why. The server's response is shown as text."""
        said, why = clean(self.text or self.error_message or "(no text)")[:_SHOWN], self.explain()
        markup = str(render(_SHOWN_AS, said=said, outcome=self.outcome.value, why=why))
        return {"text/html": markup, "text/plain": f"{said}\n\n{why}"}


def parse_response(
    body: bytes | bytearray,
    read_ends: Sequence[int] = (),
    *,
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (),
    stream: bool = True,
    failure: Failure | None = None,
    response_path: str | None = None,
    prompt: str | None = None,
    inputs: int | None = None,
    max_tokens: int | None = None,
) -> ParsedResponse:
    """Reads one response. Raises nothing over its bytes.

    `read_ends`: length of the (encoded) body after each read, ascending; `stream`: whether a stream was asked for;
    `failure`: the transport's verdict, which becomes the outcome; `prompt`: to see its echo; `inputs`: how many
    embeddings there must be; `max_tokens`: the most output tokens that were allowed.
    """
    decoded = encoding.decode(bytes(body), read_ends, first_header(headers, "content-encoding"))
    out = Collector(decoded.body)
    parsed = ParsedResponse()
    parsed.upstream_request_id = next((v for v in (first_header(headers, n) for n in _REQUEST_IDS) if v), None)
    if decoded.encoding:
        out.warn("encoded", encoding=decoded.encoding)
        out.trace.append(f"content-encoding: {decoded.encoding}, undone; offsets are in the decoded body")
    out.broken, out.cut = decoded.malformed, decoded.incomplete
    if out.broken is None and (200 <= status < 300 or (failure is not None and not status)):
        asked = ParseContext(stream, failure is not None, response_path, inputs)
        if out.body or failure is None:  # what never got a byte has no format
            read_body(out, decoded.read_ends, headers, asked)
    elif not 200 <= status < 300:
        _read_error(out, status, headers)
    _take_failed(out)
    whole = failure is None and out.cut is None and out.error is None
    finalize(out, None if out.is_chat else prompt)
    if out.texts:
        out.add_trace(
            f"first output: {out.kinds[0]}, the earliest of {len(out.texts)} event(s)", out.starts[0], out.ends[0]
        )
    _fill(out, parsed)
    _judge(out, parsed, status, failure)
    _attribute_error(out, parsed, status, headers)
    _time(out, parsed, decoded.read_ends, bool(decoded.encoding))
    limit = None if max_tokens is None else max_tokens * (len(out.others) + 1)
    parsed.counts, notes = validate_usage(out.usage, has_output=bool(out.texts), limit=limit, is_whole=whole)
    parsed.notes, parsed.decisions = out.notes + notes, out.trace
    return parsed


def _take_failed(out: Collector) -> None:
    """A failure that the answer's finish reason or choice names is the outcome, if nothing graver is."""
    if out.failed is None or out.error is not None or out.broken:
        return
    out.add_trace(f"the answer names a failure: {out.failed.message[:80]}")
    if out.failed.is_cut:
        out.cut = out.cut or out.failed.message
    else:
        out.error = out.failed


def _read_error(out: Collector, status: int, headers: Sequence[tuple[str, str]]) -> None:
    out.error = asking_to_wait(http_report(status, out.body), first_header(headers, "retry-after"))
    kind = framing(out.body, None).kind
    out.wire_format = "text" if kind == "html" else kind
    out.add_trace(f"status {status}: the body is an error's")


def _fill(out: Collector, parsed: ParsedResponse) -> None:
    if out.kinds.count(CONTENT) == len(out.kinds):
        parsed.text = "".join(out.texts)
    else:
        parsed.text, parsed.reasoning, parsed.refusal = (out.text_of(kind) for kind in (CONTENT, REASONING, REFUSAL))
    parsed.event_texts, parsed.event_kinds = out.texts, out.kinds
    parsed.event_starts, parsed.event_ends = out.starts, out.ends
    parsed.finish_reason, parsed.usage, parsed.embeddings = out.finish_reason, out.usage, out.embeddings
    parsed.wire_format, parsed.streamed = out.wire_format, out.streamed


def _judge(out: Collector, parsed: ParsedResponse, status: int, failure: Failure | None) -> None:
    """The outcome, by what weighs most; and its sentence."""
    if failure is not None:
        parsed.outcome, parsed.error_message = Outcome(failure.outcome), failure.message
    elif not 200 <= status < 300:
        parsed.outcome, parsed.error_message = Outcome.HTTP_ERROR, out.error.message if out.error else f"HTTP {status}"
    elif out.broken:
        parsed.outcome, parsed.error_message = Outcome.MALFORMED, out.broken
    elif out.error is not None:
        parsed.outcome, parsed.error_message = Outcome.API_ERROR, out.error.message
    elif out.cut:
        parsed.outcome, parsed.error_message = Outcome.INCOMPLETE, out.cut + _beside(out)
    elif out.texts or out.embeddings or out.finish_reason == "content_filter":
        parsed.outcome = Outcome.OK
    else:
        parsed.outcome = Outcome.EMPTY
        nothing = "the response holds no output" if out.stray else "the response is well-formed and holds no output"
        parsed.error_message = nothing + _beside(out) if out.body else "the body has no bytes"

    if parsed.error_message is not None:
        parsed.error_message = clean(parsed.error_message)


def _beside(out: Collector) -> str:
    """The line that no event holds, for it may be the cause."""
    return f"; outside any event it has: {out.stray}" if out.stray else ""


def _attribute_error(out: Collector, parsed: ParsedResponse, status: int, headers: Sequence[tuple[str, str]]) -> None:
    if out.error is None or parsed.outcome not in (Outcome.API_ERROR, Outcome.HTTP_ERROR):
        return
    parsed.error_source = source_of(headers, out.error, out.body, status)
    parsed.error_code = out.error.code or first_header(headers, "x-baseten-error-code")


def _time(out: Collector, parsed: ParsedResponse, read_ends: Sequence[int], encoded: bool) -> None:
    """Finds the read that completed each event, the last one if none did."""
    if not len(read_ends):
        parsed.event_reads, parsed.event_closes = [-1] * len(out.ends), [False] * len(out.ends)
        return
    brought, ends = np.asarray(read_ends, np.int64), np.asarray(out.ends, np.int64)
    at = np.minimum(brought.searchsorted(ends), len(brought) - 1)
    parsed.event_reads = reads = at.tolist()
    parsed.event_closes = [False] * len(reads) if encoded else (brought[at] == ends).tolist()
    if out.streamed and len(set(reads)) < len(reads):
        out.warn("same_time", n=Counter(reads).most_common(1)[0][1])
