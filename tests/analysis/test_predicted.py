from __future__ import annotations

import numpy as np
import pytest

from basetenkit.analysis.precision import relative_half
from basetenkit.analysis.predicted import dependence, levels_of, percentile_half
from basetenkit.stats import intervals as st

rng = np.random.default_rng(5)


def waves(n: int, share: float, seed: int) -> st.Array:
    """Latencies above 0, of which neighbours are alike: AR(1) with this share, on the log scale."""
    steps = np.random.default_rng(seed).normal(0, np.sqrt(1 - share**2), n)
    x = np.zeros(n)
    for i in range(1, n):
        x[i] = share * x[i - 1] + steps[i]
    return np.exp(0.3 * x)


@pytest.mark.parametrize("share", [0.0, 0.7])
@pytest.mark.parametrize("p", [0.5, 0.95])
@pytest.mark.parametrize("repeats", [1, 10])
def test_a_pilot_predicts_the_half_width_of_a_longer_run(share: float, p: float, repeats: int) -> None:
    n = 3000
    predicted = [percentile_half(waves(400, share, seed), p, n, repeats).half for seed in range(12)]
    found = []
    for seed in range(12):
        x = np.concatenate([waves(n // repeats, share, 1000 + seed * 10 + k) for k in range(repeats)])
        e = st.quantile(x, p, np.repeat(np.arange(repeats), n // repeats))
        found.append(relative_half(e.value, e.low, e.high))
    ratio = np.mean([x for x in predicted if x]) / np.mean([x for x in found if x])
    assert 0.7 < ratio < 1.4


def test_four_of_five_runs_lie_within_the_range() -> None:
    guess = percentile_half(waves(5000, 0.0, 1), 0.5, 1000, 5)
    assert guess.low is not None
    assert guess.high is not None
    inside = 0
    for seed in range(60):
        e = st.quantile(waves(1000, 0.0, 50 + seed), 0.5, np.repeat(np.arange(5), 200))
        half = relative_half(e.value, e.low, e.high)
        inside += half is not None and 0.9 * guess.low <= half <= 1.1 * guess.high
    assert inside >= 42  # 48 are expected; fewer than 42 in 2.5% of cases


def test_dependent_requests_count_for_less() -> None:
    assert np.mean([dependence(waves(2000, 0.0, seed), 0.5) for seed in range(8)]) < 1.5
    assert np.mean([dependence(waves(2000, 0.8, seed), 0.5) for seed in range(8)]) > 3


def test_the_tail_beyond_the_pilot_is_exponential() -> None:
    at = levels_of(np.random.default_rng(3).exponential(1.0, 2000))
    assert at(0.5) == pytest.approx(np.log(2), rel=0.1)
    assert at(0.9999) == pytest.approx(np.log(10_000), rel=0.15)
    assert at(0.999) < at(0.9999) < at(0.99999)


def test_what_cannot_be_predicted_says_why() -> None:
    few = percentile_half(np.ones(10), 0.5, 100, 1)
    assert (few.half, few.reason) == (None, "the pilot has 10 values, and 40 are needed")
    assert percentile_half(np.zeros(100), 0.5, 100, 1).reason == "the figure is 0 in the pilot"
    open_ended = percentile_half(waves(400, 0.0, 1), 0.99, 200, 1)
    assert open_ended.half is None
    assert str(open_ended).startswith("no upper bound")
