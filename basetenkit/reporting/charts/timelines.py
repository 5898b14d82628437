"""Timelines: each request as a bar, and requests in flight and throughput over a level's time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...analysis.given import of_rows
from ...analysis.metrics import OUTCOMES
from ...results.run_data import RunData
from .. import chart_utils as d
from ..composing import composing

if TYPE_CHECKING:
    import altair as alt

SLICES, LEAST_SLICES = 480, 12  # of all levels together, and of one
ENDS = 10  # in a slice, on average: with fewer, a rate of what ended in it jumps although the server is steady
MEASURES = ("in flight", "tokens/s", "requests/s")


@composing
@of_rows
def waterfall(run: RunData | pl.DataFrame) -> alt.Chart:
    """Each request of a period of time as a bar from its send to its end, with the wait for its first token in a lighter
    colour. The period is in the middle of each level's measured requests, or of its failures, and has at most 120 requests: all
    that were in flight in it. Each row is one place in flight. The subtitle shows how many of all requests are drawn."""
    a, rows = d.altair(), d.rows(run)
    rows = rows.filter(pl.col("start_s").is_not_null() & pl.col("end_s").is_not_null())
    if not rows.height:
        return d.nothing("Requests over time", "No request was sent.")
    parts = [_stretch(part) for _, part in rows.group_by("series", maintain_order=True)]
    begin = pl.coalesce("sent_s", "start_s")
    kept = pl.concat(parts).select(
        "series",
        "outcome",
        "request_id",
        "lane",
        begin=begin.round(5),
        first=(begin + pl.col("ttft_s")).round(5),
        end=pl.col("end_s").round(5),
    )
    present = [o for o in OUTCOMES if o in kept["outcome"]]
    x = a.X("begin:Q", title="Seconds since the level's start", scale=a.Scale(zero=False))
    y = a.Y("lane:O", title="Requests in flight", axis=a.Axis(labels=False, ticks=False))
    base = a.Chart().encode(
        y=y, tooltip=["request_id:N", "outcome:N", a.Tooltip("begin:Q", format=".3f"), a.Tooltip("end:Q", format=".3f")]
    )
    bar = base.mark_bar(height=a.RelativeBandSize(0.8)).encode(x=x, x2="end:Q", color=d.outcome_colour(a, present))
    wait = (
        base.transform_filter("isValid(datum.first)")
        .mark_bar(height=a.RelativeBandSize(0.8), color="white", opacity=0.6)
        .encode(x=x, x2="first:Q")
    )
    layered = a.layer(bar, wait, data=kept).properties(width=d.WIDTH, height=150)
    words = (
        f"{kept.height:,} of {rows.height:,} requests: one period of each level. Lighter: the wait for the first token"
    )
    chart: alt.Chart = layered.facet(
        row=a.Row("series:N", title=None, sort=d.order(rows), header=d.head(a)),
        title=a.Title("Requests over time", subtitle=words),
    ).resolve_scale(x="independent", y="independent")
    return chart


def _stretch(rows: pl.DataFrame) -> pl.DataFrame:
    """Of a level's requests those in flight in a stretch of its time, at most d.BARS, with the `lane` of each: the lowest that is
    free when it starts."""
    rows = rows.filter(pl.col("repeat") == pl.col("repeat").min()).sort("start_s")
    start, end = rows["start_s"].to_numpy(), rows["end_s"].to_numpy()
    if rows.height > d.BARS:
        wanted = rows.select((pl.col("outcome") != "ok") & (pl.col("phase") == "measured")).to_series().arg_true()
        wanted = wanted if wanted.len() else rows["in_window"].fill_null(True).arg_true()
        middle = int(wanted[wanted.len() // 2]) if wanted.len() else len(start) // 2
        from_s = start[min(max(middle - d.BARS // 2, 0), len(start) - d.BARS)]
        during = end > from_s  # all that are still in flight then, and those that start later, by start
        rows = rows.filter(pl.Series(during)).head(d.BARS)
        start, end = rows["start_s"].to_numpy(), rows["end_s"].to_numpy()
    return rows.with_columns(lane=pl.Series(lanes(start, end), dtype=pl.Int64))


def lanes(start: NDArray[np.float64], end: NDArray[np.float64]) -> list[int]:
    """The lane of each request, by start: the lowest that is free when it starts."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    out = []
    for begin, over in zip(start.tolist(), end.tolist(), strict=True):
        while busy and busy[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (over, lane))
        out.append(lane)
    return out


