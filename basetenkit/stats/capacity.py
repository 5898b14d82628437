"""The largest load that keeps a service level, from blocks of requests at several loads: one posterior for all blocks.

Near capacity, requests fail together, so a block of 1,500 requests has as much information as a few dozen independent ones, and
a block without a failure does not show this. One design effect for the whole search, with a strong prior, makes the interval
wide enough.

The model: with x the logarithm of a load and theta that of the capacity, the logit of the good share falls with slope s from the
target at theta. A shift sigma lets the server's capacity move between blocks, and SLACK lets the curve differ from a logistic one
far from theta. docs/concepts/capacity.md has the simulations behind this choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .intervals import Array, inflation, means_of_batches, of_means, special, t975

PRIOR_DESIGN, PRIOR_BAD = 30.0, 10.0  # the prior of the design effect: as if so many bad requests had been seen at it
MOST_ABANDONED = 50.0  # independent requests that a block which was given up counts as, at most
SLACK = 0.6
LEAST_SHARE, LEAST_REQUESTS = 0.7, 20  # blocks that say something of the design effect
SLOPES = np.geomspace(3.0, 60.0, 10)
SHIFTS, SHIFT_PRIOR = np.array([0.01, 0.04, 0.1]), np.array([0.4, 0.4, 0.2])
POINTS, NODES = 120, 9
TAIL, STRONG_TAIL = 0.025, 0.0005
SLOWER, LEAST_SINGLES = 1.05, 5
BELOW, ABOVE = (
    2.5,
    1.3,
)  # the grid reaches so many times below the lowest load that was kept and above the first that was not
_Z, _WEIGHTS = np.polynomial.hermite_e.hermegauss(NODES)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one block showed: `n` judged requests at `load`, of which `good` kept the limits; `design`: how many of them say as much
    as one independent one (None if none or all were good); `abandoned`: whether it was ended early."""

    load: float
    n: int
    good: float
    design: float | None = None
    abandoned: bool = False

    @property
    def share(self) -> float:
        return self.good / self.n if self.n else 0.0


