"""One response in detail: its messages, its output events and their times, as frames and as a chart.

For one response it matters which bytes made which event, and when they came. So each frame has byte ranges and times, and both
refer to the decoded body. Without times, the axis of the chart shows bytes.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import polars as pl

from ..core.types import Kind, first_header
from ..parsing import ParsedResponse, encoding
from ..parsing.wire import ndjson_messages, sse_messages, text_events
from . import chart_utils as d
from .altair_renderer import PALETTE

if TYPE_CHECKING:
    import altair as alt

    from ..results.parser_case import ParserCase

TITLE = "Output events"
TICKS = 600  # more than one per pixel cannot be distinguished
_SHOWN = 40  # characters of an event's text in its tooltip
_KINDS = [kind.value for kind in Kind]


def messages_frame(case: ParserCase) -> pl.DataFrame:
    """One row per message: index, name (of an SSE event), data, start, end (bytes in the decoded body), whole, arrival_s,
    events (how many output events it gave). A body without messages is one row, plain text that was streamed one a read."""
    parsed = case.parse()
    decoded = encoding.decode(case.body, case.read_ends, first_header(case.headers, "content-encoding"))
    ends, times = decoded.read_ends, case.times
    found = _messages(decoded.body, ends, parsed)
    rows = [
        {
            "name": name,
            "data": data.decode("utf-8", "replace"),
            "start": start,
            "end": end,
            "whole": whole,
            "arrival_s": times[min(bisect_left(ends, end), len(times) - 1)] if times else None,
            "events": sum(1 for _ in _at(parsed.event_ends, end)),
        }
        for name, data, start, end, whole in found
    ]
    schema = {"name": pl.String, "data": pl.String, "start": pl.Int64, "end": pl.Int64, "whole": pl.Boolean}
    frame = pl.DataFrame(rows, schema=schema | {"arrival_s": pl.Float64, "events": pl.Int64})
    return frame.with_row_index("index")


def _messages(
    body: bytes, ends: Sequence[int], parsed: ParsedResponse
) -> Iterable[tuple[object, bytes, int, int, bool]]:
    """Cut as the parser cut it, which its `wire_format` tells."""
    if not body:
        return []
    if parsed.wire_format == "sse":
        return sse_messages(body)
    if parsed.wire_format == "ndjson":
        return ndjson_messages(body)
    if parsed.wire_format == "text" and parsed.streamed:
        return [(None, body[start:end], start, end, True) for _, start, end in text_events(body, ends, False)]
    return [(None, body, 0, len(body), True)]


def _at(ends: Sequence[int], end: int) -> range:
    """The position of this one in the ascending `ends`."""
    first = bisect_left(ends, end)
    return range(first, bisect_left(ends, end + 1, first))


def events_frame(parsed: ParsedResponse) -> pl.DataFrame:
    """One row per output event: index, kind, text, arrival_s, gap_s (since the event before), read, start, end. Times are
    null if the bytes came without; `read` is the index of the read that completed the event, null without reads."""
    events = parsed.events
    frame = pl.DataFrame(
        {
            "kind": [event.kind for event in events],
            "text": [event.text for event in events],
            "arrival_s": [event.arrival_s for event in events],
            "read": [read if read >= 0 else None for read in parsed.event_reads],
            "start": [event.start for event in events],
            "end": [event.end for event in events],
        },
        schema={
            "kind": pl.String,
            "text": pl.String,
            "arrival_s": pl.Float64,
            "read": pl.Int64,
            "start": pl.Int64,
            "end": pl.Int64,
        },
    )
    gap = pl.col("arrival_s").diff().alias("gap_s")
    columns = ("index", "kind", "text", "arrival_s", "gap_s", "read", "start", "end")
    return frame.with_columns(gap).with_row_index("index").select(columns)


def timing_frame(parsed: ParsedResponse) -> pl.DataFrame:
    """What the times of one response come to: what, seconds; null if the bytes came without times.

    Gaps are between reads that brought output: the spacing of events that came in one read is not known.
    """
    frame = events_frame(parsed)
    content = frame.filter(pl.col("kind") == Kind.CONTENT.value)["arrival_s"]
    gaps = frame.unique("read", keep="first", maintain_order=True)["arrival_s"].diff()
    rows = {
        "first output": frame["arrival_s"].min(),
        "first content": content.min(),
        "last output": frame["arrival_s"].max(),
        "median gap between reads with output": gaps.median(),
        "longest gap between reads with output": gaps.max(),
    }
    return pl.DataFrame({"what": list(rows), "seconds": list(rows.values())}, schema_overrides={"seconds": pl.Float64})


def events_strip(parsed: ParsedResponse) -> alt.Chart:
    """Each output event as a tick at its arrival, a row a kind; along the body's bytes if there are no times."""
    frame = events_frame(parsed)
    if not frame.height:
        why = f": {parsed.error_message}" if parsed.error_message else ""
        return d.nothing(TITLE, f"The response ({parsed.outcome.value}) has no output event{why}"[:120])
    a, timed = d.altair(), frame["arrival_s"].null_count() == 0
    factor, unit = d.scale(float(frame["arrival_s"].max())) if timed else (1.0, "bytes")  # type: ignore[arg-type]
    ticks = _ticks(frame.with_columns(at=pl.col("arrival_s" if timed else "end") * factor))
    present = [kind for kind in _KINDS if kind in ticks["kind"]]
    title = f"Arrival, {unit}" if timed else "End of the event in the body, bytes (it came without times)"
    colour = a.Color("kind:N", scale=a.Scale(domain=present, range=PALETTE[: len(present)]), legend=None)
    chart = (
        a.Chart(ticks)
        .mark_tick(thickness=1.5, size=24, opacity=1)
        .encode(
            x=a.X("at:Q", title=title, scale=a.Scale(zero=not timed, padding=6)),
            y=a.Y("kind:N", title=None, sort=present),
            color=colour,
            tooltip=[
                a.Tooltip("index:Q", title="event"),
                a.Tooltip("said:N", title="text"),
                a.Tooltip("at:Q", title=unit, format=",.2f" if timed else ",d"),
                a.Tooltip("events:Q", title="events here"),
            ],
        )
    )
    name = a.Title(TITLE, subtitle=_subtitle(frame, ticks, factor, unit, timed))
    return chart.properties(title=name, width=d.WIDTH, height=a.Step(40))  # type: ignore[no-any-return]


