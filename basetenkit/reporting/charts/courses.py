"""How latencies depend on other figures: TTFT on the length of the input, inter-token latency on the position in the
response."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import polars as pl

from ...analysis.given import of_rows
from ...results.run_data import RunData
from .. import chart_utils as d
from ..composing import composing

if TYPE_CHECKING:
    import altair as alt

BINS, CELLS, LEAST_BINS = 24, 160, 5
_SPREAD = (
    pl.col("y").quantile(0.1).alias("p10"),
    pl.col("y").median().alias("p50"),
    pl.col("y").quantile(0.9).alias("p90"),
)


@composing
@of_rows
def ttft_by_input(run: RunData | pl.DataFrame) -> alt.Chart:
    """Time to first token (ms, or s from 10 s on) against input tokens: median, and p10 to p90 as a bar, of the requests in
    each class of lengths; each level has a colour."""
    a, rows = d.altair(), d.rows(run)
    title = "Time to first token against input length"
    frame = d.ok(rows).select("series", x=pl.col("input_tokens").cast(pl.Float64), y="ttft_s").drop_nulls()
    if not frame.height:
        return d.nothing(title, "No successful streamed request in the window has a TTFT and a count of input tokens.")
    factor, unit = d.scale(float(frame["y"].max()))  # type: ignore[arg-type]
    found = _classes(frame.with_columns(pl.col("y") * factor), "x").sort("series", "x")
    base = a.Chart(d.small(found)).encode(
        x=a.X("x:Q", title="Input tokens, mean of the class", scale=a.Scale(zero=False)),
        color=d.colour(a, d.order(rows)),
        tooltip=_tips(a, unit, "input tokens", "requests"),
    )
    bars = base.mark_rule(strokeWidth=2, opacity=0.5).encode(y="p10:Q", y2="p90:Q")
    dots = base.mark_point(filled=True, opacity=1).encode(
        y=a.Y("p50:Q", title=f"Time to first token, {unit}"),
        size=a.Size("n:Q", title="Requests", scale=a.Scale(range=[20, 120]), legend=None),
    )
    words = "Dots: medians, larger for more requests; bars: p10 to p90 of the requests"
    return (bars + dots).properties(title=a.Title(title, subtitle=words), width=d.WIDTH, height=d.HEIGHT)  # type: ignore[no-any-return]


@composing
@of_rows
def itl_course(run: RunData | pl.DataFrame) -> alt.Chart:
    """Gaps between output chunks (ms) over the course of the response: median, and p10 to p90 as a band, by the number of the
    chunk that ends the gap; each level has a colour. Only long responses have late chunks."""
    a, rows = d.altair(), d.rows(run)
    title = "Inter-token latency over the response"
    frame = d.gaps(run, rows)
    if not frame.height:
        return d.nothing(title, d.NO_GAPS)
    values = frame.select("series", x=pl.col("index").cast(pl.Float64), y=pl.col("gap") * 1e3)
    found = _classes(values, "x").sort("series", "x")
    base = a.Chart(d.small(found)).encode(
        x=a.X("x:Q", title="Output chunk of the response, from 0", scale=a.Scale(zero=False)),
        color=d.colour(a, d.order(rows)),
        tooltip=_tips(a, "ms", "chunk", "gaps"),
    )
    band = base.mark_area(opacity=0.18).encode(y="p10:Q", y2="p90:Q")
    line = base.mark_line(point=a.OverlayMarkDef(size=25)).encode(y=a.Y("p50:Q", title="Gap before the chunk, ms"))
    words = ["Lines: medians; bands: p10 to p90 of the gaps. Only long responses have late chunks", *d.drawn(rows)]
    return (band + line).properties(title=a.Title(title, subtitle=words), width=d.WIDTH, height=d.HEIGHT)  # type: ignore[no-any-return]


def _classes(frame: pl.DataFrame, x: str) -> pl.DataFrame:
    """Median, p10, p90 and number of `y` in each class of x: each value of x by itself if there are few, else classes of equal
    width."""
    bins = max(LEAST_BINS, min(BINS, CELLS // max(1, frame["series"].n_unique())))
    low, high = frame.select(low=pl.col(x).min(), high=pl.col(x).max()).row(0)
    place = pl.col(x)
    if frame[x].n_unique() > bins:
        place = ((pl.col(x) - low) / (high - low) * bins).floor().clip(0, bins - 1)
    grouped = frame.group_by("series", place.alias("class"))
    return grouped.agg(pl.col(x).mean(), *_SPREAD, n=pl.len()).drop("class")


def _tips(a: ModuleType, unit: str, x: str, n: str) -> list[Any]:
    spread = [a.Tooltip(f"{p}:Q", title=f"{p}, {unit}", format=",.2f") for p in ("p10", "p50", "p90")]
    return [
        a.Tooltip("series:N", title="level"),
        a.Tooltip("x:Q", title=x, format=",.1f"),
        *spread,
        a.Tooltip("n:Q", title=n),
    ]
