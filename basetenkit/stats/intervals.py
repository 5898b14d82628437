"""95% intervals for one run, which take into account that its requests depend on each other.

Requests of a run share waves, batches and a server that drifts, so intervals of a bootstrap over requests are far too narrow.
Here batch means give the standard error of a series in start order (Schmeiser 1982), and with it the number of independent
requests with the same information; a quantile's interval is the binomial rank interval of that number (Woodruff 1952;
Heidelberger and Lewis 1984), a fraction's is Clopper-Pearson on it (Korn and Graubard 1998).

Several short runs spread over time (`parts` has the run of each value) show more of a drift than one: their values are pooled,
and the spread of the runs' means gives the standard error. Percentiles of runs are never averaged.

If there are too few requests to bound a tail from above, `high` is None: print ">= low". Below 20 values there is no interval.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ..core.types import Estimate

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]
Labels = NDArray[np.generic]
LEAST = 20
Z975 = 1.959964
BY_CHANCE = (
    2.0  # the variance of 10 means of independent values is more than 1.9 times what it should be in a twentieth
)
NOTHING = Estimate(None, how="nothing to estimate from")
FEW = "too few for an interval"
MOST_SKEW = 0.15  # of the mean of 20 batches: that of 20 normal values is above 0.11 in a third of samples


@cache
def special() -> ModuleType:
    """scipy.special, loaded when first needed."""
    return importlib.import_module("scipy.special")


@cache
def distributions() -> ModuleType:
    """scipy.stats, loaded when first needed: it takes most of a second."""
    return importlib.import_module("scipy.stats")


@cache
def t975(df: int) -> float:
    """The 97.5% point of Student's t."""
    return float(special().stdtrit(df, 0.975))


@dataclass(frozen=True, slots=True)
class Moments:
    """What batch means need of a series in start order: its length, mean and variance (of the population), what the means of its
    10 and 20 batches are away from the mean, and what each run's values are away from it in all."""

    n: int
    mean: float
    variance: float
    ten: Array
    twenty: Array
    totals: Array

    @property
    def runs(self) -> int:
        return len(self.totals)


def moments(psi: Array, parts: Labels | None = None) -> Moments:
    """Of a series with at least one value; `parts`: the run of each value."""
    centred: Array = psi - psi.mean()
    several = parts is not None and _runs(parts) > 1
    which = np.unique(np.asarray(parts), return_inverse=True)[1] if several else np.zeros(len(psi), int)
    totals: Array = np.bincount(which, weights=centred).astype(np.float64)
    ten, twenty = means_of_batches(centred, 10), means_of_batches(centred, 20)
    return Moments(len(psi), float(psi.mean()), float(centred.var()), ten, twenty, totals)


def standard_error(of: Moments, floor: bool = True) -> tuple[float, int]:
    """(standard error of the mean of a series in start order, degrees of freedom); at least LEAST values.

    The one that gives the widest interval, of 5, 10 and 20 batch means: the 20 see short correlation and are inflated for the
    rest of it (their lag-1 autocorrelation, less the bias that 20 values give it), the 5 see correlation over a tenth of the run.
    Never under the one that independence would give. Without that `floor` (values at equal times) of 10 and 20 only. Of several
    runs: from the runs' own means.
    """
    independent = math.sqrt(of.variance / of.n) if floor else 0.0
    if of.runs > 1:
        return max(of_totals(of.totals) / of.n, independent), of.runs - 1
    found = [(of_means(of.twenty) * inflation(of.twenty, floor), 19), (of_means(of.ten), 9)]
    if floor:
        found.append((of_means(of.twenty.reshape(5, 4).mean(1)), 4))
    found.append((independent, 19))
    return max(found, key=lambda x: x[0] * t975(x[1]))


def inflation(means: Array, corrected: bool = True) -> float:
    """How many times the standard error of 20 batch means is what it should be, by what is left of their correlation. `corrected`
    for its bias with few values (Marriott and Pope 1954)."""
    phi = lag_one(means)
    if corrected and means.any():
        phi += (1 + 4 * phi) / 20
    phi = min(max(phi, 0.0), 0.8)
    return math.sqrt((1 + phi) / (1 - phi))