@composing
@of_rows
def activity(run: RunData | pl.DataFrame) -> alt.Chart:
    """Requests in flight, output tokens/s and requests/s (of what ended successfully, at its end) in slices of each level's time
    (s since its start; the mean of repeats), with the starts of the measured window shaded. tokens/s is null if the tokens of
    a success are not known."""
    a, rows = d.altair(), d.rows(run)
    title = "In flight and throughput over time"
    timed = rows.filter(pl.col("start_s").is_not_null() & pl.col("end_s").is_not_null())
    if not timed.height or not float(timed["end_s"].max()) > 0:  # type: ignore[arg-type]
        return d.nothing(title, "No request was sent.")
    order = [name for name in d.order(rows) if name in set(timed["series"])]
    parts, most = [(name, timed.filter(pl.col("series") == name)) for name in order], min(60, SLICES // len(order))
    frame = pl.DataFrame(
        [row for name, part in parts for row in slices(name, part, slices_of(part, most))], infer_schema_length=None
    )
    base = a.Chart()
    steps = (
        base.transform_filter("isValid(datum.value)")
        .mark_line(interpolate="step-after")
        .encode(
            x=a.X("at:Q", title="Seconds since the level's start"),
            y=a.Y("value:Q", title=None),
            color=a.Color("what:N", sort=list(MEASURES), legend=None),
            tooltip=[
                "series:N",
                "what:N",
                a.Tooltip("at:Q", title="s", format=",.2f"),
                a.Tooltip("value:Q", format=",.2f"),
            ],
        )
    )
    shade = base.transform_filter("isValid(datum.from)").mark_rect(color="#E69F00", opacity=0.18)
    shade = shade.encode(x="from:Q", x2="to:Q")
    layers = a.layer(shade, steps, data=d.small(frame)).properties(width=d.WIDTH // 3, height=90)
    chart: alt.Chart = layers.facet(
        row=a.Row("series:N", title=None, sort=order, header=d.head(a)),
        column=a.Column("what:N", title=None, sort=list(MEASURES)),
        title=a.Title(title, subtitle="Shaded: when the requests of the measured window were started"),
    ).resolve_scale(y="independent", x="independent")
    return chart.transform_fold(list(MEASURES), as_=["what", "value"])


def slices_of(rows: pl.DataFrame, most: int) -> int:
    """How many slices of time a level's rows are shown in: as many as hold ENDS requests each, and `most` at most."""
    return max(LEAST_SLICES, min(most, rows.height // max(1, rows["repeat"].n_unique()) // ENDS))


def slices(name: str, rows: pl.DataFrame, count: int) -> Iterator[dict[str, object]]:
    """One row per slice, and one more to close the last step; only the first has the window."""
    start, end = rows["start_s"].to_numpy(), rows["end_s"].to_numpy()
    repeats = max(1, rows["repeat"].n_unique())
    edges = np.linspace(min(0.0, float(start.min())), max(float(end.max()), 1e-9), count + 1)
    width = float(edges[1] - edges[0])
    busy = np.diff(_waited(edges, start) - _waited(edges, end)) / width / repeats
    ok = rows.filter(pl.col("outcome") == "ok")
    done, _ = np.histogram(ok["end_s"].to_numpy(), edges)
    known = ok.height > 0 and not ok["output_tokens"].null_count()
    tokens = np.histogram(ok["end_s"].to_numpy(), edges, weights=ok["output_tokens"].to_numpy())[0] if known else None
    inside = rows.filter(pl.col("in_window").fill_null(False))["start_s"]
    for i in [*range(count), count - 1]:
        row = {"series": name, "at": float(edges[i]), "in flight": float(busy[i])}
        row |= {"tokens/s": None if tokens is None else float(tokens[i]) / width / repeats}
        row |= {"requests/s": float(done[i]) / width / repeats, "from": None, "to": None}
        yield row | ({"from": inside.min(), "to": inside.max()} if i == 0 and inside.len() else {})


def _waited(at: Any, moments: Any) -> Any:
    """For each of `at`, the sum of the time since every earlier moment: its slope is how many moments have passed."""
    ordered = np.sort(moments)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    passed = np.searchsorted(ordered, at)
    return passed * at - total[passed]
