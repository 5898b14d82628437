from __future__ import annotations

import itertools
import random
import statistics
from typing import Any

import pytest

from basetenkit.loadgen.arrivals import schedule

ARRIVALS = ["poisson", "constant", "uniform", "gamma"]


def gaps(arrival: str, n: int = 20_000, **kw: float) -> list[float]:
    times = list(itertools.islice(schedule(50.0, arrival, rng=random.Random(1), **kw), n))
    return [b - a for a, b in itertools.pairwise(times)]


@pytest.mark.parametrize("arrival", ARRIVALS)
def test_the_mean_gap_is_one_over_the_rate_and_times_ascend(arrival: str) -> None:
    found = gaps(arrival)
    assert min(found) >= 0
    assert statistics.fmean(found) == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize(
    ("arrival", "kw", "cv"),
    [("poisson", {}, 1.0), ("constant", {}, 0.0), ("uniform", {}, 1 / 3**0.5), ("gamma", {"burstiness": 0.25}, 2.0)],
)
def test_the_spread_of_the_gaps_is_that_of_the_distribution(arrival: str, kw: dict[str, Any], cv: float) -> None:
    found = gaps(arrival, **kw)
    assert statistics.pstdev(found) / statistics.fmean(found) == pytest.approx(cv, abs=0.08)


def test_a_constant_schedule_does_not_drift() -> None:
    at = next(itertools.islice(schedule(3.0, "constant", rng=random.Random(0)), 3_000_000, None))
    assert at == 1_000_000.0


def test_the_same_seed_gives_the_same_schedule() -> None:
    first, second = (list(itertools.islice(schedule(5.0, rng=random.Random(7)), 50)) for _ in range(2))
    assert first == second


def test_a_rate_that_is_not_above_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0 requests per second"):
        schedule(0.0, rng=random.Random(0))
