"""Timelines: each request as a bar, and requests in flight and throughput over a level's time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...analysis.given import of_rows
from ...analysis.metrics import OUTCOMES
from ...results.run_data import RunData
from ...results.schema import LEVEL
from .. import chart_utils as d

if TYPE_CHECKING:
    import altair as alt

SLICES, LEAST_SLICES = 480, 12  # of all levels together, and of one
MEASURES = ("in flight", "tokens/s", "requests/s")


@of_rows
def waterfall(run: RunData | pl.DataFrame) -> alt.Chart:
    """Each request as a bar from its send to its end, the wait for its first token in a paler colour. Of failures and of
    successes at most 120 each, evenly over the run."""
    a, rows = d.altair(), d.rows(run)
    rows = rows.filter(pl.col("start_s").is_not_null() & pl.col("end_s").is_not_null())
    if not rows.height:
        return d.nothing("Requests over time", "No request was sent.")
    begin, failed = pl.coalesce("sent_s", "start_s"), pl.col("outcome") != "ok"
    halves = [rows.filter(wanted).sort(*LEVEL, "start_s") for wanted in (failed, ~failed)]
    kept = pl.concat([half.gather_every(max(1, -(-half.height // d.BARS))) for half in halves]).sort(*LEVEL, "start_s")
    kept = kept.select(
        "series",
        "outcome",
        "request_id",
        begin=begin.round(5),
        first=(begin + pl.col("ttft_s")).round(5),
        end=pl.col("end_s").round(5),
    ).with_columns(row=pl.int_range(pl.len()).over("series"))
    present = [o for o in OUTCOMES if o in kept["outcome"]]
    x = a.X("begin:Q", title="Seconds since the level's start")
    y = a.Y("row:O", title=None, axis=None)
    base = a.Chart().encode(
        y=y, tooltip=["request_id:N", "outcome:N", a.Tooltip("begin:Q", format=".3f"), a.Tooltip("end:Q", format=".3f")]
    )
    bar = base.mark_bar(height=a.RelativeBandSize(0.8)).encode(x=x, x2="end:Q", color=d.outcome_colour(a, present))
    wait = (
        base.transform_filter("isValid(datum.first)")
        .mark_bar(height=a.RelativeBandSize(0.8), color="white", opacity=0.6)
        .encode(x=x, x2="first:Q")
    )
    layered = a.layer(bar, wait, data=kept).properties(width=d.WIDTH, height=160)
    chart: alt.Chart = layered.facet(
        row=a.Row(
            "series:N",
            title=None,
            sort=d.order(rows),
            header=d.head(a),
        ),
        title="Requests over time",
    ).resolve_scale(x="independent", y="independent")
    return chart


@of_rows
def activity(run: RunData | pl.DataFrame) -> alt.Chart:
    """Requests in flight, output tokens/s and requests/s (of what ended successfully, at its end) in slices of each level's time
    (s since its start; the mean of repeats), with the starts of the measured window shaded. tokens/s is null where the tokens of
    a success are not known."""
    a, rows = d.altair(), d.rows(run)
    title = "In flight and throughput over time"
    timed = rows.filter(pl.col("start_s").is_not_null() & pl.col("end_s").is_not_null())
    if not timed.height or not float(timed["end_s"].max()) > 0:  # type: ignore[arg-type]
        return d.nothing(title, "No request was sent.")
    order = [name for name in d.order(rows) if name in set(timed["series"])]
    slices = max(LEAST_SLICES, min(60, SLICES // len(order)))
    frame = pl.DataFrame(
        [row for name in order for row in _slices(name, timed.filter(pl.col("series") == name), slices)],
        infer_schema_length=None,
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


def _slices(name: str, rows: pl.DataFrame, count: int) -> Iterator[dict[str, object]]:
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
