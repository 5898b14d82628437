"""How a latency is distributed: its ECDF, its histogram, and the gaps between output chunks.

The clock's error has only one side: an event never came later than its timestamp. Its band is therefore left of each figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from ...analysis.clock_error import bounded, errors_of, quantile_of, within_the_clock
from ...analysis.given import figure_name, of_rows
from ...analysis.metrics import METRICS, headline, observed, percentile
from ...config.loads import OpenLoop
from ...core.tables import digits
from ...core.types import Estimate
from ...results.run_data import RunData
from ...results.schema import UNIT
from .. import chart_utils as d
from ..composing import composing

if TYPE_CHECKING:
    import altair as alt

LATENCIES = [name for name, metric in METRICS.items() if metric.kind in ("latency", "speed")]
Since = Literal["due", "send"]
_MARKS = {"series": pl.String, "p": pl.String} | dict.fromkeys(("x", "low", "high", "early", "mark_share"), pl.Float64)


@composing
@of_rows
def latency_ecdf(run: RunData | pl.DataFrame, metric: str = "ttft_s", since: Since = "due") -> alt.Chart:
    """The share of requests at or below each value of a latency (ms, or s from 10 s on), one curve per level, with p50, p90 and
    p99, their 95% intervals, and the band of the clock's proven error (if no request was cut). In an open loop a latency counts
    from when its request was due; `since="send"`: from the send."""
    a, rows = d.altair(), d.rows(run)
    metric = _counted_from(rows, figure_name(metric, LATENCIES, "latency_ecdf"), since)
    title, seen = METRICS[metric].title, _seen(rows, metric)
    if not seen:
        return d.nothing(title, d.NO_LATENCY)
    factor, unit = d.scale(max(float(level.x.max()) for level in seen.values()))
    steps = [
        {"series": name, "x": v, "share": s, "early": early}
        for name, of in seen.items()
        for (v, s), early in _points(of.x * factor, of.cut, None if of.error is None else of.error * factor)
    ]
    marks, curve = _marks(seen, factor), a.Chart(d.small(pl.DataFrame(steps, infer_schema_length=None)))
    colour, base_x = d.colour(a, d.order(rows)), a.X("x:Q", title=f"{title}, {unit}", scale=a.Scale(zero=False))
    share = a.Y("share:Q", title="Share of requests", axis=a.Axis(format="%"), scale=a.Scale(domain=[0, 1]))
    line = curve.mark_line(interpolate="step-after").encode(x=base_x, y=share, color=colour, tooltip=d.tips(a, unit))
    band = curve.transform_filter("isValid(datum.early)").mark_rule(opacity=0.35, strokeWidth=2)
    band = band.encode(x="early:Q", x2="x:Q", y="share:Q", color=colour)
    subtitle = ["Dots: p50, p90, p99; bars: their 95% intervals, dotted if there is no upper bound"]
    subtitle += [_clock_words(seen)]
    layers = band + line + _intervals(a, marks.drop("early"), colour, unit)
    return layers.properties(title=a.Title(title, subtitle=subtitle), width=d.WIDTH, height=d.HEIGHT)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Seen:
    """What a level has of a latency, s: its values, which of them were cut, the clock's error of each (None if a value was cut),
    the estimates of d.RULES, and the clock's error at the 99th percentile."""

    x: Any
    cut: Any
    error: Any
    marks: list[Estimate]
    bound: float | None


def _seen(rows: pl.DataFrame, metric: str) -> dict[str, _Seen]:
    """Of each level that has any."""
    out: dict[str, _Seen] = {}
    parts = d.window(rows).sort(*UNIT, "start_s").group_by("series", maintain_order=True)
    for (name,), part in parts:
        values, cut = observed(METRICS[metric], part)
        if not len(values):
            continue
        of, error, bound = bounded(metric), None, None
        if of is not None:
            errors = errors_of(part.filter((pl.col("outcome") == "ok") & METRICS[metric].expression.is_not_null()), of)
            bound = quantile_of(errors, 99)
            whole = errors.len() == len(values) and not errors.null_count()
            error = errors.to_numpy() if whole and not cut.any() else None
        out[str(name)] = _Seen(values, cut, error, within_the_clock(METRICS[metric], part, _rules), bound)
    return out


def _rules(seen: pl.DataFrame) -> list[Estimate]:
    x, cut, parts = (seen[name].to_numpy() for name in ("x", "cut", "repeat"))
    return [percentile(x, cut, p, parts) for p in d.RULES]