def sides(of: Moments, se: float, df: int) -> tuple[float, float]:
    """How far a 95% interval of the mean reaches down and up: by Student's t, and further to the side where the batch means have
    their tail (Hall 1992), since a series of seldom large values looks too small and too certain as long as few of them came."""
    t = t975(df)
    skew = 0.0 if of.runs > 1 else min(max(_skew(of.twenty), -MOST_SKEW), MOST_SKEW)
    wide = max(-3 * (math.cbrt(1 - abs(skew) * (t + abs(skew) / 6)) - 1) / abs(skew), t) if skew else t
    return (wide if skew < 0 else t) * se, (wide if skew > 0 else t) * se


def _skew(means: Array) -> float:
    """The skewness of the mean of some values."""
    away = means - means.mean()
    spread = float(away.std())
    return float((away**3).mean()) / spread**3 / math.sqrt(len(means)) if spread > 0 else 0.0


def dependence(of: Moments) -> float:
    """How many requests say as much as one independent one: how much the variance of 10 batch means, or of several runs', is above
    that of independent values. 1 if that could be chance."""
    independent = of.variance / of.n
    seen = (of_totals(of.totals) / of.n if of.runs > 1 else of_means(of.ten)) ** 2
    return seen / independent if independent > 0 and seen > BY_CHANCE * independent else 1.0


def of_means(means: Array) -> float:
    return float(means.std(ddof=1)) / math.sqrt(len(means))


def _runs(parts: Labels | None) -> int:
    return 1 if parts is None or not len(parts) or (parts == parts[0]).all() else len(np.unique(parts))


def of_totals(totals: Array) -> float:
    """The standard error of the sum of what several runs' values are away from the pooled mean: for runs of one size, n times
    the standard deviation of their means over the root of their number."""
    return math.sqrt(len(totals) / (len(totals) - 1) * float((totals**2).sum()))


def means_of_batches(centred: Array, batches: int) -> Array:
    size = len(centred) // batches
    if not size:
        return np.zeros(0)
    means: Array = centred[len(centred) - size * batches :].reshape(batches, size).mean(1)
    return means


def effective_n(of: Moments, p: float) -> float:
    """How many independent requests would say as much about a proportion `p`."""
    se, df = standard_error(of)
    if se == 0:
        return float(of.n)
    return float(min(of.n, p * (1 - p) / se**2 * (Z975 / t975(df)) ** 2))


def how(method: str, runs: int) -> str:
    return f"{method} on batch means" if runs < 2 else f"{method} on the means of {runs} runs"


def mean(values: Sequence[float] | Array, parts: Labels | None = None) -> Estimate:
    """The mean, t interval on batch means. Values in start order. Of values that are never below 0, nor is the low end."""
    x = np.asarray(values, float)
    return mean_of(moments(x, parts), float(x.min())) if len(x) else NOTHING


def mean_of(of: Moments, least: float | None = None) -> Estimate:
    """`mean` of a series by its moments. `least`: its least value; if none is below 0 and the low end would be, it is that of an
    interval as wide on the log scale: a mean of times is above 0."""
    value = of.mean
    if of.n < LEAST:
        return Estimate(value, n=of.n, how=FEW)
    se, df = standard_error(of)
    n = of.n if se == 0 else min(of.n, of.variance / se**2)
    below, above = sides(of, se, df)
    low, high = value - below, value + above
    if low < 0 < value and least is not None and least >= 0:
        low = value * math.exp(-below / value)
    return Estimate(value, low, high, n, how("t interval", of.runs))


def quantile(values: Sequence[float] | Array, p: float, parts: Labels | None = None) -> Estimate:
    """The p-quantile (inverse of the ECDF), binomial rank interval of the effective n. Values in start order."""
    return quantiles(values, [p], parts)[0]


def quantiles(values: Sequence[float] | Array, ps: Sequence[float], parts: Labels | None = None) -> list[Estimate]:
    """`quantile` for several p, at the cost of one sort."""
    x = np.asarray(values, float)
    ordered = np.sort(x)

    def shares(limits: Sequence[float]) -> list[Moments]:
        return [moments((x <= limit).astype(float), parts) for limit in limits]

    return quantiles_of(len(x), ps, lambda ranks: [float(ordered[r - 1]) for r in ranks], shares)


