"""The parts of the time to first token that `explain_latency` finds, each with its interval."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import polars as pl

from ...analysis.given import of_rows
from ...analysis.latency_model import BASE, QUEUE, TOKEN
from ...analysis.latency_model import explain_latency as explained
from ...results.run_data import RunData
from .. import chart_utils as d
from ..altair_renderer import PALETTE
from ..composing import composing

if TYPE_CHECKING:
    import altair as alt

ALL = "all levels together"
_PANELS = {BASE: (1e3, "base, ms"), TOKEN: (1e6, "per 1,000 prompt tokens, ms"), QUEUE: (1e3, "per other request, ms")}


@composing
@of_rows
def explain_latency(run: RunData | pl.DataFrame) -> alt.Chart:
    """The parts of TTFT per level, one panel per part: the time without a prompt and without other requests, the time that
    1,000 prompt tokens add, and the time that each other request in flight adds. Dots have 95% intervals; each quantile of TTFT
    has a colour."""
    a, rows = d.altair(), d.rows(run)
    title = "Parts of the time to first token"
    found = explained(rows.with_columns(pl.col("in_window").fill_null(True))).drop_nulls("value")
    if not found.height:
        return d.nothing(
            title, "Too few successful streamed requests in the window have a TTFT and a count of input tokens."
        )
    names = rows.select("scenario", "load", "level", "series").unique(maintain_order=True)
    found = found.join(names, on=["scenario", "load", "level"], how="left", maintain_order="left")
    factor = pl.col("term").replace_strict({term: factor for term, (factor, _) in _PANELS.items()})
    series = pl.col("series").fill_null(pl.lit(f"{ALL}: ") + pl.col("scenario"))
    frame = found.with_columns([pl.col(x) * factor for x in ("value", "low", "high")]).with_columns(
        series=series, ttft=pl.lit("p") + (pl.col("quantile") * 100).round(1).cast(pl.String).str.strip_suffix(".0")
    )
    order = [name for name in [*d.order(rows), *frame["series"].unique(maintain_order=True)] if name in frame["series"]]
    order, quantiles = list(dict.fromkeys(order)), frame["ttft"].unique(maintain_order=True).to_list()
    panels = [
        _panel(a, frame.filter(pl.col("term") == term), unit, order, quantiles, first=i == 0)
        for i, (term, (_, unit)) in enumerate(_PANELS.items())
    ]
    return a.hconcat(*panels).properties(title=title)  # type: ignore[no-any-return]


def _panel(
    a: ModuleType, frame: pl.DataFrame, unit: str, order: list[str], quantiles: list[str], *, first: bool
) -> Any:
    shown = frame.select("series", "ttft", "value", "low", "high", "n")
    axis = a.Axis(labelLimit=220) if first else None
    base = a.Chart(d.small(shown)).encode(
        y=a.Y("series:N", sort=order, title=None, axis=axis, scale=a.Scale(domain=order)),
        yOffset=a.YOffset("ttft:N", sort=quantiles),
        color=a.Color("ttft:N", title="TTFT", scale=a.Scale(domain=quantiles, range=PALETTE[: len(quantiles)])),
        tooltip=["series:N", "ttft:N", *(a.Tooltip(f"{x}:Q", format=",.3f") for x in ("value", "low", "high")), "n:Q"],
    )
    known = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    bars = known.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(x=a.X("value:Q", title=unit))
    return (bars + dots).properties(width=d.WIDTH // 3, height=a.Step(18))
