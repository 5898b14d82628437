"""Figures of requests of which some were cut before they ended, so that only a lower bound of their time is known.

A mean of the others alone would be the better the more requests hung. The restricted mean (Royston and Parmar 2013) counts every
request up to a limit: the area under the survival curve. Failures compete with success, so the share that ended well by a time is
the cumulative incidence of Aalen and Johansen (1978), which needs no guess about requests that are still waiting.
"""

from __future__ import annotations

import numpy as np

from ..core.types import Estimate
from . import intervals as st
from .intervals import Array, Labels, Marks, distributions

HOW = "restricted mean to {limit:.4g} s"


def restricted_mean(values: Array, cut: Marks, parts: Labels | None = None) -> Estimate:
    """The mean of min(latency, limit), s: `values` in start order, `cut` true for those that were ended before they were over;
    the limit is the longest time that was observed. It is a lower bound of the mean, so it has no top.

    The interval is a t interval on batch means of each request's pseudo-value (its influence on the area)."""
    if not len(values):
        return st.NOTHING
    limit = float(values.max())
    how = HOW.format(limit=limit)
    mean, influence = _area(values, cut)
    if len(values) < st.LEAST:
        return Estimate(mean, n=len(values), how=f"{how}; too few for an interval")
    found = st.mean(mean + influence, parts)
    low = None if found.low is None else max(min(found.low, mean), 0.0)
    return Estimate(mean, low, None, found.n, f"{how}; {found.how}")


def _area(values: Array, cut: Marks) -> tuple[float, Array]:
    """(the area under the Kaplan-Meier curve up to the longest value, the influence of each value on it)."""
    n = len(values)
    order = np.lexsort((cut, values))
    x, over = values[order], ~cut[order]
    at_risk = n - np.arange(n)
    survival = np.cumprod(np.where(over, 1 - 1 / at_risk, 1.0))
    widths = np.diff(x, append=x[-1])
    after = np.cumsum((survival * widths)[::-1])[::-1]  # the area from each value to the limit
    area = float(x[0] + after[0])
    hazard = np.where(over, after * n / at_risk**2, 0.0)
    influence = np.empty(n)
    influence[order] = np.cumsum(hazard) - np.where(over, after * n / at_risk, 0.0)
    return area, influence


def cumulative_incidence(times: Array, causes: Labels) -> tuple[Array, dict[str, Array]]:
    """(times ascending, per cause the share of requests that had ended by it at each of those times).

    `times`: how long each request took, or had taken when it was cut, s; `causes`: how it ended, "" for one that was cut. The
    shares and the rest that still waits add up to 1 at every time."""
    order = np.lexsort((causes == "", times))
    x, kinds = times[order], causes[order]
    at_risk = len(x) - np.arange(len(x))
    ended = kinds != ""
    survival = np.cumprod(np.where(ended, 1 - 1 / at_risk, 1.0))
    before = np.concatenate([[1.0], survival[:-1]])
    step = np.where(ended, before / at_risk, 0.0)
    return x, {str(kind): np.cumsum(np.where(kinds == kind, step, 0.0)) for kind in np.unique(kinds[ended])}


def censored_quantile(values: Array, cut: Marks, p: float, parts: Labels | None = None) -> Estimate:
    """The p-quantile if some values are only known to be larger: `values` (s, in start order) with `cut` true for those
    that were ended before they were over.

    Kaplan and Meier 1958, with Greenwood's variance on the log-log scale, inflated by how many requests it takes to say what
    one independent request would. No value, and no top, if the curve does not come down so far.
    """
    if not len(values):
        return st.NOTHING
    x, survival = survival_curve(values, cut)
    n = len(x)
    value = _first(x, survival, 1 - p)
    if n < st.LEAST:
        return Estimate(value, n=n, how="Kaplan-Meier; too few for an interval")
    # if the curve does not come down so far: of how many independent requests is it known that they were over at all?
    middle = value if value is not None else float(values[~cut].max()) if (~cut).any() else float(np.median(values))
    below = ((values <= middle) & ~cut).astype(float)
    share = float(below.mean())
    of = st.moments(below, parts)
    e = max(st.effective_n(of, share), 1.0) if 0 < share < 1 else float(n)
    remaining = survival / np.concatenate([[1.0], survival[:-1]]).clip(min=1e-300)  # of those at risk, past each value
    greenwood = np.cumsum((1 / remaining.clip(min=1e-300) - 1) / (n - np.arange(n)))
    low, high = _bounds(survival, greenwood * n / e)
    least = _first(
        x, low, 1 - p
    )  # if even that curve does not come down so far, the quantile lies beyond all that was seen
    return Estimate(
        value, float(x[-1]) if least is None else least, _first(x, high, 1 - p), e, st.how("Kaplan-Meier", of.runs)
    )


def survival_curve(values: Array, cut: Marks) -> tuple[Array, Array]:
    """(values ascending, share that is longer), if some are only known to be longer (Kaplan and Meier 1958). At a tie those
    that were over count before those that were cut. At least one value."""
    curve = distributions().ecdf(distributions().CensoredData(uncensored=values[~cut], right=values[cut])).sf
    ordered = np.sort(values)
    survival: Array = curve.evaluate(ordered)
    return ordered, survival


def _bounds(survival: Array, variance: Array) -> tuple[Array, Array]:
    """(lower, upper) 95% curves about a survival curve. If the survival is 0 there is no variance, so the upper curve keeps its
    value: the longest observed value is not an upper bound."""
    low, high = np.ones(len(survival)), np.ones(len(survival))
    inside = (survival > 0) & (survival < 1)
    spread = st.Z975 * np.sqrt(variance[inside]) / -np.log(survival[inside])
    low[inside] = survival[inside] ** np.exp(spread)
    high[inside] = survival[inside] ** np.exp(-spread)
    low[survival <= 0] = 0.0
    return np.minimum.accumulate(low), np.minimum.accumulate(high)


def _first(x: Array, survival: Array, level: float) -> float | None:
    """The first value at which a survival curve is down to `level`."""
    down = np.nonzero(survival <= level + 1e-12)[0]
    return float(x[down[0]]) if len(down) else None