def rank(n: int, p: float) -> int:
    """Which of `n` values, from 1 (the least), is their p-quantile: the inverse of the ECDF."""
    return max(math.ceil(n * p - 1e-9), 1)


def quantiles_of(
    n: int,
    ps: Sequence[float],
    at: Callable[[Sequence[int]], Sequence[float]],
    shares: Callable[[Sequence[float]], Sequence[Moments]],
) -> list[Estimate]:
    """`quantiles` of `n` values that need not be in memory: `at` gives those of some ranks (1 is the least), `shares` the moments
    of "is at most" each of some limits."""
    if not n:
        return [NOTHING for _ in ps]
    found = at([rank(n, p) for p in ps])
    if n < LEAST:
        return [Estimate(q, n=n, how=FEW) for q in found]
    each = shares(found)
    sizes = [max(int(effective_n(of, p)), 1) for of, p in zip(each, ps, strict=True)]
    highs = [binomial_rank(0.975, e, p) for e, p in zip(sizes, ps, strict=True)]
    lower = [max(int(n * binomial_rank(0.025, e, p) / e + 1e-9), 1) for e, p in zip(sizes, ps, strict=True)]
    upper = [math.ceil(n * high / e - 1e-9) + 1 for e, high in zip(sizes, highs, strict=True)]
    bounds = at([*lower, *(min(j, n) for j in upper)])
    out = []
    for k, (q, e) in enumerate(zip(found, sizes, strict=True)):
        top = None if highs[k] + 1 > e or upper[k] > n else bounds[len(ps) + k]
        out.append(Estimate(q, bounds[k], top, e, how("rank interval", each[k].runs)))
    return out


@cache
def binomial_rank(level: float, n: int, p: float) -> int:
    """The smallest k with P(Binomial(n, p) <= k) >= level."""
    functions = special()
    k = int(np.clip(math.ceil(n * p + functions.ndtri(level) * math.sqrt(n * p * (1 - p))), 0, n))
    while k > 0 and functions.bdtr(k - 1, n, p) >= level:
        k -= 1
    while functions.bdtr(k, n, p) < level:
        k += 1
    return k


def fraction(good: Sequence[bool] | Marks, parts: Labels | None = None, like: Array | None = None) -> Estimate:
    """The share of true values, Clopper-Pearson on the effective n. Values in start order. None or all of n say nothing of how they
    depend on each other: then they are as dependent as `like`, how long the same requests took."""
    x = np.asarray(good, float)
    if not len(x):
        return NOTHING
    p = float(x.mean())
    if len(x) < LEAST:
        return Estimate(p, n=len(x), how=FEW)
    of = moments(x, parts)
    e = float(len(x)) if p in (0.0, 1.0) else max(effective_n(of, p), 1.0)
    if p in (0.0, 1.0) and like is not None:
        e = max(e / dependence(moments(like, parts)), 1.0)
    hits, inverse = e * p, special().betaincinv
    low = 0.0 if hits <= 0 else float(inverse(hits, e - hits + 1, 0.025))
    high = 1.0 if e - hits < 1e-9 else float(inverse(hits + 1, e - hits, 0.975))
    return Estimate(p, low, high, e, how("Clopper-Pearson", of.runs))


def batch_means(values: Sequence[float] | Array, batches: int = 20) -> Array | None:
    """Means of `batches` equal stretches of a series in order; None if a stretch would have fewer than 2 values."""
    x = np.asarray(values, float)
    return None if len(x) < 2 * batches else means_of_batches(x, batches)


def mann_kendall(series: Array) -> tuple[float, float]:
    """(Kendall's tau against time, two-sided p) of a short series, such as 20 batch means (Mann 1945; Kendall 1975); (0, 1) of
    one that does not vary. On raw requests, which depend on each other, it would raise a false alarm every other time."""
    if len(series) < 2 or (series == series[0]).all():
        return 0.0, 1.0
    found = distributions().kendalltau(np.arange(len(series)), series)
    return float(found.statistic), float(found.pvalue)


def lag_one(series: Array) -> float:
    """The lag-1 autocorrelation of a short series; 0 if it does not vary."""
    d = series - series.mean()
    total = float((d * d).sum())
    return float((d[1:] * d[:-1]).sum()) / total if total > 0 else 0.0
