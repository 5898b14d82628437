"""The error bound of the clock, one per metric, used wherever the error is shown and in each interval.

An arrival lies in [x - error, x]: an event never came later than its timestamp. So TTFT and E2E can only be smaller than
measured. A difference of two arrivals (TPOT, speed, output latency) can be smaller by the error of the later one and larger by
the error of the earlier one. The low end of an interval is computed from the earliest values that the clock allows, and its
high end, if values can be larger, from the latest ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from ..core.types import Estimate
from ..stats import intervals as st
from .metrics import Metric, observations

_c = pl.col
BOUNDED = {"ttft_s": "TTFT", "tpot_s": "TPOT", "e2e_s": "E2E"}  # the metrics whose bound is shown
_TTFT, _E2E = (_c(f"{name}_error_s").fill_null(0.0) for name in ("ttft", "e2e"))
_PER_TOKEN = _c("tpot_s") / (_c("e2e_s") - _c("ttft_s"))  # 1 / the tokens that came in that time
CONTENT = "first_content_error_s"  # see `with_content_errors`
_CONTENT = _c(CONTENT).fill_null(0.0)
_SOONER, _LATER = ((error * _PER_TOKEN).fill_null(0.0) for error in (_E2E, _TTFT))
# metric -> by how much a value may be too large, and too small; s
_ERRORS: dict[str, tuple[pl.Expr, pl.Expr | None]] = {
    "ttft_s": (_TTFT, None),
    "ttft_due_s": (_TTFT, None),
    "first_content_s": (_CONTENT, None),
    "first_content_due_s": (_CONTENT, None),
    "e2e_s": (_E2E, None),
    "e2e_due_s": (_E2E, None),
    "output_latency_s": (_E2E, _TTFT),
    "tpot_s": (_SOONER, _LATER),
}
_BOUND = {
    "ttft_s": _c("ttft_error_s"),
    "tpot_s": pl.max_horizontal("ttft_error_s", "e2e_error_s") * _PER_TOKEN,
    "e2e_s": _c("e2e_error_s"),
}


def with_content_errors(rows: pl.DataFrame, chunks: pl.LazyFrame | None) -> pl.DataFrame:
    """The rows with the bound of their first content: TTFT's if that was the first token, otherwise that of its own chunk; null if
    it is not known. `chunks`: run.chunks."""
    first = _c("first_content_s") == _c("ttft_s")
    later = rows.filter(~first).select("request_id", arrival_s="first_content_s")
    known = pl.DataFrame(schema={"request_id": pl.String, CONTENT: pl.Float64})
    if chunks is not None and later.height:
        own = chunks.select("request_id", "arrival_s", "error_s")
        own = own.join(later.lazy(), on=["request_id", "arrival_s"], how="semi")
        known = own.group_by("request_id").agg(_c("error_s").max().alias(CONTENT)).collect(engine="streaming")
    found = rows.join(known, on="request_id", how="left", maintain_order="left")
    return found.with_columns(pl.when(first).then(_c("ttft_error_s")).otherwise(_c(CONTENT)).alias(CONTENT))


def bounded(metric: str) -> str | None:
    """The metric whose bound is that of `metric`: a latency from when its request was due has that from the send."""
    name = metric.removesuffix("_due_s") + "_s" if metric.endswith("_due_s") else metric
    return name if name in BOUNDED else None


def error_name(metric: str, p: int = 99) -> str:
    """The column of the summary that has the bound of one of BOUNDED, s."""
    return f"{metric.removesuffix('_s')}_error_p{p}_s"


def errors_of(ok: pl.DataFrame, metric: str) -> pl.Series:
    """The bound of each of some successful requests, s; null if it is not known."""
    return ok.select(e=_BOUND[metric])["e"]


def clock_errors(window: pl.DataFrame) -> dict[str, float | None]:
    """Median and 99th percentile (the inverse of the ECDF, as of every figure) of each metric's bound over the successful
    requests of the window that have the metric, s."""
    ok = window.filter(_c("outcome") == "ok")
    out: dict[str, float | None] = {}
    for name in BOUNDED:
        known = ok.filter(_c(name).is_not_null())
        out |= {error_name(name, p): quantile_of(errors_of(known, name), p) for p in (50, 99)}
    return out


def quantile_of(errors: pl.Series, p: int) -> float | None:
    """The p-th percentile of some bounds; None if there are none."""
    known = np.sort(errors.drop_nulls().to_numpy())
    return float(known[st.rank(len(known), p / 100) - 1]) if len(known) else None


def within_the_clock(
    metric: Metric, window: pl.DataFrame, estimates: Callable[[pl.DataFrame], list[Estimate]]
) -> list[Estimate]:
    """What `estimates` makes of the `observations` of a metric, with the clock's bound in each interval."""
    if CONTENT not in window.columns:
        window = with_content_errors(window, None)
    found = estimates(observations(metric, window))
    sooner, later = _ends(metric)
    if sooner is None or all(e.low is None for e in found):
        return found
    with np.errstate(invalid="ignore"):  # a figure that the clock cannot bound is infinite there
        lows = estimates(observations(replace(metric, expression=sooner), window))
    found = [
        e
        if e.low is None or a.low is None
        else replace(e, low=max(min(e.low, a.low), 0.0) if math.isfinite(a.low) else 0.0)
        for e, a in zip(found, lows, strict=True)
    ]
    if later is None:
        return found
    with np.errstate(invalid="ignore"):
        highs = estimates(observations(replace(metric, expression=later), window))
    return [replace(e, high=_top(e, a)) for e, a in zip(found, highs, strict=True)]


def _ends(metric: Metric) -> tuple[pl.Expr | None, pl.Expr | None]:
    """The metric's smallest and largest value within the clock's error; None if the error is 0."""
    x = metric.expression
    if metric.name == "output_inference_speed":
        tpot = 1 / x
        return 1 / (tpot + _LATER), pl.when(tpot > _SOONER).then(1 / (tpot - _SOONER)).when(x.is_not_null()).then(
            math.inf
        )
    if metric.name not in _ERRORS:
        return None, None
    sooner, later = _ERRORS[metric.name]
    return x - sooner, None if later is None else x + later


def _top(e: Estimate, at_the_latest: Estimate) -> float | None:
    if e.high is None or at_the_latest.high is None or not math.isfinite(at_the_latest.high):
        return None
    return max(e.high, at_the_latest.high)
