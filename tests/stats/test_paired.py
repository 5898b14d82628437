from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from basetenkit.stats.paired import DIFFERS, EQUAL, MORE, judge_means, judge_p95

Blocks = list[tuple[list[float], list[float]]]


def blocks(k: int, effect: float = 0.0, noise: float = 0.05, n: int = 40, seed: int = 1) -> Blocks:
    """Pairs that share a drift (sd 30%): B's values are A's times exp(effect), each block with its own luck (sd `noise`)."""
    rng = np.random.default_rng(seed)
    out = []
    for shared in rng.normal(0, 0.3, k):
        own = rng.normal(0, noise, 2)
        a, b = (list(np.exp(shared + x) * rng.uniform(0.5, 1.5, n)) for x in (own[0], own[1] + effect))
        out.append((a, b))
    return out


def test_the_interval_is_the_paired_t_of_the_logs() -> None:
    pairs = [([1.0], [1.1]), ([2.0], [2.5]), ([4.0], [4.2])]
    logs = np.log([1.1, 1.25, 1.05])
    low, high = stats.t.interval(0.95, 2, loc=logs.mean(), scale=stats.sem(logs))
    found = judge_means("e2e_s", pairs, 0.05)
    assert found.ratio == pytest.approx(math.exp(logs.mean()))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert (found.verdict, found.pairs) == (MORE, 3)


def test_one_of_three_verdicts() -> None:
    assert judge_means("e2e_s", blocks(20, 0.2), 0.05).verdict == DIFFERS
    assert judge_means("e2e_s", blocks(20, 0.0, noise=0.01, n=4000), 0.05).verdict == EQUAL
    assert judge_means("e2e_s", blocks(4, 0.02, noise=0.2), 0.05).verdict == MORE


def test_a_difference_within_the_margin_is_still_a_difference() -> None:
    found = judge_means("e2e_s", blocks(20, 0.02, noise=0.001, n=20000), 0.05)
    assert (found.verdict, found.within) == (DIFFERS, True)


def test_the_pairs_that_are_missing_are_enough() -> None:
    """With as many more as it says, four in five comparisons reach a verdict."""
    m, s = 0.03, 0.04
    logs = m + s * np.array([-1.0, 1, -1, 1, -1, 1]) / math.sqrt(6 / 5)
    first = judge_means("e2e_s", [([1.0], [math.exp(x)]) for x in logs], 0.02)
    assert first.verdict == MORE
    assert first.more_pairs is not None
    rng, decided = np.random.default_rng(5), 0
    for _ in range(200):
        pairs = [([1.0], [math.exp(x)]) for x in rng.normal(m, s, 6 + first.more_pairs)]
        decided += judge_means("e2e_s", pairs, 0.02).verdict != MORE
    assert 0.7 < decided / 200 < 0.95


def test_no_difference_is_called_one_in_twenty() -> None:
    """A drift that both share does not show: 300 comparisons of nothing."""
    wrong = sum(judge_means("e2e_s", blocks(10, seed=i), 0.05).verdict == DIFFERS for i in range(300))
    assert wrong <= 27


def test_p95_by_swaps_finds_what_is_there_and_little_else() -> None:
    assert judge_p95("e2e_s", blocks(12, 0.5), 0.05).verdict == DIFFERS
    wrong = sum(judge_p95("e2e_s", blocks(10, seed=100 + i), 0.05).verdict == DIFFERS for i in range(25))
    assert wrong <= 4


def test_the_p95_ratio_and_its_interval() -> None:
    found = judge_p95("e2e_s", blocks(20, 0.3), 0.05)
    assert found.low is not None
    assert found.high is not None
    assert found.low < math.exp(0.3) < found.high
    assert found.ratio is not None
    assert found.low < found.ratio < found.high
    assert judge_p95("e2e_s", blocks(20, 0.3), 0.05) == found  # the same seed, the same swaps


def test_too_few_pairs_have_no_interval() -> None:
    few = judge_p95("e2e_s", blocks(4), 0.05)
    assert (few.low, few.verdict, few.more_pairs) == (None, MORE, 2)
    assert judge_means("e2e_s", [], 0.05).ratio is None
    assert judge_p95("e2e_s", [], 0.05).ratio is None
    assert judge_means("e2e_s", [([1.0], [2.0])], 0.05).verdict == MORE


def test_blocks_that_never_vary_are_equal() -> None:
    same: Blocks = [([1.0] * 5, [1.0] * 5)] * 8
    assert judge_means("e2e_s", same, 0.05).verdict == EQUAL
    assert judge_p95("e2e_s", same, 0.05).verdict == EQUAL