def _points(x: Any, cut: Any, error: Any) -> Iterator[tuple[tuple[float, float], float | None]]:
    """Points of the ECDF, each with the earliest that the clock lets it be: the same share of the values less their errors."""
    early = None if error is None else np.sort(np.maximum(x - error, 0.0))  # no latency is below 0
    for value, share in d.ecdf_points(x, cut):
        at = None if early is None else float(early[round(share * len(early)) - 1])
        yield (value, share), at


def _marks(seen: dict[str, _Seen], factor: float) -> pl.DataFrame:
    """p50, p90 and p99 of each level with their intervals, and how early the clock lets each be at the 99th of errors."""
    out = []
    for name, level in seen.items():
        for p, e in zip(d.RULES, level.marks, strict=True):
            early = None if level.bound is None or e.value is None else max(e.value - level.bound, 0.0)
            row = {"series": name, "p": f"p{p}", "mark_share": p / 100}
            figures = {"x": e.value, "low": e.low, "high": e.high, "early": early}
            out.append(row | {k: None if v is None else v * factor for k, v in figures.items()})
    return pl.DataFrame(out, schema=_MARKS)


def _intervals(a: ModuleType, marks: pl.DataFrame, colour: Any, unit: str) -> Any:
    """Each percentile as a dot on its curve, with its interval, which is dotted to the edge if it has no upper bound."""
    base = a.Chart(marks).encode(y="mark_share:Q", color=colour)
    tips = [a.Tooltip("p:N", title="percentile"), a.Tooltip("series:N", title="level")]
    tips += [a.Tooltip(f"{c}:Q", title=t, format=",.2f") for c, t in (("x", unit), ("low", "from"), ("high", "to"))]
    whole = base.transform_filter("isValid(datum.low) && isValid(datum.high)").mark_rule(strokeWidth=2)
    open_ended = base.transform_filter("isValid(datum.low) && !isValid(datum.high)")
    open_ended = open_ended.mark_rule(strokeWidth=2, strokeDash=[2, 3]).encode(x="low:Q", x2=a.value("width"))
    dots = base.mark_point(filled=True, size=45, opacity=1).encode(x="x:Q", tooltip=tips)
    return whole.encode(x="low:Q", x2="high:Q") + open_ended + dots


def _clock_words(seen: dict[str, _Seen]) -> str:
    errors = [level.bound for level in seen.values() if level.bound is not None]
    if not errors:
        return "The clock's error of this latency is not known"
    return f"Band on the left: the clock's error, at most {digits(max(errors) * 1e3)} ms (99th percentile)"


def _counted_from(rows: pl.DataFrame, metric: str, since: Since) -> str:
    """The metric to show instead of `metric` if all levels are open loops: a user waits from the moment of asking."""
    return headline(metric, OpenLoop.kind) if since == "due" and set(rows["load"]) == {OpenLoop.kind} else metric


@composing
@of_rows
def latency_histogram(run: RunData | pl.DataFrame, metric: str = "ttft_s", since: Since = "due") -> alt.Chart:
    """How often each value of a latency (ms, or s from 10 s on) came, one panel per level; p50, p90 and p99 as lines with their
    95% intervals shaded, and the clock's error as a darker band left of each line. `since`: as in `latency_ecdf`."""
    a, rows = d.altair(), d.rows(run)
    metric = _counted_from(rows, figure_name(metric, LATENCIES, "latency_histogram"), since)
    title, seen = METRICS[metric].title, _seen(rows, metric)
    ok = d.ok(rows).select("series", METRICS[metric].expression.alias("x")).drop_nulls()
    if not ok.height:
        return d.nothing(title, d.NO_LATENCY)
    factor, unit = d.scale(float(ok["x"].max()))  # type: ignore[arg-type]
    values = {str(name): part["x"].to_numpy() * factor for (name,), part in ok.group_by("series", maintain_order=True)}
    words = [f"Rules: p50, p90, p99; shaded: their 95% intervals. {d.LAST_BAR}", _clock_words(seen)]
    marks = _marks(seen, factor).filter(pl.col("series").is_in(list(values)))
    return d.histogram(a, title, words, values, d.order(rows), unit, "requests", marks)


@composing
@of_rows
def inter_token(run: RunData | pl.DataFrame) -> alt.Chart:
    """The gaps between output chunks (ms), one panel per level. If chunks contain several tokens, a gap covers several
    tokens."""
    a, rows = d.altair(), d.rows(run)
    title = "Inter-token latency"
    frame = d.gaps(run, rows)
    if not frame.height:
        return d.nothing(title, d.NO_GAPS)
    parts = frame.group_by("series", maintain_order=True)
    values = {str(name): part["gap"].to_numpy() * 1e3 for (name,), part in parts}
    words = [f"Gap between one output chunk and the next. {d.LAST_BAR}", *d.drawn(rows)]
    return d.histogram(a, title, words, values, d.order(rows), "ms", "gaps")
