"""Charts that one selection links: a stretch of the run's time, drawn with the mouse, filters the requests and their latencies.

The chart is altair's, with an interval selection, and shows in JupyterLab as a `JupyterChart`, whose scripts come from vl-convert:
it needs no network. The selection also reaches Python, which takes the rows of the stretch from the whole run.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..analysis.given import figure_name
from ..analysis.metrics import METRICS, OUTCOMES
from ..results.run_data import RunData
from ..results.schema import UNIT
from . import chart_utils as d
from .altair_renderer import describe, picture
from .charts.distributions import LATENCIES
from .charts.timelines import lanes, slices, slices_of

if TYPE_CHECKING:
    import altair as alt

Stretch = tuple[float, float]
BRUSH = "stretch"
MEASURES = ("in flight", "tokens/s")  # where it is selected
DRAWN, SLICES = 3000, 240  # requests at most, and slices of time of the whole run
_PAUSE = 0.02  # between two levels: this share of the run
_INSIDE = f"!{BRUSH}.at || (datum.at <= {BRUSH}.at[1] && datum.over >= {BRUSH}.at[0])"
_X = "Seconds of load, one level after another"


def placed(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that were sent, with `at` and `over`: begin and end in seconds of load. The levels lie one after another in the
    order in which they ran, with a short pause between two; a pause of a day before a resume takes no room."""
    timed = d.labelled(
        rows.filter(pl.col("start_s").is_not_null() & pl.col("end_s").is_not_null() & (pl.col("phase") != "preflight"))
    )
    begin = pl.coalesce("sent_s", "start_s")
    units = timed.group_by(*UNIT, maintain_order=True).agg(
        first=pl.col("started_at").min(), zero=begin.min(), took=pl.col("end_s").max() - begin.min()
    )
    units = units.sort("first", nulls_last=True, maintain_order=True)
    pause = _PAUSE * float(units["took"].sum())
    shift = (pl.col("took") + pause).cum_sum().shift(1, fill_value=0.0) - pl.col("zero")
    units = units.select(*UNIT, shift=shift)
    timed = timed.join(units, on=UNIT, how="left", nulls_equal=True, maintain_order="left")
    return timed.with_columns(at=begin + pl.col("shift"), over=pl.col("end_s") + pl.col("shift"))


def within(rows: pl.DataFrame, stretch: Stretch) -> pl.DataFrame:
    """The rows of requests that were in flight at some moment of a stretch, in seconds of load."""
    low, high = stretch
    ids = placed(rows).filter((pl.col("at") <= high) & (pl.col("over") >= low))["request_id"]
    return rows.filter(pl.col("request_id").is_in(ids.implode()))


def linked(run: RunData, metric: str = "ttft_s") -> alt.VConcatChart:
    """Requests in flight and tokens/s over the whole run, where a stretch is selected; below, the requests in flight in that
    stretch and the ECDF of their latency, with that of the whole run behind it in a paler line. Nothing selected: all of them."""
    a, metric = d.altair(), figure_name(metric, LATENCIES, "explore")
    timed = placed(run.rows)
    if not timed.height:
        return a.vconcat(d.nothing("Requests over time", "No request was sent."))  # type: ignore[no-any-return]
    if not timed.select(METRICS[metric].expression).to_series().drop_nulls().len():
        metric = "e2e_s"
    order = d.order(timed)
    course = pl.DataFrame([row for name in order for row in _course(name, timed)], infer_schema_length=None)
    parts = [_overview(a, d.small(course), what, order) for what in MEASURES]
    bars = _bars(a, timed)
    latency = _ecdf(a, timed, metric, order)
    words = "Drag over one of the upper two charts to select a stretch of time; double-click to select all"
    chart = a.vconcat(*parts, bars, latency).resolve_scale(color="independent").resolve_legend(color="independent")
    chart.params = [  # `add_params` on both parts would make two selections of it, and warn
        a.TopLevelSelectionParameter(
            name=BRUSH, select=a.IntervalSelectionConfig(type="interval", encodings=["x"]), views=list(MEASURES)
        )
    ]
    return chart.properties(title=a.Title("Requests over time", subtitle=words))  # type: ignore[no-any-return]


def explorer(run: RunData, metric: str, selected: Callable[[Stretch | None], None]) -> Any:
    """The linked charts as a widget; `selected` is called with each new stretch, None if nothing is selected."""
    import altair as alt

    chart = linked(run, metric)

    class LinkedChart(alt.JupyterChart):
        """As altair's, without a network; it also holds a picture, which a notebook without its kernel shows."""

        def _repr_mimebundle_(self, **kwargs: Any) -> Any:
            found = super()._repr_mimebundle_(**kwargs)
            spec = chart.to_dict()
            more = {"image/png": base64.b64encode(picture(spec)[0]).decode(), "text/plain": describe(spec)}
            return found and ({**found[0], **more}, found[1])

    LinkedChart.enable_offline()
    shown = LinkedChart(chart, debounce_wait=100, max_wait=False, embed_options={"actions": False})
    if hasattr(shown.selections, BRUSH):
        shown.selections.observe(lambda change: selected(_stretch_of(change["new"].value)), BRUSH)
    return shown


