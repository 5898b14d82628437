"""The same endpoint measured from several machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ...analysis.given import figure_name, of_rows
from ...analysis.hosts import by_host_name
from ...analysis.metrics import METRICS, observed, percentile
from ...results.run_data import RunData
from ...results.schema import UNIT
from .. import chart_utils as d
from ..composing import composing
from .distributions import LATENCIES

if TYPE_CHECKING:
    import altair as alt

NO_HOSTS = "No cluster sent this run: bk.run(config, cluster=...) sends from several machines."
_SCHEMA = {"series": pl.String, "from": pl.String, "p": pl.String} | dict.fromkeys(
    ("x", "low", "high", "rtt"), pl.Float64
)


@composing
@of_rows
def by_host(run: RunData | pl.DataFrame, metric: str = "ttft_s") -> alt.Chart:
    """A latency (ms, or s from 10 s on) as each machine of a cluster measured it: p50 and p95 with their 95% intervals, one
    panel per level. A tick shows the median round trip of its network."""
    a, rows = d.altair(), d.rows(run)
    metric = figure_name(metric, LATENCIES, "by_host")
    title, window = METRICS[metric].title, by_host_name(d.window(rows))
    if not window.height:
        return d.nothing(title, NO_HOSTS)
    figures = []
    for (series, host), part in window.sort(*UNIT, "start_s").group_by("series", "from", maintain_order=True):
        values, cut = observed(METRICS[metric], part)
        for p in (50, 95) if len(values) else ():
            e = percentile(values, cut, p, part["repeat"].to_numpy() if len(values) == part.height else None)
            row = {"series": series, "from": host, "p": f"p{p}", "x": e.value, "low": e.low, "high": e.high}
            figures.append(row | {"rtt": part["rtt_s"].median() if p == 50 else None})
    frame = pl.DataFrame(figures, schema=_SCHEMA)
    if frame["x"].count() == 0:
        return d.nothing(title, d.NO_LATENCY)
    factor, unit = d.scale(frame["x"].max())  # type: ignore[arg-type]
    frame = d.small(frame.with_columns(pl.col("x", "low", "high", "rtt") * factor))
    base = a.Chart(frame).encode(
        y=a.Y("from:N", title=None, sort=sorted(frame["from"].unique())),
        color=a.Color("p:N", title="Percentile", scale=a.Scale(domain=["p50", "p95"], range=[d.BLUE, d.CLOCK])),
    )
    tips = [a.Tooltip("from:N", title="host"), a.Tooltip("p:N", title="percentile")]
    tips += [a.Tooltip(f"{c}:Q", title=t, format=",.2f") for c, t in (("x", unit), ("low", "from"), ("high", "to"))]
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(x=a.X("x:Q", title=f"{title}, {unit}"), tooltip=tips)
    whole = base.transform_filter("isValid(datum.low) && isValid(datum.high)").mark_rule(strokeWidth=2)
    trip = base.transform_filter("isValid(datum.rtt)").mark_tick(thickness=2, opacity=0.6, color="gray")
    trip = trip.encode(
        x="rtt:Q", color=a.value("gray"), tooltip=[a.Tooltip("rtt:Q", title=f"round trip, {unit}", format=",.3f")]
    )
    layers = whole.encode(x="low:Q", x2="high:Q") + trip + dots
    subtitle = ["Dots: p50 and p95; bars: their 95% intervals; grey ticks: the network's median round trip"]
    panels = a.Row("series:N", title=None, sort=d.order(rows), header=d.head(a))
    chart = layers.properties(width=d.WIDTH, height=a.Step(24)).facet(row=panels)
    return chart.properties(title=a.Title(title, subtitle=subtitle))  # type: ignore[no-any-return]
