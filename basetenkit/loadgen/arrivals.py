"""The due times of an open loop's requests: an absolute schedule, so that a late request never delays the next.

Each pacer is an endless iterator of seconds since the level's start, ascending. The mean gap is 1/rate for all of them.
A closed loop needs no pacer: its request is due when the previous request of the same user has ended.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator


def schedule(rate: float, arrival: str = "poisson", *, burstiness: float = 1.0, rng: random.Random) -> Iterator[float]:
    """Due times in s for `rate` requests per second. `burstiness` is the shape of gamma gaps: 1 is Poisson, below it burstier
    (the squared coefficient of variation of the gaps is 1/burstiness). ValueError for a rate that is not above 0."""
    if not rate > 0:
        raise ValueError(f"request_rate {rate!r} must be above 0 requests per second")
    gaps: dict[str, Callable[[], float]] = {
        "constant": lambda: 1 / rate,
        "poisson": lambda: rng.expovariate(rate),
        "uniform": lambda: rng.uniform(0, 2 / rate),
        "gamma": lambda: rng.gammavariate(burstiness, 1 / (rate * burstiness)),
    }
    return _absolute(gaps[arrival], rate if arrival == "constant" else None)


def _absolute(gap: Callable[[], float], constant_rate: float | None) -> Iterator[float]:
    at, k = 0.0, 0
    while True:
        yield at
        k += 1
        at = k / constant_rate if constant_rate else at + gap()
