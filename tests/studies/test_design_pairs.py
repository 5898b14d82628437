from __future__ import annotations

import numpy as np
import pytest

from basetenkit.stats.paired import judge_means
from basetenkit.studies.design_pairs import block_requests, pairs_for, shown_by, spread_of_pairs
from tests.analysis.frames import rows


def latencies(n: int, seed: int, tokens: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[float]:
    noise = np.random.default_rng(seed).lognormal(0, 0.2, n)
    return list(0.2 + 0.01 * tokens + 0.1 * noise)


def test_a_pilot_predicts_what_pairs_with_the_same_lengths_give() -> None:
    """Half of the interval of the ratio, as `compare_endpoints` finds it for A against A, over 30 comparisons of 10 pairs."""
    drawn = np.random.default_rng(1)
    tokens = drawn.integers(10, 60, 400)
    pilot = rows(400, e2e_s=latencies(400, 2, tokens), output_tokens=tokens)
    spread = spread_of_pairs(pilot, "e2e_s", "concurrency", 50)
    assert spread is not None
    halves = []
    for trial in range(30):
        pairs = []
        for pair in range(10):
            lengths = drawn.integers(10, 60, 50)
            pairs.append(tuple(latencies(50, 1000 * trial + 10 * pair + side + 7, lengths) for side in (0, 1)))
        found = judge_means("e2e_s", pairs, 0.05)  # type: ignore[arg-type]
        assert found.low is not None
        assert found.high is not None
        halves.append((found.high - found.low) / 2)
    assert shown_by(spread, 10)[0] == pytest.approx(np.mean(halves), rel=0.25)


def test_more_pairs_show_smaller_differences_and_the_margin_sets_their_number() -> None:
    assert shown_by(0.1, 40)[1] < shown_by(0.1, 10)[1]
    assert shown_by(0.1, pairs_for(0.1, 0.02, 10_000))[1] <= 0.02
    assert (pairs_for(0.01, 0.05, 500), pairs_for(0.01, 0.05, 12), pairs_for(None, 0.05, 500)) == (20, 12, 20)


def test_blocks_follow_the_rule() -> None:
    assert (block_requests(8, None), block_requests(8, 2.0), block_requests(1, 0.1)) == (24, 60, 10)


def test_what_the_pilot_lacks_is_not_made_up() -> None:
    assert spread_of_pairs(rows(20), "e2e_s", "concurrency", 50) is None
    assert spread_of_pairs(rows(100), "output_tokens_per_s", "concurrency", 50) is None
