"""The expected range of the next run, from earlier runs: the differences between runs, and the error of each run.

A run differs from the next by its own requests, which its interval shows, and by its day, which only several days show. The
spread between days is estimated by restricted maximum likelihood, the error of the mean as Hartung and Knapp (2001) do, never
under what the runs' own errors give (Roever, Knapp and Friede 2015). The next run lies within a t interval of both together
(Higgins, Thompson and Spiegelhalter 2009).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.types import Estimate
from ..stats import intervals as st

LEAST_HISTORY = 5  # runs; with fewer, the interval is too wide to be of use
Array = NDArray[np.float64]


def between_runs(values: Array, errors: Array) -> tuple[float, float, float]:
    """(mean, standard error of it, standard deviation from run to run) of at least 2 runs; `errors`: each run's own."""
    variances = errors**2
    spread = _between(values, variances)
    weights = _weights(variances, spread)
    middle = float((weights * values).sum() / weights.sum())
    ratio = float((weights * (values - middle) ** 2).sum()) / (len(values) - 1)
    return middle, math.sqrt(max(ratio, 1.0) / float(weights.sum())), math.sqrt(spread)


def _weights(variances: Array, spread: float) -> Array:
    total = variances + spread
    least = float(total.max()) * 1e-12 or 1e-300
    weights: Array = 1 / np.maximum(total, least)
    return weights


def _between(values: Array, variances: Array) -> float:
    """The variance from run to run with the greatest restricted likelihood."""
    plain = float(values.var(ddof=1))
    if not variances.any() or plain == 0:
        return plain
    from scipy import optimize

    def loss(spread: float) -> float:
        weights = _weights(variances, spread)
        middle = (weights * values).sum() / weights.sum()
        apart = (weights * (values - middle) ** 2).sum()
        return float(-np.log(weights).sum() + math.log(weights.sum()) + apart)

    found = optimize.minimize_scalar(loss, bounds=(0.0, 4 * plain), method="bounded", options={"xatol": 1e-4 * plain})
    return 0.0 if loss(0.0) <= float(found.fun) else float(found.x)


def next_interval(
    values: Sequence[float] | Array,
    errors: Sequence[float] | Array | None = None,
    own: float | None = None,
    level: float = 0.95,
) -> Estimate:
    """The expected range of the next run's figure, if nothing changes: its expected value, with `low` and `high`.

    `values`: the figure of each run, on a scale on which it varies alike (the logarithm of a latency); `errors`: the standard
    error of each, None for none; `own`: that of the next run, by default as those before on average (0: of the figure without
    the next run's own error); `level`: how often it should lie within. Fewer than LEAST_HISTORY runs have no interval.
    """
    x = np.asarray(values, float)
    se = np.zeros(len(x)) if errors is None else np.asarray(errors, float)
    if not len(x):
        return st.NOTHING
    if len(x) < LEAST_HISTORY:
        return Estimate(float(x.mean()), n=len(x), how=f"too few runs for an interval: {LEAST_HISTORY} at least")
    middle, error, spread = between_runs(x, se)
    own_variance = float((se**2).mean()) if own is None else own**2
    t = float(st.special().stdtrit(len(x) - 2, 0.5 + level / 2))
    half = t * math.sqrt(spread**2 + error**2 + own_variance)
    return Estimate(middle, middle - half, middle + half, len(x), "prediction interval, REML")