def _ticks(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per tick: `at`, `kind`, `said`, `index` of the first event there, `events` there. Events that come closer than a
    picture can show are one tick at the place of the first."""
    low, high = float(frame["at"].min()), float(frame["at"].max())  # type: ignore[arg-type]
    width = (high - low) / TICKS
    place = ((pl.col("at") - low) / width).floor() if frame.height > TICKS and width > 0 else pl.col("at")
    ticks = frame.group_by("kind", place.alias("place"), maintain_order=True).agg(
        pl.col("at").first(), pl.col("text").first(), pl.col("index").first(), events=pl.len()
    )
    said = pl.col("text").map_elements(lambda text: _visible(text), return_dtype=pl.String)
    return ticks.with_columns(said=said).drop("text", "place")


def _visible(text: str) -> str:
    """The text in quotation marks, so that blanks and line ends are seen."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return json.dumps(shown, ensure_ascii=False)


def _subtitle(frame: pl.DataFrame, ticks: pl.DataFrame, factor: float, unit: str, timed: bool) -> str:
    parts = [f"{frame.height:,} events"]
    reads = frame["read"].drop_nulls().n_unique()
    if reads:
        parts.append(f"completed by {reads:,} read{'s' * (reads > 1)}")
    if timed:
        first, last = (float(frame["arrival_s"][i]) * factor for i in (0, -1))
        parts.append(f"from {first:,.1f} to {last:,.1f} {unit}")
    if ticks.height < frame.height:
        parts.append(f"{ticks.height:,} ticks where some came together")
    return ", ".join(parts)
