"""Pairs of blocks for a comparison of two endpoints: how many, how long, and the smallest difference that they can show.

How much a pair's log ratio varies follows from a pilot of one of the endpoints: twice the variance of a block's mean, less what
the requests' lengths explain, because both blocks of a pair have the same lengths. What both endpoints share falls out of a pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from ..analysis.metrics import METRICS, headline
from ..stats import intervals as st
from .comparing_result import LEAST_PAIRS, LEAST_SECONDS, LEAST_WAVES

USUAL_PAIRS, MOST_PAIRS = 20, 10_000
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Blocks:
    """`pairs` of blocks of `requests`, of which the first `dropped` are left out. `half`: the expected half of the 95% interval of
    the ratio; `shows`: the smallest difference that is found with a chance of 80%, both as shares."""

    pairs: int
    requests: int
    dropped: int
    half: float | None
    shows: float | None


def block_requests(in_flight: float, per_s: float | None) -> int:
    """Requests of a block by the rule: three waves, and 30 s."""
    least = max(math.ceil(LEAST_WAVES * in_flight), math.ceil(in_flight) + 2, 10)
    return least if per_s is None else max(least, math.ceil(LEAST_SECONDS * per_s))


def spread_of_pairs(rows: pl.DataFrame, metric: str, load: str, counted: int) -> float | None:
    """The standard deviation from pair to pair of the log ratio of two block means, each of so many counted requests. None if the
    metric is not a latency, or the pilot has fewer than 40 of it."""
    if metric not in METRICS or METRICS[metric].kind != "latency":
        return None
    lengths = ("input_tokens", "output_tokens")
    ok = rows.filter(pl.col("outcome") == "ok").sort("start_s")
    seen = ok.select(*lengths, x=METRICS[headline(metric, load)].expression).drop_nulls()
    if seen.height < 2 * st.LEAST or not (mean := float(seen["x"].to_numpy().mean())) > 0:
        return None
    x = seen["x"].to_numpy()
    by = np.column_stack([np.ones(len(x)), *(seen[name].to_numpy() for name in lengths)])
    left = x - by @ np.linalg.lstsq(by, x, rcond=None)[0]
    of = st.moments(left)
    error = (st.of_means(of.ten) ** 2 + st.of_means(of.twenty) ** 2) / 2
    variance = max(error * len(x), of.variance)
    return math.sqrt(2 * variance / counted) / mean


def shown_by(spread: float, pairs: int) -> tuple[float, float]:
    """(half of the 95% interval of the ratio, the smallest difference found with a chance of 80%), as shares. `spread`: the
    standard deviation of the log ratio from pair to pair; 2 pairs at least."""
    each = spread / math.sqrt(pairs)
    t, power = (float(st.special().stdtrit(pairs - 1, level)) for level in (0.975, POWER))
    return math.expm1(t * each), math.expm1((t + power) * each)


def pairs_for(spread: float | None, margin: float, affordable: int) -> int:
    """How many pairs to run: as many as show a difference of `margin`, 20 at least if the budget pays for them."""
    if spread is None:
        return min(affordable, USUAL_PAIRS)
    needed = next((k for k in range(LEAST_PAIRS, MOST_PAIRS) if shown_by(spread, k)[1] <= margin), MOST_PAIRS)
    return min(affordable, max(needed, USUAL_PAIRS))
