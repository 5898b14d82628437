"""How figures change with load: latency or speed against throughput, one point per level, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ...analysis import figures
from ...analysis.given import of_rows
from ...analysis.metrics import METRICS, headline
from ...analysis.summary import summarise, summary_schema
from ...config.coercions import metric_name
from ...config.loads import LevelKey, OpenLoop
from ...config.scenarios import parse_scenario
from ...core.errors import ConfigError, ScenarioError
from ...results.run_data import RunData
from ...results.schema import LEVEL, OPEN_LOOP
from .. import chart_utils as d
from ..composing import composing

if TYPE_CHECKING:
    import altair as alt

AGAINST = {
    "output_tokens_per_s": "Output throughput, tokens/s",
    "total_tokens_per_s": "Input and output throughput, tokens/s",
    "requests_per_s": "Requests/s",
    "inputs_per_s": "Inputs/s",
}


@composing
@of_rows
def serving_curve(
    run: RunData | pl.DataFrame, metric: str | None = None, percentile: int | str = 50, against: str | None = None
) -> alt.Chart:
    """A metric (a percentile, or its "mean") against throughput, one point per level, with its 95% interval if it is known.

    `metric`: default "ttft_s", or "e2e_s" if nothing was streamed. `against`: default "output_tokens_per_s", or "inputs_per_s"
    for embeddings; it may also be "requests_per_s" or "total_tokens_per_s" (input and output, without an interval). Batch sizes
    at a single load are one curve, and its points have their names. In an open loop a latency counts from when its request was
    due. ConfigError if the summary has no such figure.
    """
    stat, summary = percentile if isinstance(percentile, str) else f"p{percentile}", _summary(run)
    streamed, embeddings = (summary[name].count() > 0 for name in ("ttft_s_p50", "inputs_per_s"))
    metric = (
        metric_name(metric, METRICS)
        or metric
        or ("ttft_s" if streamed or not summary["e2e_s_p50"].count() else "e2e_s")
    )
    against = against or ("inputs_per_s" if embeddings else "output_tokens_per_s")
    if against not in AGAINST or f"{metric}_{stat}" not in summary_schema():
        raise ConfigError(
            f"serving_curve: {metric}, {stat} against {against} is not in the summary; e.g. ttft_s, 50 or "
            f"'mean', against {', '.join(AGAINST)}"
        )
    a, title = d.altair(), f"{METRICS[metric].title} against throughput"
    frame = _points(summary, metric, stat, against)
    if not frame.height:
        return d.nothing(title, f"No level has both {METRICS[metric].title.lower()} and a throughput.")
    factor, unit = d.scale(float(frame["y"].max())) if METRICS[metric].unit == "s" else (1.0, METRICS[metric].unit)  # type: ignore[arg-type]
    right = pl.col(against) > (pl.col(against).min() + pl.col(against).max()) / 2
    frame = d.small(frame.with_columns(pl.col("^y.*$") * factor, right=right))
    base = a.Chart(frame).encode(
        color=a.Color("curve:N", title="Scenario, load", legend=a.Legend(orient="bottom", columns=1))
    )
    x = a.X(f"{against}:Q", title=AGAINST[against], scale=a.Scale(zero=False))
    y = a.Y("y:Q", title=f"{METRICS[metric].title} {stat}, {unit}", scale=a.Scale(zero=False))
    tips = ["series:N", a.Tooltip(f"{against}:Q", format=",.1f"), a.Tooltip("y:Q", title=unit, format=",.2f")]
    tips += [a.Tooltip(f"y_{end}:Q", title=end, format=",.2f") for end in ("low", "high")]
    line = base.mark_line(point=a.OverlayMarkDef(size=60, filled=True)).encode(x=x, y=y, order="order:Q", tooltip=tips)
    up = base.transform_filter("isValid(datum.y_high) && isValid(datum.y_low)").mark_rule(strokeWidth=2)
    wide = base.transform_filter("isValid(datum.x_high) && isValid(datum.x_low)").mark_rule(strokeWidth=2)
    bars = up.encode(x=x, y="y_low:Q", y2="y_high:Q") + wide.encode(x="x_low:Q", x2="x_high:Q", y=y)
    texts = a.Chart(frame).encode(x=x, y=y, text="name:N")
    names = texts.transform_filter("!datum.right").mark_text(dy=-9, dx=5, align="left", fontSize=10)
    names += texts.transform_filter("datum.right").mark_text(dy=-9, dx=-7, align="right", fontSize=10)
    words = "One point per level, named by its load or batch size. Bars are 95% intervals, if they are known"
    return (bars + line + names).properties(title=a.Title(title, subtitle=words), width=d.WIDTH, height=d.HEIGHT)  # type: ignore[no-any-return]


def _summary(run: RunData | pl.DataFrame) -> pl.DataFrame:
    if isinstance(run, RunData):
        return figures.summary_wide(run)
    return summarise(d.rows(run).with_columns(pl.col("in_window").fill_null(True)))


def _points(summary: pl.DataFrame, metric: str, stat: str, against: str) -> pl.DataFrame:
    """One row per level that has both figures: the x under its own name, `y`, and the bounds of both."""
    due = f"{headline(metric, OpenLoop.kind)}_{stat}"
    output = pl.when(pl.col("inputs_per_s").is_not_null()).then(0.0).otherwise("output_tokens_per_s")
    total = pl.col("input_tokens_per_s") + output
    frame = _curves(d.labelled(summary.with_columns(total_tokens_per_s=total)))
    bounds = [
        (pl.lit(None, pl.Float64) if against == "total_tokens_per_s" else pl.col(f"{against}_{end}")).alias(f"x_{end}")
        for end in ("low", "high")
    ]
    values = [
        pl.when(OPEN_LOOP).then(f"{due}{end}").otherwise(f"{metric}_{stat}{end}").alias(f"y{end}")
        for end in ("", "_low", "_high")
    ]
    found = frame.select("curve", "name", "order", "series", "level", against, *values, *bounds)
    return found.drop_nulls(["y", against]).sort("curve", "order")


def _curves(summary: pl.DataFrame) -> pl.DataFrame:
    """The summary with `curve`, what a level's point is named, and its `order` on the curve: by load; or by batch size, where
    the levels are batch sizes at a single load."""
    kind = pl.when(OPEN_LOOP).then(pl.lit(", open loop")).otherwise(pl.lit(", closed loop"))
    loads = [str(LevelKey.of(row).load) for row in summary.select(LEVEL).iter_rows(named=True)]
    frame = summary.with_columns(
        pl.Series("name", loads, pl.String), curve=pl.col("scenario") + kind, order=pl.col("level")
    )
    batches = [found for text in summary["scenario"] if (found := _batch(text))]
    if not batches or len(batches) < summary.height or summary.select("load", "level").n_unique() > 1:
        return frame
    plain, sizes = (pl.Series(values) for values in zip(*batches, strict=True))
    names = pl.format("{} a request", sizes)
    return frame.with_columns(curve=plain + ", " + frame["name"], order=sizes.cast(pl.Float64), name=names)


def _batch(scenario: str) -> tuple[str, int] | None:
    """(the scenario without its batch size, that size); None if it says none, or several."""
    try:
        read = parse_scenario(scenario)
    except ScenarioError:
        return None
    sizes = {getattr(part, "inputs", None) for part in read.parts}
    return (str(read.in_batches(None)), size) if len(sizes) == 1 and (size := sizes.pop()) else None
