"""Intervals against answers worked out by hand, against textbooks, and against the truth in small seeded simulations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from basetenkit.core.types import Estimate
from basetenkit.stats import intervals as st
from basetenkit.stats.survival import censored_quantile

from ..making import number


def independent(n: int, seed: int = 0) -> st.Array:
    return np.random.default_rng(seed).exponential(1.0, n)


def autocorrelated(n: int, seed: int, phi: float = 0.9) -> st.Array:
    """Normal values of mean 0 and variance 1, each leaning on the one before."""
    noise = np.random.default_rng(seed).normal(0, math.sqrt(1 - phi**2), n)
    out, x = np.empty(n), float(np.random.default_rng(seed + 10_000).normal())
    for i in range(n):
        x = phi * x + float(noise[i])
        out[i] = x
    return out


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "right"), [(0.5, 5.0), (0.9, 9.0), (0.95, 10.0), (0.99, 10.0), (0.1, 1.0)])
def test_a_quantile_is_the_inverse_of_the_ecdf(p: float, right: float) -> None:
    assert st.quantile([10.0, 3, 1, 2, 9, 8, 4, 5, 7, 6], p).value == right


def test_a_percentile_is_a_value_that_came_and_rounding_does_not_push_it_up() -> None:
    assert st.quantile(np.arange(1.0, 101), 0.99).value == 99.0
    assert st.quantile(np.arange(1.0, 101), 0.95).value == 95.0


def test_mean_and_fraction_are_what_they_say() -> None:
    assert st.mean([1.0, 2, 6]).value == 3.0
    assert st.fraction([True, False, False, False]).value == 0.25


# -- where there is nothing, or too little -----------------------------------------------------------------------------

OF_VALUES: dict[str, Callable[[st.Array], Estimate]] = {
    "mean": st.mean,
    "quantile": lambda x: st.quantile(x, 0.5),
    "fraction": lambda x: st.fraction(x > 1),
    "censored": lambda x: censored_quantile(x, np.zeros(len(x), bool), 0.5),
}


@pytest.mark.parametrize("name", OF_VALUES)
def test_nothing_gives_nothing(name: str) -> None:
    estimate = OF_VALUES[name](np.zeros(0))
    assert (estimate.value, estimate.low, estimate.high) == (None, None, None)


@pytest.mark.parametrize("name", OF_VALUES)
def test_no_interval_below_20_values(name: str) -> None:
    few, enough = OF_VALUES[name](independent(19)), OF_VALUES[name](independent(20))
    assert few.value is not None
    assert (few.low, few.high) == (None, None)
    assert enough.low is not None
    assert enough.how != few.how


@pytest.mark.parametrize(("p", "least"), [(0.90, 36), (0.95, 72), (0.99, 368)])
def test_a_tail_has_a_top_only_from_so_many_effective_requests(p: float, least: int) -> None:
    seen = set()
    for n in (least - 1, least, least + 1, round(least * 1.2), least * 2, least * 4):
        for seed in range(6):
            e = st.quantile(independent(n, seed), p)
            assert e.n is not None
            assert (e.high is None) == (e.n < least)
            assert e.low is not None
            assert e.value is not None
            assert e.low <= e.value
            seen.add(e.high is None)
    assert seen == {True, False}


def test_requests_that_all_differ_alike_need_exactly_the_textbook_number() -> None:
    """Values in a pattern so even that batches do not differ: the effective number is then near n, and rank intervals of it
    are those of independent requests."""
    for p, least in ((0.90, 36), (0.95, 72), (0.99, 368)):
        assert st.binomial_rank(0.975, least - 1, p) == least - 1
        assert st.binomial_rank(0.975, least, p) == least - 1


def test_binomial_ranks_are_those_of_the_distribution() -> None:
    for n in (5, 36, 100, 5000):
        for p in (0.5, 0.9, 0.99):
            for level in (0.025, 0.975):
                assert st.binomial_rank(level, n, p) == int(stats.binom.ppf(level, n, p))


def test_clopper_pearson_of_no_failure_is_the_textbook_one() -> None:
    e = st.fraction(np.zeros(30, bool))
    assert (e.value, e.low) == (0.0, 0.0)
    assert e.high == pytest.approx(1 - 0.025 ** (1 / 30))
    every = st.fraction(np.ones(30, bool))
    assert (every.value, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(0.025 ** (1 / 30))


def test_equal_values_have_an_interval_of_no_width() -> None:
    e = st.mean(np.full(40, 0.25))
    assert (e.value, e.low, e.high) == (0.25, 0.25, 0.25)


# -- standard errors ---------------------------------------------------------------------------------------------------


def test_t975_is_students() -> None:
    assert st.t975(9) == pytest.approx(2.262157)
    assert st.t975(19) == pytest.approx(2.093024)


def test_the_standard_error_is_of_batch_means_worked_out_by_hand() -> None:
    """Ten steps of 20 equal values: the ten batch means are 0..9; the twenty are those in pairs, phi at its limit 0.8."""
    se, df = st.standard_error(st.moments(np.repeat(np.arange(10.0), 20)))
    ten = np.arange(10.0).std(ddof=1) / math.sqrt(10)
    twenty = np.repeat(np.arange(10.0), 2).std(ddof=1) / math.sqrt(20) * math.sqrt(1.8 / 0.2)
    assert df == 19
    assert twenty > ten
    assert se == pytest.approx(twenty)


def test_the_standard_error_is_never_under_the_independent_one_save_for_gaps() -> None:
    """High and low by turns: batch means are all alike, though the values are not."""
    x = np.tile([0.0, 1.0], 100)
    assert st.standard_error(st.moments(x))[0] == pytest.approx(0.5 / math.sqrt(200))
    assert st.standard_error(st.moments(x), floor=False)[0] == 0.0


def test_dependence_lowers_the_effective_number() -> None:
    spread = [st.effective_n(st.moments((autocorrelated(2000, s) <= 0).astype(float)), 0.5) for s in range(20)]
    assert np.median(spread) < 400
    assert (
        np.median([st.effective_n(st.moments((independent(2000, s) <= 0.69).astype(float)), 0.5) for s in range(20)])
        > 800
    )


# -- coverage: a nominal 95% interval covers the truth about as often, in simulations whose truth is known ----------------

REPLICATIONS = 200


def share_covered(estimate: Callable[[int], Estimate], truth: float) -> float:
    hits = 0
    for seed in range(REPLICATIONS):
        e = estimate(seed)
        low, high = (-math.inf if e.low is None else e.low), (math.inf if e.high is None else e.high)
        hits += low <= truth <= high
    return hits / REPLICATIONS


@pytest.mark.parametrize("p", [0.5, 0.9, 0.95, 0.99])
def test_quantiles_of_independent_requests_are_covered(p: float) -> None:
    assert share_covered(lambda seed: st.quantile(independent(400, seed), p), -math.log(1 - p)) >= 0.93


def test_means_and_fractions_of_independent_requests_are_covered() -> None:
    assert share_covered(lambda seed: st.mean(independent(400, seed)), 1.0) >= 0.90
    assert share_covered(lambda seed: st.fraction(independent(400, seed) > 3), math.exp(-3)) >= 0.93


def test_dependent_requests_are_covered_where_the_usual_interval_is_far_too_sure() -> None:
    series = [autocorrelated(1000, seed) for seed in range(REPLICATIONS)]

    def usual(seed: int) -> Estimate:
        x = series[seed]
        half = 1.96 * float(x.std()) / math.sqrt(len(x))
        return Estimate(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half)

    assert share_covered(usual, 0.0) < 0.6
    assert share_covered(lambda seed: st.mean(series[seed]), 0.0) >= 0.88
    assert share_covered(lambda seed: st.quantile(series[seed], 0.9), float(stats.norm.ppf(0.9))) >= 0.88


def test_a_mean_of_times_is_never_bounded_below_0() -> None:
    x = np.concatenate([np.full(39, 0.15), [30.0]])
    got = st.mean(x)
    assert got.low is not None
    assert 0 < number(got.low) < number(got.value)
    assert number(st.mean(x - 1).low) < 0


def test_all_good_of_requests_that_depend_on_each_other_is_worth_less() -> None:
    rng = np.random.default_rng(1)
    good = np.ones(400, bool)
    alone, together = rng.exponential(1.0, 400), np.repeat(rng.exponential(1.0, 10), 40)
    assert st.fraction(good, like=alone).low == pytest.approx(0.025 ** (1 / 400))
    got = st.fraction(good, like=together)
    assert got.n == pytest.approx(9, abs=2)
    assert got.low == pytest.approx(0.025 ** (1 / number(got.n)), rel=1e-6)
    assert st.fraction(~good, like=together).high == pytest.approx(1 - number(got.low))


def test_an_interval_reaches_further_to_the_side_of_the_tail() -> None:
    """Nineteen batches of nothing and one of something: the skewness of their mean is at its limit, 0.15, and Hall's bound is then
    a sixth further away than Student's."""
    x = np.concatenate([np.ones(190), np.full(10, 2.0)])
    of = st.moments(x)
    se, df = st.standard_error(of)
    below, above = st.sides(of, se, df)
    t = st.t975(df)
    assert below == pytest.approx(t * se)
    assert above == pytest.approx(se * 3 / 0.15 * (1 - (1 - 0.15 * (t + 0.15 / 6)) ** (1 / 3)))
    assert st.sides(st.moments(-x), se, df) == pytest.approx((above, below))
    even = st.moments(np.repeat([1.0, 2.0, 2.0, 1.0], 50))
    assert st.sides(even, 1.0, 19) == pytest.approx((st.t975(19), st.t975(19)))


