"""Percentiles, means and shares that keep the requests that were cut, against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from basetenkit.stats import intervals as st
from basetenkit.stats.survival import censored_quantile, cumulative_incidence, restricted_mean


def censored(values: list[float], cut: list[int], p: float) -> float | None:
    return censored_quantile(np.array(values), np.array(cut, bool), p).value


def test_kaplan_and_meier_by_hand() -> None:
    """S: 1 -> 4/5 at 1; 2 cut; 4/5 * 2/3 = 8/15 at 3; 4/15 at 4; 5 cut: the curve ends there."""
    values, cut = [1.0, 2.0, 3.0, 4.0, 5.0], [0, 1, 0, 0, 1]
    assert censored(values, cut, 0.2) == 1.0
    assert censored(values, cut, 0.21) == 3.0
    assert censored(values, cut, 7 / 15) == 3.0
    assert censored(values, cut, 0.5) == 4.0
    assert censored(values, cut, 11 / 15) == 4.0
    assert censored(values, cut, 0.75) is None


def test_the_order_of_the_values_does_not_matter_to_the_value() -> None:
    assert censored([4.0, 1.0, 5.0, 3.0, 2.0], [0, 0, 1, 0, 1], 0.5) == 4.0


def test_at_a_tie_what_ended_goes_before_what_was_cut() -> None:
    assert censored([1.0, 2.0, 2.0, 2.0], [0, 1, 0, 1], 0.5) == 2.0


def test_freireich_1963_as_in_every_textbook() -> None:
    """Remission in weeks under 6-MP: the median is 23, and S(10) = 0.753, S(16) = 0.627."""
    ended = [6.0, 6, 6, 7, 10, 13, 16, 22, 23]
    cut = [6.0, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    values, marks = ended + cut, [0] * len(ended) + [1] * len(cut)
    assert censored(values, marks, 0.5) == 23.0
    assert censored(values, marks, 1 - 0.7530) == 10.0
    assert censored(values, marks, 1 - 0.6275) == 16.0
    assert censored(values, marks, 1 - 0.6274) == 22.0
    e = censored_quantile(np.array(values), np.array(marks, bool), 0.5)
    assert e.high is None  # survival's interval at 35 weeks still holds one half


def test_greenwoods_interval_by_hand_where_values_are_tied() -> None:
    """4, 16, 16 and 4 of 40 end at 1 to 4 s: S is 0.9, 0.5, 0.1 and 0. Greenwood's sums are 4/(40*36) at 1 s, with 16/(36*20)
    more at 2 s and 16/(20*4) more at 3 s, so the lower curve is 0.76 at 1 s and 0.34 at 2 s, the upper one 0.64 at 2 s and 0.22
    at 3 s."""
    values = np.random.default_rng(0).permutation(np.repeat([1.0, 2.0, 3.0, 4.0], [4, 16, 16, 4]))
    e = censored_quantile(values, np.zeros(40, bool), 0.5)
    assert (e.value, e.low, e.high) == (2.0, 2.0, 3.0)


def test_with_nothing_cut_it_is_the_plain_quantile() -> None:
    x = np.random.default_rng(1).exponential(1.0, 257)
    for p in (0.5, 0.9, 0.95, 0.99):
        assert censored_quantile(x, np.zeros(257, bool), p).value == st.quantile(x, p).value


def test_everything_cut_has_no_value_but_a_longer_time_is_not_forgotten() -> None:
    e = censored_quantile(np.arange(1.0, 41), np.ones(40, bool), 0.5)
    assert (e.value, e.high) == (None, None)
    fast, hung = np.full(50, 0.1), np.full(50, 30.0)
    marks = np.concatenate([np.zeros(50, bool), np.ones(50, bool)])
    assert censored_quantile(np.concatenate([fast, hung]), marks, 0.4).value == 0.1
    assert censored_quantile(np.concatenate([fast, hung]), marks, 0.9).value is None


def test_a_tail_with_too_few_requests_has_no_made_up_top() -> None:
    for n in (25, 60, 100, 300):
        x = np.random.default_rng(n).exponential(1.0, n)
        e = censored_quantile(x, np.zeros(n, bool), 0.99)
        assert e.value is not None
        assert e.low is not None
        assert e.low <= e.value
        assert e.high is None


def test_an_interval_lies_about_its_value() -> None:
    x = np.random.default_rng(3).exponential(1.0, 2000)
    cut = x > 3
    e = censored_quantile(np.minimum(x, 3), cut, 0.9)
    assert e.low is not None
    assert e.value is not None
    assert e.high is not None
    assert e.low < e.value < e.high
    assert e.how.startswith("Kaplan-Meier")


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_censored_quantiles_are_covered(p: float) -> None:
    """Requests of exponential length, cut at exponential moments of their own: the truth is -log(1 - p)."""
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, limit = rng.exponential(1.0, 400), rng.exponential(4.0, 400)
        e = censored_quantile(np.minimum(x, limit), x > limit, p)
        truth = float(stats.expon.ppf(p))
        hits += (e.low or 0.0) <= truth <= (np.inf if e.high is None else e.high)
    assert hits >= 186


def test_requests_that_share_a_fate_widen_the_interval() -> None:
    rng = np.random.default_rng(5)
    waves = np.repeat(rng.exponential(1.0, 40), 25)
    cut = np.zeros(1000, bool)
    cut[-5:] = True
    shared, alone = censored_quantile(waves, cut, 0.5), censored_quantile(rng.permutation(waves), cut, 0.5)
    widths = [(e.high or np.inf) - (e.low or 0.0) for e in (shared, alone)]
    assert widths[0] > 2 * widths[1]


def test_a_quantile_beyond_all_that_was_seen_is_at_least_the_longest_time() -> None:
    """A tenth of 400 hang and are given up after 1 s: the p95 lies beyond that, and it is unknown where."""
    hung = np.arange(400) % 10 == 0
    e = censored_quantile(np.where(hung, 1.0, 0.02), hung, 0.95)
    assert (e.value, e.low, e.high) == (None, 1.0, None)


def test_a_restricted_mean_by_hand() -> None:
    """Ends at 1, 3 and 4 s, cut at 2 s. S: 1, 3/4 from 1 s, 3/8 from 3 s, 0 from 4 s; the area is 1 + 2 * 3/4 + 1 * 3/8."""
    e = restricted_mean(np.array([4.0, 1.0, 2.0, 3.0]), np.array([False, False, True, False]))
    assert e.value == pytest.approx(1 + 1.5 + 0.375)
    assert "restricted mean to 4 s" in e.how
    assert (e.low, e.high) == (None, None)
    assert restricted_mean(np.zeros(0), np.zeros(0, bool)).value is None


def test_requests_that_all_waited_to_one_limit_count_with_that_limit() -> None:
    rng = np.random.default_rng(5)
    x = rng.exponential(0.5, 1000)
    cut = x > 1.0
    e, plain = restricted_mean(np.minimum(x, 1.0), cut), st.mean(np.minimum(x, 1.0))
    assert e.value == pytest.approx(plain.value)
    assert e.low == pytest.approx(plain.low, rel=1e-3)
    assert e.high is None
    assert e.low is not None
    assert plain.value is not None
    assert e.low < (1 - np.exp(-2)) / 2 < plain.value + 2 * (plain.value - e.low)


def test_a_restricted_mean_holds_its_low_end() -> None:
    """Lengths of mean 1 s, each cut at its own time: the mean to the limit is above the low end in 97.5% of runs."""
    below = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, limit = rng.exponential(1.0, 300), np.minimum(rng.exponential(3.0, 300), 2.0)
        e = restricted_mean(np.minimum(x, limit), x > limit)
        assert e.low is not None
        below += e.low <= 1 - np.exp(-2.0)
    assert 190 <= below <= 200


def test_what_became_of_requests_over_time_by_hand() -> None:
    """Ok at 1 s, failed at 2 s, cut at 2 s, ok at 3 s: 1/4 ok at 1; 1/4 failed at 2; the last one stands for the cut one, too."""
    causes = np.array(["ok", "failed", "", "ok"])
    at, shares = cumulative_incidence(np.array([1.0, 2.0, 2.0, 3.0]), causes)
    assert at.tolist() == [1.0, 2.0, 2.0, 3.0]
    assert shares["ok"].tolist() == pytest.approx([0.25, 0.25, 0.25, 0.75])
    assert shares["failed"].tolist() == pytest.approx([0, 0.25, 0.25, 0.25])


def test_what_hangs_for_ever_is_a_plateau() -> None:
    causes = np.array(["ok"] * 80 + [""] * 20)
    _, shares = cumulative_incidence(np.array([0.1] * 80 + [60.0] * 20), causes)
    assert shares["ok"][-1] == pytest.approx(0.8)
