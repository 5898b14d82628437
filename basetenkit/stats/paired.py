"""Compares two endpoints by pairs of blocks: one of three verdicts on the ratio of a metric, and how many more pairs are
needed.

A block is one observation. Its mean goes into a t interval over the pairs' log ratios; a percentile has no block value worth
averaging, so the pooled one is tested by swapping the labels within pairs, and its interval is those ratios that such a test
would not reject.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .intervals import Array, Marks, special

DIFFERS, EQUAL, MORE = "differs", "equal within the margin", "not enough data"
P95 = 400  # swaps: an interval's end then rests on 10 of them
MOST_PAIRS = 10_000
Pairs = Sequence[tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True)
class PairVerdict:
    """`ratio` (b / a) with its 95% interval, the 90% one within which equality is judged as `within`, and what follows."""

    metric: str
    of: str
    pairs: int
    ratio: float | None
    low: float | None
    high: float | None
    within: bool
    verdict: str
    more_pairs: int | None
    low_90: float | None = None
    high_90: float | None = None

    def as_row(self) -> dict[str, object]:
        names = ("metric", "of", "ratio", "low", "high", "low_90", "high_90", "pairs", "verdict", "more_pairs")
        return {name: getattr(self, name) for name in names}


def judge_means(metric: str, pairs: Pairs, margin: float) -> PairVerdict:
    """t on the log ratios of block means (values > 0); equality by two one-sided tests at 5%."""
    logs = np.array([math.log(np.mean(b) / np.mean(a)) for a, b in pairs if np.mean(a) > 0 and np.mean(b) > 0])
    k = len(logs)
    if k < 2:
        return _nothing(metric, "block means", k)
    m, s = float(logs.mean()), float(logs.std(ddof=1))
    half = [_t(p, k - 1) * s / math.sqrt(k) for p in (0.975, 0.95)]
    spans = [(m - h, m + h) for h in half]
    return _decide(metric, "block means", k, m, spans, s, margin)


def judge_p95(metric: str, pairs: Pairs, margin: float, seed: int = 0) -> PairVerdict:
    """The ratio of the pooled p95s; labels swapped within pairs. Below 6 pairs no swap can be rare enough: no interval."""
    k = len(pairs)
    of = "pooled p95"
    if k < 2:
        return _nothing(metric, of, k)
    a, b = ([np.asarray(side, float) for side in sides] for sides in zip(*pairs, strict=True))
    ratio = _p95(b) / _p95(a) if _p95(a) > 0 else math.nan
    if k < 6 or not ratio > 0:
        return PairVerdict(metric, of, k, ratio if ratio > 0 else None, None, None, False, MORE, max(6 - k, 1))
    swaps = np.random.default_rng(seed).random((P95, k)) < 0.5
    m = math.log(ratio)

    def p(shift: float) -> float:
        return _swap_test(a, [x * math.exp(-shift) for x in b], swaps)

    spread = max(abs(m), 0.02)
    spans = [(_edge(p, m, -spread, level), _edge(p, m, spread, level)) for level in (0.05, 0.10)]
    widest = max(spans[0][1] - m, m - spans[0][0])  # its interval is not symmetric
    s = widest / _t(0.975, k - 1) * math.sqrt(k)
    return _decide(metric, of, k, m, spans, s, margin)


def _decide(
    metric: str, of: str, k: int, m: float, spans: Sequence[tuple[float, float]], s: float, margin: float
) -> PairVerdict:
    """`spans`: the 95% and the 90% interval of the log ratio `m`; `s`: its standard deviation from pair to pair."""
    bounds = (-math.log1p(margin), math.log1p(margin))
    within = bounds[0] < spans[1][0] and spans[1][1] < bounds[1]
    apart = not spans[0][0] <= 0 <= spans[0][1]
    verdict = DIFFERS if apart else EQUAL if within else MORE
    more = _more(k, m, s, bounds[1]) if verdict == MORE else 0
    low, high, low_90, high_90 = (math.exp(x) for span in spans for x in span)
    return PairVerdict(metric, of, k, math.exp(m), low, high, within, verdict, more, low_90, high_90)


def _more(k: int, m: float, s: float, margin: float) -> int | None:
    """Further pairs until one of the other verdicts is reached with a chance of 80%, if things are as they look now; None
    if that takes more than MOST_PAIRS."""
    room = [(abs(m), 0.975), (margin - abs(m), 0.95)]
    for n in range(k + 1, MOST_PAIRS):
        power = _t(0.80, n - 1)
        if any(gap > 0 and (_t(level, n - 1) + power) * s / math.sqrt(n) <= gap for gap, level in room):
            return n - k
    return None


def _nothing(metric: str, of: str, k: int) -> PairVerdict:
    return PairVerdict(metric, of, k, None, None, None, False, MORE, None)


def _t(p: float, df: int) -> float:
    return float(special().stdtrit(df, p))


def _p95(blocks: Sequence[Array]) -> float:
    x = np.concatenate(blocks)
    return float(np.partition(x, math.ceil(0.95 * len(x) - 1e-9) - 1)[math.ceil(0.95 * len(x) - 1e-9) - 1])


def _swap_test(a: Sequence[Array], b: Sequence[Array], swaps: Marks) -> float:
    """Two-sided p of |log p95(b) / p95(a)| among swapped labels. One sort serves all swaps: a value's label is its block's."""
    blocks = [*a, *b]
    k = len(a)
    x = np.concatenate(blocks)
    owner = np.repeat(np.arange(2 * k), [len(block) for block in blocks])
    order = np.argsort(x, kind="stable")
    x, owner = x[order], owner[order]
    as_they_are = np.arange(2 * k)[None] >= k
    marks = np.concatenate([as_they_are, np.concatenate([swaps, ~swaps], axis=1)])[
        :, owner
    ]  # which values count as B's
    found = np.abs(np.log(_p95_of(x, marks) / _p95_of(x, ~marks)))
    return float((1 + (found[1:] >= found[0] - 1e-12).sum()) / len(found))


def _p95_of(x: Array, marks: Marks) -> Array:
    """The p95 of those of the sorted `x` that each row of `marks` marks."""
    counts = marks.cumsum(axis=1, dtype=np.int32)
    rank = np.ceil(0.95 * counts[:, -1] - 1e-9)
    found: Array = x[(counts >= rank[:, None]).argmax(axis=1)]
    return found


def _edge(p: Callable[[float], float], start: float, step: float, level: float) -> float:
    """Where, going from `start` by `step`, the test begins to reject: the end of the interval, to a fiftieth of the last step."""
    inside, outside = start, start + step
    for _ in range(12):
        if p(outside) <= level:
            break
        inside, step = outside, 2 * step
        outside += step
    for _ in range(6):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if p(middle) <= level else (middle, outside)
    return outside