@dataclass(frozen=True)
class Posterior:
    """Over the capacity: `loads` (a grid, log-spaced) and `mass` (adds up to 1); `shift`: the mean of the shift sigma."""

    loads: Array
    mass: Array
    shift: float

    def quantile(self, q: float) -> float:
        """The load below which the capacity is with probability `q`."""
        at = min(int(np.searchsorted(np.cumsum(self.mass), q)), len(self.loads) - 1)
        return float(self.loads[at])

    @property
    def low(self) -> float:
        return self.quantile(0.025)

    @property
    def value(self) -> float:
        return self.quantile(0.5)

    @property
    def high(self) -> float:
        return self.quantile(0.975)

    @property
    def ends(self) -> tuple[float, float]:
        """The mass on the lowest and on the highest twentieth of the grid."""
        part = max(len(self.mass) // 20, 1)
        return float(self.mass[:part].sum()), float(self.mass[-part:].sum())


def design_effect(good: Array) -> float | None:
    """How many requests say as much as one independent one, from batch means of 1 (good) and 0 in start order; None if there are
    fewer than 20, or if they are all alike."""
    n = len(good)
    share = float(np.mean(good)) if n else 0.0
    if n < LEAST_REQUESTS or share * (1 - share) == 0:
        return None
    ten, twenty = (means_of_batches(good - share, k) for k in (10, 20))
    error = max(of_means(twenty) * inflation(twenty, corrected=False), of_means(ten) * t975(9) / t975(19))
    return max(1.0, n * error**2 / (share * (1 - share)))


def pooled_design(blocks: Sequence[Evidence]) -> float:
    """One design effect for all blocks; a block weighs by the variance of its requests, so one without failures adds nothing."""
    total, weight = PRIOR_BAD * PRIOR_DESIGN, PRIOR_BAD
    for block in blocks:
        if not block.abandoned and block.n >= LEAST_REQUESTS and block.share > LEAST_SHARE:
            v = block.n * block.share * (1 - block.share)
            weight += v
            total += v * (block.design or 0.0)
    return total / weight


def effective(block: Evidence, design: float) -> tuple[float, float]:
    """(good, all) independent requests that a block is worth."""
    n = max(block.n / design, 1.0)
    n = min(n, MOST_ABANDONED) if block.abandoned else n
    return n * block.share, n


def probability_kept(block: Evidence, design: float, goodput: float) -> float:
    """The probability that the good share at the block's load is at least `goodput`, from this block alone."""
    good, n = effective(block, design)
    return 1 - float(special().betainc(good + 0.5, n - good + 0.5, goodput))


def posterior(blocks: Sequence[Evidence], goodput: float, lowest: float, highest: float) -> Posterior:
    """The posterior over the capacity on a grid of loads from `lowest` to `highest`, flat before the blocks were seen."""
    design = pooled_design(blocks)
    grid, log_p = _grid(lowest, highest), np.zeros((POINTS, len(SLOPES), len(SHIFTS)))
    for block in blocks:
        good, n = effective(block, design)
        logit, log_bad = _curves(block.load, goodput, lowest, highest)
        each = good * logit + n * log_bad
        most = each.max(-1)
        log_p += most + np.log(np.exp(each - most[..., None]) @ _WEIGHTS)
    log_p += np.log(SHIFT_PRIOR)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    return Posterior(np.exp(grid), p.sum((1, 2)), float(p.sum((0, 1)) @ SHIFTS))


def _grid(lowest: float, highest: float) -> Array:
    found: Array = np.linspace(np.log(lowest), np.log(highest), POINTS)
    return found


@lru_cache(maxsize=64)
def _curves(load: float, goodput: float, lowest: float, highest: float) -> tuple[Array, Array]:
    """The logit of the good share at a load, and the logarithm of the bad share, for each capacity, slope, shift and node."""
    away = float(np.log(load)) - _grid(lowest, highest)[:, None, None, None]
    slope, sigma, z = SLOPES[None, :, None, None], SHIFTS[None, None, :, None], _Z[None, None, None, :]
    centre = float(np.log(goodput / (1 - goodput)))
    logit: Array = centre - slope * away + slope * np.sqrt(sigma**2 + (SLACK * away) ** 2) * z
    return logit, -np.logaddexp(0.0, logit)


def disagreements(blocks: Sequence[Evidence], tail: float = TAIL) -> list[tuple[Evidence, Evidence]]:
    """Pairs of blocks in which the higher load kept the limits better than the lower one, beyond their effective numbers: the
    intervals of both, with a `tail` on each side, are apart. Either the server changed between them, or more load does not make it
    worse, and no largest load describes it."""
    design, found = pooled_design(blocks), []
    bounds = [_bounds(block, design, tail) for block in blocks]
    for a, (_, high) in zip(blocks, bounds, strict=True):
        for b, (low, _) in zip(blocks, bounds, strict=True):
            if b.load > a.load * 1.02 and low > high:
                found.append((a, b))
    return found


def changes(blocks: Sequence[Evidence]) -> list[tuple[Evidence, Evidence]]:
    """Pairs of blocks at loads within 2% of each other, whose 95% intervals are apart: the server was not the same in both."""
    design, found = pooled_design(blocks), []
    whole = [block for block in blocks if not block.abandoned]
    bounds = [_bounds(block, design) for block in whole]
    for i, a in enumerate(whole):
        for j in range(i + 1, len(whole)):
            alike = abs(np.log(whole[j].load / a.load)) <= 0.02
            if alike and (bounds[i][0] > bounds[j][1] or bounds[j][0] > bounds[i][1]):
                found.append((a, whole[j]))
    return found


def _bounds(block: Evidence, design: float, tail: float = TAIL) -> tuple[float, float]:
    good, n = effective(block, design)
    inverse = special().betaincinv
    return float(inverse(good + 0.5, n - good + 0.5, tail)), float(inverse(good + 0.5, n - good + 0.5, 1 - tail))


def slower_after(before: Sequence[float], after: Sequence[float]) -> float | None:
    """How many times as long single requests took after an overload as before it, by the means of the logarithms; None if the
    one-sided 99% bound of Welch's test does not show more than SLOWER."""
    a, b = np.log(np.asarray(before, float)), np.log(np.asarray(after, float))
    if min(len(a), len(b)) < LEAST_SINGLES:
        return None
    va, vb = max(float(np.var(a, ddof=1)), 1e-8) / len(a), max(float(np.var(b, ddof=1)), 1e-8) / len(b)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    ratio = float(b.mean() - a.mean())
    bound = ratio - float(special().stdtrit(freedom, 0.99)) * math.sqrt(va + vb)
    return math.exp(ratio) if bound > math.log(SLOWER) else None


def evidence_of(load: float, good: Array, abandoned: bool) -> Evidence:
    """The evidence of a block's judged requests: 1 (good) and 0 in start order."""
    x = np.asarray(good, float)
    return Evidence(load, len(x), float(x.sum()), design_effect(x), abandoned)


def growing(in_flight: Array) -> int | None:
    """At which request a block is given up as overloaded: requests in flight as each one was sent -> its number; None if they
    do not grow. They grow if, over the second half so far, they rose by more than 4 roots of the arrivals, and more than
    doubled."""
    for i in range(50, len(in_flight), 25):
        half = i // 2
        if in_flight[i] - in_flight[half] > 4 * math.sqrt(i - half) and in_flight[i] > 2 * in_flight[half]:
            return i
    return None
