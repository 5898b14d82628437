"""Intervals of rates, from the counts in equal parts of a stretch of time.

Counts in a closed loop compensate each other: short gaps follow a long one. So with the smallest batches the mean seems less
certain than it is, and there are only few of the largest batches. The variance is therefore the mean of those that 20, 10 and 5
batches give, with 9 degrees of freedom. If the counted events come in long groups (`slow`: tokens of an open loop, or responses
as long as one of 5 batches), or if each of the 20 counts is similar to its neighbours (a server that drifts), counts depend on
earlier counts for a long time. Then the widest of the three is used, as for means of requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..core.types import Estimate
from . import intervals as st
from .intervals import Array

BATCHES = (20, 10, 5)
ALIKE = (
    1.36  # the inflation of 20 batch means at a lag-1 autocorrelation of 0.3: one in ten independent series shows more
)


def rate_of_stretches(
    counts: Sequence[Array], seconds: Sequence[float], n: int, slow: bool = False, least: float = 0.0
) -> Estimate:
    """What comes per second: `counts` in equal parts of one or more stretches of time, which took `seconds` each; `n`: how many
    requests were under way in them; `slow`: whether the counts forget slowly; `least`: the standard error that their sum has at
    least. Of several stretches, from the spread of their rates."""
    total, time = sum(float(c.sum()) for c in counts), float(sum(seconds))
    if not counts or time <= 0:
        return st.NOTHING
    value = total / time
    if n < st.LEAST:
        return Estimate(value, n=n, how=st.FEW)
    away: Array = np.array([c.sum() - value * s for c, s in zip(counts, seconds, strict=True)])
    half = max(_half(np.concatenate(counts), away, slow), st.Z975 * least) / time
    return Estimate(value, max(value - half, 0.0), value + half, n, st.how("t interval of counts", len(counts)))


def ratio_of_stretches(of: Sequence[Array], to: Sequence[Array], n: int) -> Estimate:
    """What came of one thing over what came of another in the same equal parts of time (delta method on batch means)."""
    top, below = (sum(float(c.sum()) for c in counts) for counts in (of, to))
    if below <= 0:
        return st.NOTHING
    value = top / below
    if n < st.LEAST:
        return Estimate(value, n=n, how=st.FEW)
    rest: list[Array] = [a - value * b for a, b in zip(of, to, strict=True)]
    half = _half(np.concatenate(rest), np.array([part.sum() for part in rest]), False) / below
    return Estimate(value, max(value - half, 0.0), value + half, n, st.how("ratio of counts", len(of)))


def _half(parts: Array, away: Array, slow: bool) -> float:
    """Half of the 95% interval of the sum of `parts`; `away`: what the sum of each stretch is away from what it should be."""
    if len(away) > 1:
        return st.t975(len(away) - 1) * st.of_totals(away)
    errors = [st.of_means(st.means_of_batches(parts, batches)) for batches in BATCHES]
    inflation = st.inflation(st.means_of_batches(parts, BATCHES[0]))
    if not slow and inflation <= ALIKE:
        return st.t975(9) * math.sqrt(float(np.mean(np.square(errors)))) * len(parts)
    inflated = errors[0] * inflation
    widest = max(e * st.t975(b - 1) for e, b in zip((inflated, *errors[1:]), BATCHES, strict=True))
    return widest * len(parts)


def drift_of(steps: Array) -> float:
    """Student's t of the mean of a series of steps, such as arrivals less departures in equal parts of time: how surely what they
    add up to grows. Steps of a queue that keeps up undo each other, so it is too seldom large there and never too often."""
    spread = st.of_means(steps)
    return float(steps.mean()) / spread if spread > 0 else math.copysign(math.inf, steps.sum()) if steps.sum() else 0.0
