"""How figures go with load: latency or speed against throughput, a point a level, with the interval of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from ...columns import SCHEMA
from ...errors import ConfigError
from .. import drawing as d
from ..metrics import METRICS, headline
from ..summary import summarise, summary_schema

if TYPE_CHECKING:
    import altair as alt

AGAINST = {
    "output_tokens_per_s": "Output throughput, tokens/s",
    "total_tokens_per_s": "Input and output throughput, tokens/s",
    "requests_per_s": "Requests/s",
    "inputs_per_s": "Inputs/s",
}


def serving_curve(
    run: Any, metric: str = "ttft_s", percentile: int | str = 50, against: str = "output_tokens_per_s"
) -> alt.Chart:
    """A metric (a percentile, or its "mean") against throughput, a point a level, with the 95% interval of each where it is known.

    `against`: "output_tokens_per_s", "total_tokens_per_s" (input and output; its interval is not known) or "requests_per_s".
    In an open loop a latency counts from when its request was due. ConfigError where the summary has no such figure.
    """
    stat = percentile if isinstance(percentile, str) else f"p{percentile}"
    if against not in AGAINST or f"{metric}_{stat}" not in summary_schema():
        raise ConfigError(
            f"serving_curve: {metric}, {stat} against {against} is not in the summary; e.g. ttft_s, 50 or "
            f"'mean', against {', '.join(AGAINST)}"
        )
    a, title = d.altair(), f"{METRICS[metric].title} against throughput"
    frame = _points(_summary(run), metric, stat, against)
    if not frame.height:
        return d.nothing(title, f"No level has both {METRICS[metric].title.lower()} and a throughput.")
    factor, unit = d.scale(float(frame["y"].max())) if METRICS[metric].unit == "s" else (1.0, METRICS[metric].unit)  # type: ignore[arg-type]
    frame = d.small(frame.with_columns(pl.col("^y.*$") * factor))
    base = a.Chart(frame).encode(color=a.Color("curve:N", title="Scenario, load"))
    x = a.X(f"{against}:Q", title=AGAINST[against], scale=a.Scale(zero=False))
    y = a.Y("y:Q", title=f"{METRICS[metric].title} {stat}, {unit}", scale=a.Scale(zero=False))
    tips = ["series:N", a.Tooltip(f"{against}:Q", format=",.1f"), a.Tooltip("y:Q", title=unit, format=",.2f")]
    tips += [a.Tooltip(f"y_{end}:Q", title=end, format=",.2f") for end in ("low", "high")]
    line = base.mark_line(point=a.OverlayMarkDef(size=60, filled=True)).encode(x=x, y=y, order="level:Q", tooltip=tips)
    up = base.transform_filter("isValid(datum.y_high) && isValid(datum.y_low)").mark_rule(strokeWidth=2)
    wide = base.transform_filter("isValid(datum.x_high) && isValid(datum.x_low)").mark_rule(strokeWidth=2)
    bars = up.encode(x=x, y="y_low:Q", y2="y_high:Q") + wide.encode(x="x_low:Q", x2="x_high:Q", y=y)
    names = a.Chart(frame).mark_text(dy=-9, dx=5, align="left", fontSize=10).encode(x=x, y=y, text="name:N")
    words = "A point a level, named by its load; bars: 95% intervals, where they are known"
    return (bars + line + names).properties(title=a.Title(title, subtitle=words), width=d.WIDTH, height=d.HEIGHT)  # type: ignore[no-any-return]


def _summary(run: Any) -> pl.DataFrame:
    if not isinstance(run, pl.DataFrame) and set(SCHEMA) <= set(run.requests.columns):
        frame: pl.DataFrame = run.summary
        return frame
    return summarise(d.rows(run).with_columns(pl.col("in_window").fill_null(True)))


def _points(summary: pl.DataFrame, metric: str, stat: str, against: str) -> pl.DataFrame:
    """One row a level that has both figures: the x under its own name, `y`, and the bounds of both."""
    due = f"{headline(metric, 'request_rate')}_{stat}"
    open_loop = pl.col("load") == "request_rate"
    total = pl.col("input_tokens_per_s") + pl.col("output_tokens_per_s")
    frame = summary.with_columns(total_tokens_per_s=total, curve=pl.col("scenario"), series=d.label())
    bounds = [
        (pl.lit(None, pl.Float64) if against == "total_tokens_per_s" else pl.col(f"{against}_{end}")).alias(f"x_{end}")
        for end in ("low", "high")
    ]
    values = [
        pl.when(open_loop).then(f"{due}{end}").otherwise(f"{metric}_{stat}{end}").alias(f"y{end}")
        for end in ("", "_low", "_high")
    ]
    curve = pl.col("scenario") + pl.when(open_loop).then(pl.lit(", open loop")).otherwise(pl.lit(", closed loop"))
    name = pl.col("series").str.split(", ").list.last()
    found = frame.select(curve.alias("curve"), "series", "level", against, *values, *bounds, name=name)
    return found.drop_nulls(["y", against]).sort("curve", "level")
