"""Detects changes in a series of runs: an alarm with a known false rate, then the place of the change.

Somebody looks at a history each day, so a test at 1% a day would raise false alarms all the time. The alarm here is a cumulative
sum (Page 1954) of self-starting scores (Hawkins 1987; Hawkins and Olwell 1998, chapter 7): each run is compared with all those
before it, by Student's t, so that the scores of unchanged runs are independent and standard normal however few they are. Its
mean number of runs between false alarms is set beforehand, and looking again at the same runs raises no further alarm. Scores
and what they are compared with are clipped, so that one wild run neither raises an alarm nor hides the next.

If there is an alarm, the step is where two levels fit best, and a line takes its place if it fits better (Theil 1950; Sen 1968),
both by absolute deviations. The measured rates are in `tests/benchmarks/trend_alarms.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import intervals as st

LEAST_RUNS, LEAST_PART, LEAST_FOR_OUTLIERS = 10, 2, 6
RUN_LENGTH = 2_000  # runs between two false alarms, on average and over all series together
OUTLIER_LENGTH = 4_000  # runs between two that stand out by chance, likewise
SLACK, CLIP = 0.5, 2.5  # of the cumulative sum: half of the shift in standard deviations that it finds soonest
# Simulated on series of 60 runs: the cumulative sum's limit for a run length of _AT, and log run length per unit of the limit.
_LIMIT, _AT, _GROWTH = 5.94, 1_350.0, 0.92
_MEDIAN_FREEDOM = 0.42  # simulated: the median absolute deviation of n normal values is worth t's n - 1 times this
_LOOKS = 5.0  # simulated: how many more stand out on some day than on one, if somebody looks each day for 60 days
_TINY = 1e-9
Array = NDArray[np.float64]


def limit(run_length: float) -> float:
    """The cumulative sum's limit for a mean number of runs between false alarms, on both sides together."""
    return _LIMIT + math.log(run_length / _AT) / _GROWTH


def run_length(excursion: float) -> float:
    """The mean number of runs between false alarms, if the limit were this excursion."""
    return _AT * math.exp(_GROWTH * (excursion - _LIMIT))


def scores(values: Array, floors: Array | None = None) -> Array:
    """How far each value is from those before it: standard normal and independent, clipped at CLIP; 0 for the first two.

    `floors`: the least standard deviation that each value can have by its own sampling."""
    x, out = np.array(values, float), np.zeros(len(values))
    for i in range(2, len(x)):
        before = x[:i]
        least = max(float(np.abs(before).max()) * _TINY, _TINY, 0.0 if floors is None else float(floors[i]))
        spread = max(float(before.std(ddof=1)), least) * math.sqrt((i + 1) / i)
        middle, freedom = float(before.mean()), i - 1
        tail = float(st.special().stdtr(freedom, -abs(x[i] - middle) / spread))
        size = CLIP if tail <= 0 else min(float(-st.special().ndtri(tail)), CLIP)
        out[i] = math.copysign(size, x[i] - middle) if x[i] != middle else 0.0
        if size == CLIP:
            far = float(st.special().stdtrit(freedom, st.special().ndtr(CLIP))) * spread
            x[i] = middle + math.copysign(min(far, abs(x[i] - middle)), x[i] - middle)
    return out


def excursion(values: Array, floors: Array | None = None) -> float:
    """The highest that the cumulative sum of the scores has been, on either side; 0 for fewer than LEAST_RUNS values."""
    return float(excursions(values, floors)[-1]) if len(values) >= LEAST_RUNS else 0.0


def excursions(values: Array, floors: Array | None = None) -> Array:
    """The highest that the cumulative sum has been up to each run: what `excursion` says on each day."""
    out, up, down, most = np.zeros(len(values)), 0.0, 0.0, 0.0
    for i, score in enumerate(scores(values, floors)):
        up, down = max(0.0, up + score - SLACK), max(0.0, down - score - SLACK)
        out[i] = most = max(most, up, down)
    return out


def demanded(highest: Sequence[float] | Array, length: float = RUN_LENGTH) -> float:
    """The run length that an alarm must have among several series, so that the false ones come once in `length` runs over all
    of them: Benjamini and Hochberg's step-up rule (1995) on the rates. `length` times the number of series at most.
    `highest`: the excursion of each series."""
    lengths = sorted((run_length(x) for x in highest), reverse=True)
    m = max(len(lengths), 1)
    reached = [i for i, found in enumerate(lengths, 1) if found >= length * m / i]
    return length * m / max(reached, default=1)


def change_points(values: Array, at: Array, floors: Array | None = None, length: float = RUN_LENGTH) -> list[int]:
    """The steps of a series: the index of the first value of each part except the first. `at`: time of each value (s). A series of
    fewer than LEAST_RUNS values is not cut. `length`: runs between two false alarms."""
    if not alarmed(values, floors, length) or steady(values, at):
        return []
    split = step(values)
    before, after = slice(0, split), slice(split, len(values))
    inner = [
        change_points(values[cut], at[cut], None if floors is None else floors[cut], length) for cut in (before, after)
    ]
    return [*inner[0], split, *(split + x for x in inner[1])]


def alarmed(values: Array, floors: Array | None = None, length: float = RUN_LENGTH) -> bool:
    return excursion(values, floors) > limit(length)


def step(values: Array) -> int:
    """The index at which a series most likely steps: two levels fit best there, by absolute deviations, so that one wild run
    moves neither. No part is shorter than LEAST_PART."""
    return min(range(LEAST_PART, len(values) - LEAST_PART + 1), key=lambda split: _apart(values, split))


def _apart(values: Array, split: int) -> float:
    """What the values of two parts are away from their own medians, in sum."""
    return sum(float(np.abs(x - np.median(x)).sum()) for x in (values[:split], values[split:]))


def steady(values: Array, at: Array) -> bool:
    """Whether a line fits better than a step does, by absolute deviations."""
    slope = theil_sen(values, at)[0]
    return float(np.abs(values - line(values, at, slope)).sum()) < _apart(values, step(values))


def line(values: Array, at: Array, slope: float) -> Array:
    """The line of that slope through the middle of the values."""
    course: Array = np.median(values - slope * at) + slope * at
    return course


def theil_sen(values: Array, at: Array) -> tuple[float, float, float]:
    """(slope per second, low, high): the median of the slopes between pairs, its 95% interval by the ranks (Sen 1968). Zeros if
    no two values have different times."""
    if len(values) < 2 or (at == at[0]).all():
        return 0.0, 0.0, 0.0
    found = st.distributions().theilslopes(values, at)
    return float(found.slope), float(found.low_slope), float(found.high_slope)


def outliers(residuals: Array, floors: Array | None = None, length: float = OUTLIER_LENGTH) -> NDArray[np.bool_]:
    """Which of a part's residuals stand out by its own spread (1.4826 times the median absolute one), so that of unchanged normal
    runs one in `length` does, on any day of those on which somebody looks; none of fewer than LEAST_FOR_OUTLIERS. `floors`: as
    `scores` has them."""
    n = len(residuals)
    if n < LEAST_FOR_OUTLIERS:
        return np.zeros(n, bool)
    spread = max(1.4826 * float(np.median(np.abs(residuals))), _TINY)
    widths = spread if floors is None else np.maximum(spread, floors)
    far = float(st.special().stdtrit(_MEDIAN_FREEDOM * (n - 1), 1 - 0.5 / (_LOOKS * length)))
    found: NDArray[np.bool_] = np.abs(residuals) > far * widths
    return found
