"""Whether an open loop was long enough to measure its queue.

Near capacity a queue changes slowly (its relaxation time is long). A run that is shorter than a multiple of that time contains
only one period of it, quiet or busy, and an interval from within that period covers the true value in a third of the runs. So
such a run has no upper bound of its latencies and no lower bound of its goodput. The relaxation time is that of the number in
flight: the variance of its mean over the run shows how many independent observations the run contains (Law, Simulation Modeling
and Analysis, 2015, section 4.4).

If a run near capacity is quiet by chance, its queue seems to change fast, and its interval often misses the true value: of
simulated runs at 95% of capacity a quarter had more than 20 observations, and in 82% of those the mean of E2E was above the
interval. So if requests had to queue, which a fourfold spread of TTFT shows, three times as many observations are needed.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl

from ..core.types import Estimate
from ..results.schema import is_open_loop
from ..stats.intervals import moments, standard_error
from .stretches import sending

LOOKS, LOOKS_AT_A_QUEUE, PARTS, POINTS = 20, 60, 20, 100
QUEUES = 4.0  # the 95th percentile of TTFT over its 10th
WIDE = 0.15  # half of an interval of the mean of TTFT over that mean: by then it is waiting that varies
TOO_SHORT = "the run is too short against its queue for this bound"


def looks(rows: pl.DataFrame) -> float | None:
    """How many times the relaxation time of the number in flight an open loop of one repeat lasted; None for any other level, and
    if what is in flight never changes. `rows`: all of one (scenario, load, level)."""
    if not rows.height or not is_open_loop(rows) or rows["repeat"].n_unique() > 1:
        return None
    for of, _ in sending(rows):
        seen = rows.filter(pl.col("phase") != "preflight")
        at = np.linspace(of.from_s, of.until_s, PARTS * POINTS + 1)[1:]
        starts, ends = (np.sort(seen[name].drop_nulls().to_numpy()) for name in ("start_s", "end_s"))
        here = (np.searchsorted(starts, at, side="right") - np.searchsorted(ends, at, side="right")).astype(float)
        if (spread := here.var()) > 0:
            error, _ = standard_error(moments(here), floor=False)
            return float(2 * spread / error**2) if error > 0 else math.inf
    return None


def too_short(rows: pl.DataFrame, seen: float | None) -> bool:
    """Whether an open loop was too short against its queue, after `seen` looks. `rows`: as in `looks`, with `in_window` set. An
    endpoint whose TTFT is not known may queue."""
    if seen is None or seen >= LOOKS_AT_A_QUEUE:
        return False
    ttft = rows.filter(pl.col("in_window") & (pl.col("outcome") == "ok"))["ttft_s"].drop_nulls()
    low, high = ttft.quantile(0.1), ttft.quantile(0.95)
    return seen < LOOKS or low is None or high is None or high > QUEUES * low


def waits(mean: Estimate) -> bool:
    """Whether the mean of TTFT is known so badly that its run cannot have seen the queue often."""
    if mean.value is None or mean.high is None:
        return False
    return mean.high - mean.value > WIDE * mean.value


def without_top(e: Estimate) -> Estimate:
    """A latency whose upper bound a run cannot give."""
    return e if e.high is None else replace(e, high=None, how=f"{e.how}; {TOO_SHORT}")


def without_bottom(e: Estimate) -> Estimate:
    """A goodput, or a speed, whose lower bound a run cannot give."""
    return e if e.low is None else replace(e, low=None, how=f"{e.how}; {TOO_SHORT}")
