"""How wide the interval of a figure will be in a run that has not been made, from a pilot: a short run of the same load.

A percentile's interval is made here as `stats.intervals` makes it, from batch means that are drawn by chance around what the pilot
says of the requests' dependence. Beyond the highest values of the pilot its tail is taken to be exponential. The half-width of any
other figure is the pilot's own, narrower with the root of the number of requests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from ..core.types import Row
from ..stats import intervals as st
from .metrics import METRICS, observed
from .precision import relative_half

DRAWS, SEED = 200, 20
TAIL = 0.1  # the share of the pilot's values that the tail is made of
LEAST_TAIL = 10  # values above a level, below which the pilot's own order says too little
PRIOR = 10.0
OTHER_WAYS = (0.1, 0.9)  # of the draws: the range in which four of five runs lie
Levels = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Predicted:
    """`half`: the expected half of a 95% interval, as a share of the figure (the wider side); `low`, `high`: within which it
    lies in four of five such runs. None if such an interval has no upper bound. `reason`: why nothing could be predicted."""

    half: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.half is None:
            return self.reason or "no upper bound"
        spread = "" if self.low is None or self.high is None else f" ({self.low:.1%} to {self.high:.1%})"
        return f"±{self.half:.1%}{spread}"


@dataclass(frozen=True)
class PilotLevel:
    """What a pilot says of one level: its measured rows, its row of the summary."""

    rows: pl.DataFrame
    figures: Row

    def predict(self, figure: str, requests: int, repeats: int) -> Predicted:
        """The half-width of a figure of the summary, for so many measured requests in so many repeats together."""
        name, _, stat = figure.rpartition("_")
        if name in METRICS and METRICS[name].kind == "latency" and stat.startswith("p"):
            x, cut = observed(METRICS[name], self.rows)
            if cut.any():
                return Predicted(None, reason="requests of the pilot were cut")
            share = METRICS[name].expression
            known = self.rows.filter(pl.col("outcome") == "ok").select(share.is_not_null().mean()).item() or 0.0
            parts = None if len(x) != self.rows.height else self.rows["repeat"].to_numpy()
            return percentile_half(np.asarray(x, float), int(stat[1:]) / 100, round(requests * known), repeats, parts)
        half = relative_half(
            self.figures.get(figure), self.figures.get(f"{figure}_low"), self.figures.get(f"{figure}_high")
        )
        if half is None:
            return Predicted(None, reason="the pilot has no interval of it")
        return Predicted(half * math.sqrt(self.rows.height / requests))


def percentile_half(x: st.Array, p: float, requests: int, repeats: int, parts: st.Labels | None = None) -> Predicted:
    """The expected half-width of the p-quantile of so many requests in all, from the pilot's values `x` in start order."""
    if len(x) < 2 * st.LEAST:
        return Predicted(None, reason=f"the pilot has {len(x)} values, and {2 * st.LEAST} are needed")
    if requests < st.LEAST:
        return Predicted(None, reason=f"it needs at least {st.LEAST} requests")
    at = levels_of(x)
    value = at(p)
    if not value > 0:
        return Predicted(None, reason="the figure is 0 in the pilot")
    together = dependence(x, p, parts)
    halves = np.array([_half(size, p, value, at) for size in _sizes(p, requests, repeats, together)])
    low, half, high = np.quantile(halves, [OTHER_WAYS[0], 0.5, OTHER_WAYS[1]], method="inverted_cdf")
    if not math.isfinite(half):
        return Predicted(None, reason="no upper bound: too few independent requests")
    return Predicted(float(half), float(low), float(high) if math.isfinite(high) else None)


def dependence(x: st.Array, p: float, parts: st.Labels | None = None) -> float:
    """How many of the pilot's requests say as much about its p-quantile as one independent one; at least 1. A tail of few values
    says little of that, so the median's dependence counts as `PRIOR` values of the tail."""
    tail, middle = (
        _dependence((x <= np.quantile(x, level, method="inverted_cdf")).astype(float), parts) for level in (p, 0.5)
    )
    weight = len(x) * p * (1 - p)
    return max((weight * tail + PRIOR * middle) / (weight + PRIOR), 1.0)


def _dependence(psi: st.Array, parts: st.Labels | None) -> float:
    of = st.moments(psi, parts)
    if of.variance == 0:
        return 1.0
    if of.runs > 1:
        seen = (st.of_totals(of.totals) / of.n) ** 2
    else:
        twenty = st.of_means(of.twenty) * st.inflation(of.twenty, corrected=False)
        seen = (st.of_means(of.ten) ** 2 + twenty**2) / 2
    return max(seen * of.n / of.variance, 1.0)


def levels_of(x: st.Array) -> Levels:
    """Level -> the value that this share of values does not exceed: by the order of `x`, and by an exponential tail above it."""
    ordered, n = np.sort(x), len(x)
    begins = 1 - max(TAIL, LEAST_TAIL / n)
    base = float(np.quantile(ordered, begins))
    above = ordered[ordered > base] - base
    scale = float(above.mean()) if len(above) else 0.0

    def at(level: float) -> float:
        if level > max(begins, 1 - LEAST_TAIL / n):
            return base + scale * math.log((1 - begins) / max(1 - level, 1e-12))
        return float(np.quantile(ordered, min(max(level, 0.0), 1.0)))

    return at


def _sizes(p: float, requests: int, repeats: int, together: float) -> list[float]:
    """Independent requests that the estimator will find, draw by draw."""
    rng, variance = np.random.default_rng(SEED), p * (1 - p)
    found = []
    for _ in range(DRAWS):
        if repeats > 1:
            totals = rng.normal(0, math.sqrt(together * variance * requests / repeats), repeats)
            of = st.Moments(requests, p, variance, np.zeros(10), np.zeros(20), totals - totals.mean())
        else:
            twenty = rng.normal(0, math.sqrt(20 * together * variance / requests), 20)
            twenty -= twenty.mean()
            of = st.Moments(requests, p, variance, twenty.reshape(10, 2).mean(1), twenty, np.zeros(1))
        found.append(st.effective_n(of, p))
    return found


def _half(size: float, p: float, value: float, at: Levels) -> float:
    """Half of the interval that so many independent requests give, as a share of the value; infinite without an upper bound."""
    e = max(int(size), 1)
    low, high = st.binomial_rank(0.025, e, p), st.binomial_rank(0.975, e, p) + 1
    if high > e:
        return math.inf
    return max(value - at(low / e), at(high / e) - value) / value
