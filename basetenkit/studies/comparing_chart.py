"""The blocks of a comparison as a chart: each block in the order in which they ran, and the ratio of each pair.

On the left, an unusual block is far from the others, and a drift of both endpoints is a slope; the ratios on the right have
neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from ..analysis.metrics import METRICS
from ..core.errors import ConfigError
from ..reporting import chart_utils as d
from ..reporting.composing import composable
from .comparing_result import EndpointComparison, unit_of

if TYPE_CHECKING:
    import altair as alt

SIDES = ("A", "B", "A'")
SHAPES = ("circle", "square", "cross")
COLOURS = (d.BLUE, d.CLOCK, "#8a8a8a")
WIDTH, HEIGHT = 300, 240


def draw(found: EndpointComparison, metric: str) -> alt.Chart:
    """The chart of one metric; ConfigError if it is not one of those that were compared."""
    names = found.frame["metric"].unique(maintain_order=True).to_list()
    if metric not in names:
        raise ConfigError(f"chart: metric={metric!r}; one of {', '.join(names)}")
    factor, unit = unit_of(metric)
    title = METRICS[metric].title
    blocks = found.blocks.select(
        "pair", pl.col("block").alias("side"), value=pl.col(f"{metric}_mean") * factor
    ).with_row_index("order", 1)
    blocks = blocks.drop_nulls("value").with_columns(pl.col("pair") + 1)
    if not blocks.height:
        return d.nothing(title, "No block has a successful request with this figure.")
    joined: alt.Chart = composable(_in_order(blocks, title, unit)) | _pairs(blocks, found, metric)
    return joined


def _in_order(blocks: pl.DataFrame, title: str, unit: str) -> Any:
    a = d.altair()
    present = [side for side in SIDES if side in blocks["side"].to_list()]
    names = {"A": "A", "B": "B", "A'": "A, control"}
    data = blocks.with_columns(pl.col("side").replace_strict(names, default=pl.col("side")))
    domain = [names[side] for side in present]
    colour = a.Scale(domain=domain, range=list(COLOURS[: len(domain)]))
    shape = a.Scale(domain=domain, range=list(SHAPES[: len(domain)]))
    points = a.Chart(d.small(data)).mark_point(filled=True, size=70, opacity=1)
    return points.encode(
        x=a.X(
            "order:Q",
            title="Block, in the order in which they ran",
            scale=a.Scale(zero=False, padding=12, nice=False),
            axis=a.Axis(tickMinStep=1, format="d"),
        ),
        y=a.Y("value:Q", title=f"{title}, {unit}, mean of the block", scale=a.Scale(zero=False)),
        color=a.Color("side:N", title=None, scale=colour, legend=a.Legend(orient="top")),
        shape=a.Shape("side:N", scale=shape, legend=None),
        tooltip=["pair:Q", "side:N", a.Tooltip("value:Q", format=",.4~g")],
    ).properties(width=WIDTH, height=HEIGHT)


def _pairs(blocks: pl.DataFrame, found: EndpointComparison, metric: str) -> Any:
    a = d.altair()
    wide = blocks.pivot("side", index="pair", values="value")
    wide = wide.with_columns(pl.lit(None, pl.Float64).alias(n) for n in ("A", "B") if n not in wide.columns)
    ratios = wide.select("pair", ratio=pl.col("B") / pl.col("A")).drop_nulls()
    (row,) = found.frame.filter(pl.col("metric") == metric, pl.col("of") == "block means").to_dicts()
    layers = [a.Chart(pl.DataFrame({"one": [1.0]})).mark_rule(strokeDash=[4, 4]).encode(y="one:Q")]
    if row["low"] is not None:
        band = pl.DataFrame({"low": [row["low"]], "high": [row["high"]], "ratio": [row["ratio"]]})
        layers.append(a.Chart(band).mark_rect(opacity=0.18, color=d.BLUE).encode(y="low:Q", y2="high:Q"))
        layers.append(a.Chart(band).mark_rule(color=d.BLUE, strokeWidth=2).encode(y="ratio:Q"))
    dots = a.Chart(d.small(ratios)).mark_point(filled=True, size=70, opacity=1, color=d.BLUE)
    layers.append(
        dots.encode(
            x=a.X(
                "pair:Q",
                title="Pair",
                scale=a.Scale(zero=False, padding=12, nice=False),
                axis=a.Axis(tickMinStep=1, format="d"),
            ),
            y=a.Y("ratio:Q", title="b / a, with the 95% interval of all pairs", scale=a.Scale(zero=False)),
            tooltip=["pair:Q", a.Tooltip("ratio:Q", format=".3f")],
        )
    )
    return a.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _counted(name: str, title: str) -> Any:
    """An axis of whole numbers."""
    a = d.altair()
    scale = a.Scale(zero=False, nice=False, padding=12)
    return a.X(f"{name}:Q", title=title, scale=scale, axis=a.Axis(tickMinStep=1, format="d"))
