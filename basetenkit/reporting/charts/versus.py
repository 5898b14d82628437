"""Several runs: two as ratios, many over their dates.

The comparison's `words` explain what a difference between two runs can mean; the chart shows only random variation, and no
colour means better or worse.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ...analysis.comparison import SHARES, SHOWN, Comparison
from ...analysis.gates import figure_title
from ...analysis.metrics import headline
from ...core.errors import ConfigError
from .. import chart_utils as d
from ..composing import composing
from ..trends import trends

if TYPE_CHECKING:
    import altair as alt

COLUMNS = 3
BAND = ("noise_low", "noise_high")


@composing
def comparison(found: Comparison) -> alt.Chart:
    """The result of `bk.compare` as ratios b / a with 95% intervals: one panel per figure, one row per level, and a line at 1
    (no difference). Figures that one of the runs lacks, or that are 0 in one of them, are left out. A grey band is where the
    ratio lies if nothing differs, as `bk.noise` measured it."""
    if not isinstance(found, Comparison):
        raise ConfigError(f"charts.comparison takes what bk.compare(a, b) gives, not {type(found).__name__}")
    a, title = d.altair(), "b against a"
    names = list(dict.fromkeys(n for name in SHOWN for n in (name, _due(name)))) + list(SHARES)
    frame = d.labelled(found.frame.filter(pl.col("metric").is_in(names) & (pl.col("ratio") > 0)))
    if not frame.height:
        return d.nothing(title, "The runs have no figure of the same level in common.")
    heads = {r["metric"]: f"{figure_title(r['metric'])} ({r['better']} is better)" for r in frame.iter_rows(named=True)}
    present = [heads[n] for n in names if n in heads]
    frame = frame.with_columns(figure=pl.col("metric").replace_strict(heads))
    kept = frame.select("series", "figure", "level", "unit", "a", "b", "ratio", "ratio_low", "ratio_high", *BAND)
    base = a.Chart().encode(y=a.Y("series:N", title=None, sort=d.order(frame), axis=a.Axis(labelLimit=200)))
    bars = base.transform_filter("isValid(datum.ratio_low) && isValid(datum.ratio_high)").mark_rule(strokeWidth=2)
    tips = [a.Tooltip(f"{c}:Q", format=",.4~g") for c in ("a", "b", "ratio", "ratio_low", "ratio_high")]
    dots = base.mark_point(filled=True, size=55, opacity=1, color=d.BLUE).encode(
        x=a.X("ratio:Q", title="b / a", scale=a.Scale(type="log", nice=False, padding=12), axis=a.Axis(tickCount=5)),
        tooltip=["series:N", "figure:N", "unit:N", *tips],
    )
    one = a.Chart().mark_rule(strokeDash=[3, 3]).encode(x=a.datum(1))
    noise = base.transform_filter("isValid(datum.noise_low)").mark_rect(opacity=0.25, color="gray")
    band = noise.encode(x="noise_low:Q", x2="noise_high:Q")
    layers = a.layer(band, one, bars.encode(x="ratio_low:Q", x2="ratio_high:Q"), dots, data=d.small(kept))
    chart: alt.Chart = (
        layers.properties(width=190, height=a.Step(24))
        .facet(
            facet=a.Facet("figure:N", title=None, sort=present, header=a.Header(labelAnchor="start", labelLimit=290)),
            columns=COLUMNS,
            title=a.Title(
                title,
                subtitle=[
                    "Ratios with 95% intervals (random variation within each run), if known",
                    "A difference may come from the day",
                    *(["Grey: the same endpoint against itself"] if kept["noise_low"].count() else []),
                ],
            ),
        )
        .resolve_scale(x="independent")
    )
    return chart


def _due(name: str) -> str:
    metric, _, stat = name.rpartition("_")
    return f"{headline(metric, 'request_rate')}_{stat}"


@composing
def trend(runs: str | Path | pl.LazyFrame, metric: str = "ttft_s_p50", *, limit: float | None = None) -> alt.Chart:
    """A figure of the summary over the dates of many runs (a folder, or `bk.history` of one), with the steps, drift and outliers
    that `bk.trends` finds in them. `limit`: a value of the figure that is drawn as a dashed line."""
    return trends(runs, metric).chart(limit)