def test_a_skewed_mean_is_covered_better_than_by_students_t() -> None:
    series = [independent(60, seed) ** 2 for seed in range(REPLICATIONS)]

    def students(seed: int) -> Estimate:
        of = st.moments(series[seed])
        se, df = st.standard_error(of)
        return Estimate(of.mean, of.mean - st.t975(df) * se, of.mean + st.t975(df) * se)

    with_tail, without = (share_covered(f, 2.0) for f in (lambda seed: st.mean(series[seed]), students))
    assert with_tail > without
    assert with_tail >= 0.88


# -- trends ------------------------------------------------------------------------------------------------------------


def test_mann_and_kendall_by_hand() -> None:
    """Of the 24 orders of four values one rises and one falls throughout, and three each are one swap from that."""
    assert st.mann_kendall(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx((1.0, 2 / 24))
    assert st.mann_kendall(np.array([4.0, 3.0, 1.0, 2.0])) == pytest.approx((-2 / 3, 8 / 24))


@pytest.mark.parametrize("series", [[], [1.0], [2.0] * 20])
def test_what_does_not_vary_has_no_trend(series: list[float]) -> None:
    assert st.mann_kendall(np.array(series)) == (0.0, 1.0)


def test_a_trend_is_found_by_chance_as_often_as_its_p_says() -> None:
    """2,000 series of 20 independent values: at most one in a hundred has p < 0.01, but for chance."""
    rng = np.random.default_rng(3)
    found = sum(st.mann_kendall(rng.normal(size=20))[1] < 0.01 for _ in range(2000))
    assert 8 <= found <= 34
