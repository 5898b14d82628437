"""How often `trends` sees a step where there is none, and how often it finds one that is there.

Histories of 30 and of 100 runs whose figure varies by 5% from run to run: independent of each other, or with a memory (AR(1)),
as runs have that share a bad day. `python tests/benchmarks/trend_alarms.py [replications]`; 200 of them take about a minute.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from basetenkit.analysis.trends import change_points, outliers

SPREAD = 0.05


def noise(rng: np.random.Generator, n: int, memory: float) -> Any:
    """A series of standard deviation SPREAD, each value `memory` of the one before and the rest its own."""
    own = rng.normal(0, SPREAD, n)
    series = own.copy()
    for i in range(1, n):
        series[i] = memory * series[i - 1] + np.sqrt(1 - memory**2) * own[i]
    return series


def shares(n: int, memory: float, rise: float, replications: int) -> tuple[float, float]:
    """(share of histories that are cut, share of all runs that stand out) where the second half is higher by `rise`."""
    rng = np.random.default_rng(n)
    cut, far = 0, 0
    for _ in range(replications):
        series = noise(rng, n, memory) + np.where(np.arange(n) >= n // 2, np.log1p(rise), 0)
        cut += bool(change_points(series, np.arange(n) * 86400.0))
        far += int(outliers(noise(rng, n, memory)).sum())
    return cut / replications, far / replications / n


def main(replications: int) -> None:
    print(f"{replications} histories each; spread from run to run {SPREAD:.0%}")
    print(f"{'runs':>5} {'memory':>7} {'step of':>8} {'cut':>6} {'outliers':>9}")
    for n in (30, 100):
        for memory in (0.0, 0.3, 0.6):
            for rise in (0.0, 0.05, 0.1):
                cut, far = shares(n, memory, rise, replications)
                print(f"{n:>5} {memory:>7.1f} {rise:>8.0%} {cut:>6.0%} {far:>9.1%}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
