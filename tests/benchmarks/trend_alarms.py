"""How often `trends` raises a false alarm if somebody looks each day, and how soon it sees a step that is there.

Series of daily runs whose figure varies by 5% from run to run: independent of each other, or with a memory (AR(1)), as runs have
that share a bad day. An alarm is whatever is shown on any of the days from the tenth on: a step, a drift or an outlier.
`python tests/benchmarks/trend_alarms.py [replications]`; 2000 of them take some minutes.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from basetenkit.stats.watch import (
    LEAST_RUNS,
    OUTLIER_LENGTH,
    RUN_LENGTH,
    change_points,
    demanded,
    excursions,
    limit,
    outliers,
)

SPREAD, DAYS, BEFORE = 0.05, 60, 30


def noise(rng: np.random.Generator, n: int, memory: float = 0.0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A series of standard deviation SPREAD, each value `memory` of the one before and the rest its own."""
    own = rng.normal(0, SPREAD, n)
    series = own.copy()
    for i in range(1, n):
        series[i] = memory * series[i - 1] + np.sqrt(1 - memory**2) * own[i]
    return series


def watched(rng: np.random.Generator, many: int, memory: float) -> tuple[bool, bool]:
    """(whether a step or drift is shown on any day of DAYS in any of the series, whether an outlier is), as `trends` judges them,
    while nothing changes."""
    series = [noise(rng, DAYS, memory) for _ in range(many)]
    highest = np.array([excursions(x) for x in series])
    days = range(LEAST_RUNS, DAYS + 1)
    alarm = any(highest[:, day - 1].max() > limit(demanded(highest[:, day - 1])) for day in days)
    length = OUTLIER_LENGTH * many
    far = any(outliers(x[:day] - np.median(x[:day]), length=length).any() for x in series for day in days)
    return alarm, far


def delay(rng: np.random.Generator, many: int, rise: float) -> tuple[int, int]:
    """(runs after a step until it is shown, days by which its place is wrong ten days later); DAYS and DAYS if it is not shown.
    Of `many` series it is the only one that changes."""
    total = BEFORE + DAYS
    series = noise(rng, total) + np.where(np.arange(total) >= BEFORE, np.log1p(rise), 0)
    highest = np.array([excursions(x) for x in (series, *(noise(rng, total) for _ in range(many - 1)))])
    for day in range(BEFORE + 1, total + 1):
        length = demanded(highest[:, day - 1])
        if highest[0, day - 1] > limit(length):
            later = series[: day + 10]
            places = change_points(later, np.arange(len(later), dtype=float) * 86400.0, length=length)
            return day - BEFORE, min((abs(place - BEFORE) for place in places), default=DAYS)
    return DAYS, DAYS


def main(replications: int) -> None:
    rng = np.random.default_rng(1)
    print(
        f"{replications} histories each; {SPREAD:.0%} from run to run; looked at each day from day {LEAST_RUNS} to {DAYS}"
    )
    print(
        f"stated: a false step or drift in {RUN_LENGTH:,} runs, a false outlier in {OUTLIER_LENGTH:,}, over all series together"
    )
    print(f"{'series':>7} {'memory':>7} {'step/drift':>11} {'outlier':>8} {'any':>6}")
    for many, memory in ((1, 0.0), (8, 0.0), (1, 0.3), (1, 0.6)):
        found = np.array([watched(rng, many, memory) for _ in range(replications)])
        alarm, far = found.mean(0)
        print(f"{many:>7} {memory:>7.1f} {alarm:>11.1%} {far:>8.1%} {found.any(1).mean():>6.1%}", flush=True)
    print(
        f"a step after {BEFORE} runs\n{'series':>7} {'step of':>8} {'seen':>6} {'runs, median':>13} {'p90':>5} {'place, p90':>11}"
    )
    for many, rise in ((1, 0.05), (1, 0.1), (1, 0.2), (8, 0.1)):
        delays = np.array([delay(rng, many, rise) for _ in range(replications)])
        seen = (delays[:, 0] < DAYS).mean()
        p90, place = np.quantile(delays, 0.9, axis=0)
        print(
            f"{many:>7} {rise:>8.0%} {seen:>6.0%} {np.median(delays[:, 0]):>13.0f} {p90:>5.0f} {place:>11.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
