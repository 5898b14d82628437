"""Throughput, error rate and goodput of a level: what ended well, over a stretch of time or over what was sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from ..types import Estimate
from . import statistics as st
from .metrics import CENSORED, METRICS, headline

# column -> the rate of what it counts
WEIGHED = {"output_tokens": "output_tokens_per_s", "input_tokens": "input_tokens_per_s", "batch_size": "inputs_per_s"}


def named(name: str, estimate: Estimate) -> dict[str, Any]:
    """An estimate as the three columns of a summary."""
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def rates(rows: pl.DataFrame) -> dict[str, Any]:
    """Throughput: what ended successfully within a stretch of time, over that stretch; repeats one after the other. Null
    where a response's tokens are not known: counting them as none would halve a rate in silence."""
    rows = rows.select("repeat", "load", "in_window", "outcome", "start_s", "end_s", *WEIGHED)
    parts = [_departures(part) for _, part in rows.group_by("repeat", maintain_order=True)]
    parts = [(moments, part) for moments, part in parts if len(moments) > 1 and moments[-1] > moments[0]]
    moments = [at for at, _ in parts]
    out: dict[str, Any] = {"duration_s": sum(float(at[-1] - at[0]) for at in moments) or None}
    out |= named("requests_per_s", st.rate_of_parts(moments))
    for name, rate in WEIGHED.items():
        if parts and not any(part[name].null_count() for _, part in parts):
            weights = [np.concatenate([[0.0], part[name].to_numpy()]) for _, part in parts]
            out |= named(rate, st.rate_of_parts(moments, weights))
    return out


def _departures(rows: pl.DataFrame) -> tuple[np.ndarray[Any, Any], pl.DataFrame]:
    """(moments, successes) of one repeat: what ended while the window's requests were being sent, by end; one success for each
    gap between moments.

    Whichever request they belong to: one sent before the window may end inside it, and the window's own last ones end in the
    drain. To count the window's requests over their own ends would make a server look slower by its spread of lengths (9% at
    8 in flight, 200 requests of exponential length). A closed loop's clock starts with the window's first request, not with
    the first departure: waves of C leave together, and n departures span one wave less than they took.

    An open loop sends whatever the server does: there the gaps are those between departures, of the time in which the server
    is as busy as it will be: from the 95th percentile of E2E after the first send to the last send. With the ramp and the
    drain, 200 requests of 1 to 9 s at 10 a second would seem 23% slower than they are served. Where that time is less than half
    of the sending, as with a server that cannot keep up, every departure counts, and its own drain of one response with them."""
    start, inside = pl.col("start_s"), rows.filter("in_window")["start_s"]
    first, last = inside.min(), inside.max()
    if first is None:
        return np.zeros(0), rows.clear()
    after = rows.filter(start > last)["start_s"].min()
    over = math.inf if after is None else after
    ended = (pl.col("outcome") == "ok") & (pl.col("end_s") > first) & (pl.col("end_s") <= over)
    left = rows.filter(ended).sort("end_s")
    ends = left["end_s"].to_numpy()
    if rows["load"][0] != "concurrency":
        left = _steady(left, float(first), float(last))  # type: ignore[arg-type]
        return left["end_s"].to_numpy(), left[1:]
    until = ends[-1:] if after is None else np.array([over])  # what follows the last departure is of the window, too
    return (np.concatenate([[first], ends[:-1], until]) if len(ends) else ends), left


def _steady(left: pl.DataFrame, first: float, last: float) -> pl.DataFrame:
    """Of an open loop's departures those after its ramp and before its drain, where that leaves half of the sending time."""
    ramp = left.select((pl.col("end_s") - pl.col("start_s")).quantile(0.95)).item()
    if ramp is None or ramp > (last - first) / 2:
        return left
    return left.filter(pl.col("end_s").is_between(first + ramp, last))


def shares(window: pl.DataFrame, slo: Mapping[str, float]) -> dict[str, Any]:
    cut = pl.col("outcome") == "cancelled"
    judged = window.filter(~cut)
    out = named("error_rate", st.fraction((judged["outcome"] != "ok").to_numpy(), judged["repeat"].to_numpy()))
    return out | named("goodput", _goodput(window, cut, slo)) if slo else out


def _goodput(window: pl.DataFrame, cut: pl.Expr, slo: Mapping[str, float]) -> Estimate:
    """The share within every limit. A cut request that was over a limit by then is bad; of another one nobody knows: the low
    bound takes all of those for bad, the high bound for good."""
    kept = [METRICS[headline(name, str(window["load"][0]))] if window.height else METRICS[name] for name in slo]
    within = [(m.expression <= limit).fill_null(False) for m, limit in zip(kept, slo.values(), strict=True)]
    waited = [
        (pl.coalesce(m.expression, pl.col("end_s") - pl.col(CENSORED[m.name][1])) > limit).fill_null(False)
        for m, limit in zip(kept, slo.values(), strict=True)
        if m.name in CENSORED
    ]
    good = (pl.col("outcome") == "ok") & pl.all_horizontal(pl.lit(True), *within)
    open_yet = cut & ~pl.any_horizontal(pl.lit(False), *waited)
    seen = window.select("repeat", good=good, open=open_yet)

    def share(frame: pl.DataFrame, values: pl.Series) -> Estimate:
        return st.fraction(values.to_numpy(), frame["repeat"].to_numpy())

    judged = seen.filter(~pl.col("open"))
    value = share(judged, judged["good"])
    if judged.height == seen.height:
        return value
    low, high = share(seen, seen["good"]), share(seen, seen["good"] | seen["open"])
    return Estimate(value.value, low.low, high.high, value.n, f"{value.how}; {seen.height - judged.height} cut")
