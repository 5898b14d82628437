"""The workbench's information about a response, as HTML in which all text from a server is escaped."""

from __future__ import annotations

import json

from ...core.markup import render
from ...core.tables import html_table
from ...core.types import JsonObject, Kind
from ...parsing import ParsedResponse
from ...reporting.response_charts import messages_frame
from ...results.parser_case import ParserCase
from .source import ResponseSource

ROWS = 400  # rows of a table: more cannot be looked through
_LONG = 160  # characters of a text in a cell
_VERDICT = """
<div class="bk-verdict">{% if so_far %}If this were all: {% endif %}
<b class="bk-{{ "ok" if ok else "failed" }}">{{ outcome }}</b>{{ error }}</div>
<div class="bk-faint">{{ facts | join(" · ") }}</div>"""
_OUTPUT = """
{% for name, text in parts %}
<p class="bk-faint">{{ name }}</p>{{ text }}
{% else %}
<p class="bk-faint">No output.</p>
{% endfor %}"""
_ROWS = """
{% if table is none %}
<p class="bk-faint">{{ nothing }}</p>
{% else %}
{{ table }}
{% endif %}
{% if left_out > 0 %}
<p class="bk-faint">{{ "{:,}".format(left_out) }} more rows are not shown.</p>
{% endif %}"""
_KEY = """
<div class="bk-faint bk-key">Messages by what they became:{% for kind, name in names.items() %}<i class="bk-{{ kind }}"></i>
{{- name }}{% endfor %} · a bar at the left: a new read begins</div>"""


def verdict(parsed: ParsedResponse, so_far: bool) -> str:
    """Outcome, the error's sentence, tokens, finish reason; `so_far` where more is still to come."""
    ok = parsed.outcome.value == "ok"
    error = f": {_short(parsed.error_message, 400)}" if parsed.error_message else ""
    facts = [f"as {parsed.wire_format}" if parsed.wire_format else "", _count(parsed)]
    facts += [f"finish reason {_short(parsed.finish_reason)}" if parsed.finish_reason else ""]
    facts += [f"{name} {value:,} tokens" for name, value in _tokens(parsed) if value is not None]
    facts += [f"error's source: {_short(parsed.error_source)}" if parsed.error_source else ""]
    return render(
        _VERDICT, so_far=so_far, ok=ok, outcome=parsed.outcome.value, error=error, facts=list(filter(None, facts))
    )


def _count(parsed: ParsedResponse) -> str:
    n = len(parsed.event_texts)
    return f"{n:,} output event{'' if n == 1 else 's'}"


def _tokens(parsed: ParsedResponse) -> list[tuple[str, int | None]]:
    return [
        ("input", parsed.prompt_tokens),
        ("of them cached", parsed.cached_tokens),
        ("output", parsed.completion_tokens),
        ("of them reasoning", parsed.reasoning_tokens),
    ]


def output(parsed: ParsedResponse) -> str:
    """The text of each kind, and the counts as the server reported them."""
    parts = [("content", parsed.text), ("reasoning", parsed.reasoning), ("refusal", parsed.refusal)]
    if parsed.usage is not None:
        parts.append(("usage, as reported", json.dumps(parsed.usage, ensure_ascii=False, default=str)))
    if parsed.embeddings:
        sizes = sorted({len(vector) for vector in parsed.embeddings})
        parts.append(("embeddings", f"{len(parsed.embeddings):,} of dimension {', '.join(map(str, sizes))}"))
    return render(_OUTPUT, parts=[(name, pre(text)) for name, text in parts if text])


def events(parsed: ParsedResponse, bounds: list[float | None]) -> str:
    """One row per output event: when it came, its error bound, its kind and text, and its bytes."""
    rows: list[dict[str, object]] = []
    before: float | None = None
    for i, (event, bound) in enumerate(zip(parsed.events, bounds, strict=True)):
        at = event.arrival_s
        gap = at - before if at is not None and before is not None else None
        read = parsed.event_reads[i]
        rows.append({"event": i, "kind": event.kind, "text": _visible(event.text), "arrival, ms": _ms(at, 1)})
        rows[-1] |= {"earlier by at most, ms": _ms(bound, 3), "gap, ms": _ms(gap, 1)}
        rows[-1] |= {"in read": str(read + 1) if read >= 0 else "–", "bytes": f"{event.start:,} to {event.end:,}"}
        before = at
    return _table(rows, "No output event.")


def messages(case: ParserCase) -> str:
    """One row per message: what the server sent, and how many output events it gave."""
    rows = [
        {
            "message": m["index"],
            "events": m["events"],
            "name": "" if m["name"] is None else m["name"],
            "data": _short(m["data"]) + ("" if m["whole"] else " (cut off)"),
            "arrival, ms": _ms(m["arrival_s"], 1),
            "bytes": f"{m['start']:,} to {m['end']:,}",
        }
        for m in messages_frame(case).iter_rows(named=True)
    ]
    return _table(rows, "No message.")


def _table(rows: list[JsonObject], nothing: str) -> str:
    table = html_table(rows[:ROWS]) if rows else None
    return render(_ROWS, table=table, nothing=nothing, left_out=len(rows) - ROWS)


def explanation(parsed: ParsedResponse) -> str:
    """The decisions in order, including the warnings."""
    return pre(parsed.explain())


def findings(parsed: ParsedResponse) -> str:
    """What a reader of this response's figures must know."""
    rows = [{"finding": note.code, "what the parser did, and why": note.sentence} for note in parsed.notes]
    return _table(rows, "Nothing out of the ordinary.")


def pre(text: str) -> str:
    return render('<pre class="bk-text">{{ text }}</pre>', text=text)


def key(kinds: list[str]) -> str:
    """What the colours mean."""
    names = {kind.value: kind.value.replace("_", " ") for kind in Kind if kind.value in kinds}
    return render(_KEY, names=names | {"silent": "no output"})


def reads(source: ResponseSource, case: ParserCase, kinds: dict[int, str]) -> tuple[list[dict[str, object]], str]:
    """(the reads as ArrivalStrip draws them, their unit): along time in ms, or along the body if there are no times.
    `kinds`: index of a read -> kind of the first event that it completed."""
    unit, found, before = "ms since the send" if case.times else "bytes of the body", [], 0
    for i, (end, bound) in enumerate(zip(case.read_ends, source.read_bounds(), strict=True)):
        at, error = (case.times[i] * 1e3, (bound or 0) * 1e3) if case.times else (float(end), 0.0)
        said = f"{describe(case, i, bound)}, {end - before:,} bytes"
        found.append({"at": at, "error": error, "kind": kinds.get(i, "silent"), "said": said})
        before = end
    return found, unit


def describe(case: ParserCase, i: int, bound: float | None) -> str:
    """Read `i` in words, with its time and how sure that is."""
    words = f"read {i + 1} of {len(case.read_ends)}"
    if not case.times:
        return words
    sure = "" if bound is None else f", or up to {bound * 1e3:,.3f} ms earlier"
    return f"{words}: {case.times[i] * 1e3:,.2f} ms{sure}"


def _ms(seconds: float | None, digits: int) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:,.{digits}f}"


def _short(text: object, most: int = _LONG) -> str:
    shown = str(text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _visible(text: str) -> str:
    return json.dumps(_short(text), ensure_ascii=False)