def _stretch_of(value: dict[str, list[float]] | None) -> Stretch | None:
    found = (value or {}).get("at")
    return (float(min(found)), float(max(found))) if found else None


def _course(name: str, timed: pl.DataFrame) -> list[dict[str, object]]:
    """The slices of each stretch of time in which a level ran."""
    out: list[dict[str, object]] = []
    whole = float(timed["over"].max())  # type: ignore[arg-type]
    for _, part in timed.filter(pl.col("series") == name).group_by("repeat", maintain_order=True):
        first, last = float(part["at"].min()), float(part["over"].max())  # type: ignore[arg-type]
        count = slices_of(part, round(SLICES * (last - first) / max(whole, 1e-9)))
        moved = part.with_columns(start_s=pl.col("at") - first, end_s=pl.col("over") - first, repeat=pl.lit(0))
        out += [
            {**row, "at": first + float(str(row["at"])), "part": f"{name} {first}"}
            for row in slices(name, moved, count)
        ]
    return out


def _overview(a: Any, course: pl.DataFrame, what: str, order: list[str]) -> Any:
    line = a.Chart(course).mark_area(interpolate="step-after", opacity=0.8)
    y = a.Y(f"{what}:Q", title=what, axis=a.Axis(tickCount=3, grid=False))
    x = a.X("at:Q", title=None if what == "in flight" else _X, scale=a.Scale(nice=False))
    legend = a.Legend(orient="top", title=None, columns=2, symbolOpacity=1, symbolStrokeWidth=0)
    colour = d.colour(a, order).legend(legend if what == "in flight" else None)
    return line.encode(x=x, y=y, color=colour, detail="part:N").properties(name=what, width=d.WIDTH, height=64)


def _bars(a: Any, timed: pl.DataFrame) -> Any:
    timed = timed.sort("at")
    every = timed.with_columns(lane=pl.Series(lanes(timed["at"].to_numpy(), timed["over"].to_numpy()), dtype=pl.Int64))
    step = -(-every.height // DRAWN)
    few = every.gather_every(step).select(
        "request_id",
        "outcome",
        "lane",
        at=pl.col("at").round(5),
        first=(pl.col("at") + pl.col("ttft_s")).round(5),
        over=pl.col("over").round(5),
    )
    present = [o for o in OUTCOMES if o in few["outcome"]]
    x = a.X("at:Q", title=_X, scale=a.Scale(domain={"param": BRUSH}, nice=False))
    y = a.Y("lane:O", sort="descending", title="Requests in flight", axis=a.Axis(labels=False, ticks=False))
    tips = [
        "request_id:N",
        "outcome:N",
        a.Tooltip("at:Q", format=".3f"),
        a.Tooltip("over:Q", title="end", format=".3f"),
    ]
    base = a.Chart().transform_filter(_INSIDE).encode(y=y, tooltip=tips)
    outcome = d.outcome_colour(a, present).legend(a.Legend(orient="top", title=None))
    height = a.RelativeBandSize(0.8)
    bar = base.mark_bar(height=height, clip=True).encode(x=x, x2="over:Q", color=outcome)
    wait = base.transform_filter("isValid(datum.first)").mark_bar(height=height, clip=True, color="white", opacity=0.6)
    words = "Each bar is a request in flight in the stretch. Paler: the wait for the first token"
    words += f". One request in {step} is drawn" if step > 1 else ""
    layers = a.layer(bar, wait.encode(x=x, x2="first:Q"), data=few)
    return layers.properties(width=d.WIDTH, height=170, title=a.Title(words, fontSize=11, fontWeight="normal"))


def _ecdf(a: Any, timed: pl.DataFrame, metric: str, order: list[str]) -> Any:
    """Of the successes in the stretch, whether or not the figures use them."""
    title = METRICS[metric].title
    seen = timed.filter(pl.col("outcome") == "ok").with_columns(value=METRICS[metric].expression).drop_nulls("value")
    factor, unit = d.scale(float(np.max(seen["value"].to_numpy(), initial=0.0)))
    seen = seen.sort("at").gather_every(-(-max(seen.height, 1) // DRAWN))
    points = d.small(seen.select("series", "at", "over", value=pl.col("value") * factor))
    x = a.X("value:Q", title=f"{title}, {unit}", scale=a.Scale(zero=False))
    y = a.Y("share:Q", title="Share of requests", axis=a.Axis(format="%", tickCount=5), scale=a.Scale(domain=[0, 1]))
    tips = [
        a.Tooltip("series:N", title="level"),
        a.Tooltip("value:Q", title=unit, format=",.2f"),
        a.Tooltip("share:Q", format=".1%"),
    ]
    share = {"sort": [{"field": "value"}], "groupby": ["series"], "frame": [None, 0]}
    base = a.Chart().encode(x=x, y=y, color=d.colour(a, order).legend(None))
    rank = [a.WindowFieldDef(op="cume_dist", **{"as": "share"})]
    whole = base.transform_window(rank, **share).mark_line(interpolate="step-after", opacity=0.3, strokeWidth=1)
    part = base.transform_filter(_INSIDE).transform_window(rank, **share)
    part = part.mark_line(interpolate="step-after", strokeWidth=2).encode(tooltip=tips)
    return a.layer(whole, part, data=points).properties(width=d.WIDTH, height=200)
