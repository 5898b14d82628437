"""Whether an open loop was long enough to know its own queue.

Near capacity a queue forgets slowly: a run that is shorter than some multiple of that time has seen one stretch of it, quiet or
busy, and an interval from within that stretch holds the truth in a third of the runs. So such a run has no upper bound of its
latencies and no lower one of its goodput. The time is that of the number in flight: the variance of its mean over the run says how
many independent looks the run was (Law, Simulation Modeling and Analysis, 2015, section 4.4).
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

LOOKS, PARTS, POINTS = 20, 20, 100
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
