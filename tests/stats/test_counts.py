from __future__ import annotations

import math

import numpy as np
import pytest

from basetenkit.stats import intervals as st
from basetenkit.stats.counts import drift_of, rate_of_stretches, ratio_of_stretches


def test_steps_that_undo_each_other_do_not_grow() -> None:
    assert drift_of(np.array([1.0, -1.0] * 10)) == 0.0
    assert drift_of(np.array([1.0, 3.0] * 10)) == pytest.approx(2 / (np.std([1.0, 3.0] * 10, ddof=1) / np.sqrt(20)))
    assert drift_of(np.zeros(20)) == 0.0
    assert drift_of(np.ones(20)) == np.inf


def test_the_rate_of_a_stretch_is_its_count_over_its_time() -> None:
    counts = np.array([4.0, 6.0] * 10)
    got = rate_of_stretches([counts], [50.0], 40)
    assert got.value == 2.0
    assert got.low < 2.0 < got.high  # type: ignore[operator]
    few = rate_of_stretches([counts], [50.0], 19)
    assert (few.value, few.low) == (2.0, None)
    both = rate_of_stretches([counts, 2 * counts], [50.0, 50.0], 80)
    assert both.value == 3.0
    assert ratio_of_stretches([counts], [2 * counts], 40).value == 0.5
    assert rate_of_stretches([], [], 40).value is None


def test_the_variance_of_a_rate_is_the_mean_of_those_of_three_batch_sizes() -> None:
    """Counts by turns high and low, over 20 s: the 20 parts vary, their pairs do not, and neither do their fours."""
    counts = np.array([4.0, 6.0] * 10)
    error = math.sqrt((np.std(counts, ddof=1) ** 2 / 20) / 3)
    got = rate_of_stretches([counts], [20.0], 40)
    assert got.high == pytest.approx(5.0 + st.t975(9) * error)


def test_counts_that_forget_slowly_take_the_widest_batches() -> None:
    counts = np.tile([1.0, 1.0, 6.0, 6.0, 2.0], 4)
    of_five = np.std(counts.reshape(5, 4).mean(1), ddof=1) / math.sqrt(5) * st.t975(4)
    swift, slow = (rate_of_stretches([counts], [20.0], 40, slow) for slow in (False, True))
    of_twenty = np.std(counts, ddof=1) / math.sqrt(20) * st.inflation(counts) * st.t975(19)
    assert slow.high == pytest.approx(counts.mean() + max(of_five, of_twenty))
    assert swift.high < slow.high  # type: ignore[operator]


def test_counts_that_are_like_their_neighbours_are_taken_for_slow() -> None:
    counts = np.repeat([1.0, 2.0, 4.0, 8.0, 5.0], 4)
    assert rate_of_stretches([counts], [20.0], 40) == rate_of_stretches([counts], [20.0], 40, slow=True)


def test_a_rate_is_never_surer_than_its_arrivals() -> None:
    counts = np.full(20, 3.0)
    assert rate_of_stretches([counts], [20.0], 40).high == 3.0
    assert rate_of_stretches([counts], [20.0], 40, least=10.0).high == pytest.approx(3.0 + 1.959964 * 10 / 20)


def test_several_stretches_count_by_their_own_rates() -> None:
    counts = [np.full(20, x) for x in (1.0, 2.0, 3.0)]
    got = rate_of_stretches(counts, [20.0, 20.0, 20.0], 60)
    assert got.value == 2.0
    assert got.high == pytest.approx(2.0 + st.t975(2) * 1.0 / math.sqrt(3))


def test_requests_per_second_of_a_loop_of_independent_users_are_covered() -> None:
    """Four users whose requests take exponential times of mean 1: 4 per second."""
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ends = np.sort(np.concatenate([np.cumsum(rng.exponential(1.0, 200)) for _ in range(4)]))
        counts = np.histogram(ends, 20, (20.0, 120.0))[0].astype(float)
        got = rate_of_stretches([counts], [100.0], 400)
        hits += got.low <= 4.0 <= got.high  # type: ignore[operator]
    assert hits >= 0.90 * 200
