from __future__ import annotations

import numpy as np
import pytest

from basetenkit.stats.capacity import (
    Evidence,
    changes,
    design_effect,
    disagreements,
    effective,
    evidence_of,
    pooled_design,
    posterior,
    probability_kept,
    slower_after,
)


def test_independent_requests_have_a_design_effect_near_1_and_clumps_one_of_their_length() -> None:
    rng = np.random.default_rng(4)
    alone = [design_effect((rng.random(4000) < 0.9).astype(float)) or 0.0 for _ in range(20)]
    clumps = [design_effect(np.repeat((rng.random(100) < 0.9).astype(float), 40)) or 0.0 for _ in range(20)]
    assert 1.0 <= np.median(alone) < 2.5
    assert 20 < np.median(clumps) < 90


def test_a_block_without_a_failure_says_nothing_of_the_design_effect() -> None:
    assert design_effect(np.ones(500)) is None
    assert design_effect(np.array([1.0, 0.0])) is None
    assert pooled_design([Evidence(1.0, 1500, 1500.0)]) == pytest.approx(30.0)
    assert pooled_design([Evidence(1.0, 1000, 900.0, 10.0)]) == pytest.approx((300 + 90 * 10) / (10 + 90))
    assert pooled_design([Evidence(1.0, 1000, 900.0, 10.0, abandoned=True)]) == pytest.approx(30.0)


def test_an_abandoned_block_counts_for_50_at_most() -> None:
    assert effective(Evidence(1.0, 9000, 4500.0, abandoned=True), 10.0) == (25.0, 50.0)
    assert effective(Evidence(1.0, 9000, 4500.0), 10.0) == (450.0, 900.0)
    assert effective(Evidence(1.0, 5, 5.0), 30.0) == (1.0, 1.0)


def test_the_probability_is_that_of_the_beta_posterior() -> None:
    """By hand: with n' = 1 and k' = 1 it is P(Beta(1.5, 0.5) >= x)."""
    from scipy.stats import beta

    assert probability_kept(Evidence(1.0, 30, 30.0), 30.0, 0.95) == pytest.approx(float(beta.sf(0.95, 1.5, 0.5)))


def test_the_posterior_lies_where_blocks_cross_the_target() -> None:
    blocks = [Evidence(x, 30_000, 30_000 * share) for x, share in ((3.0, 0.999), (4.0, 0.95), (5.0, 0.5))]
    found = posterior(blocks, 0.95, 1.0, 10.0)
    assert found.mass.sum() == pytest.approx(1.0)
    step = float(found.loads[1] / found.loads[0])
    assert found.low / step < 4.0 < found.high * step
    assert 3.7 < found.value < 4.3
    few = posterior([Evidence(b.load, 300, b.good / 100) for b in blocks], 0.95, 1.0, 10.0)
    assert few.high / few.low > found.high / found.low


def test_a_faster_block_that_is_better_is_a_disagreement_and_a_repeat_that_differs_a_change() -> None:
    bad, good = Evidence(2.0, 3000, 2000.0, 5.0), Evidence(4.0, 3000, 2990.0, 5.0)
    assert disagreements([bad, good]) == [(bad, good)]
    assert disagreements([Evidence(4.0, 3000, 2000.0, 5.0), Evidence(2.0, 3000, 2990.0, 5.0)]) == []
    again = Evidence(2.01, 3000, 2990.0, 5.0)
    assert changes([bad, again]) == [(bad, again)]
    assert changes([bad, bad]) == []


def test_evidence_counts_good_requests() -> None:
    found = evidence_of(3.0, np.array([1.0, 0.0, 1.0, 1.0]), abandoned=False)
    assert (found.load, found.n, found.good, found.share, found.design) == (3.0, 4, 3.0, 0.75, None)


@pytest.mark.parametrize(("ratio", "found"), [(1.25, True), (1.0, False), (1.02, False), (0.8, False)])
def test_slower_single_requests_after_an_overload_are_found_if_that_is_certain(ratio: float, found: bool) -> None:
    rng = np.random.default_rng(4)
    before, after = rng.normal(0.02, 0.0005, 20), ratio * rng.normal(0.02, 0.0005, 10)
    assert (slower_after(list(before), list(after)) is not None) == found


def test_few_or_very_different_single_requests_show_nothing() -> None:
    assert slower_after([0.02] * 20, [0.04] * 3) is None
    assert slower_after([], []) is None
    rng = np.random.default_rng(5)
    assert slower_after(list(rng.lognormal(0, 0.8, 20)), list(1.25 * rng.lognormal(0, 0.8, 10))) is None
