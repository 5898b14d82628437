"""Throughput of a closed loop whose true rate is known: `basetenkit.analysis.rates` must not see the ramp, the drain or the
spread of lengths."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from basetenkit.analysis.summary import summarise

from .frames import rows

Draw = Callable[[np.random.Generator], float]
LENGTHS: dict[str, Draw] = {
    "exponential": lambda rng: float(rng.exponential(1.0)),
    "gamma": lambda rng: float(rng.gamma(4.0, 0.25)),
    "nearly equal": lambda rng: float(rng.uniform(0.9, 1.1)),
}


def closed_loop(level: int, n: int, draw: Draw, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(starts, lengths) of `n` requests with `level` always in flight."""
    rng, free = np.random.default_rng(seed), [0.0] * level
    start, length = np.empty(n), np.empty(n)
    for i in range(n):
        start[i], length[i] = heapq.heappop(free), draw(rng)
        heapq.heappush(free, float(start[i] + length[i]))
    return start, length


def rate_per_slot(level: int, n: int, draw: Draw, seed: int) -> tuple[float, bool]:
    """(requests per second over the level, whether its interval covers the true rate); lengths have a mean of 1 s."""
    start, length = closed_loop(level, n, draw, seed)
    frame = rows(n, level=float(level), start_s=start, e2e_s=length, end_s=start + length, output_tokens=10)
    got = summarise(frame).row(0, named=True)
    assert got["output_tokens_per_s"] == pytest.approx(10 * got["requests_per_s"])
    return got["requests_per_s"] / level, got["requests_per_s_low"] <= level <= got["requests_per_s_high"]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("level", "n"), [(8, 200), pytest.param(32, 480, marks=pytest.mark.thorough)])
def test_the_rate_of_a_closed_loop_is_unbiased(level: int, n: int, lengths: str) -> None:
    found = [rate_per_slot(level, n, LENGTHS[lengths], seed) for seed in range(40)]
    assert np.mean([rate for rate, _ in found]) == pytest.approx(1.0, abs=0.03)


@pytest.mark.thorough
def test_the_interval_of_the_rate_holds_the_truth_about_as_often_as_it_says() -> None:
    found = [rate_per_slot(8, 400, LENGTHS["gamma"], seed) for seed in range(80)]
    assert np.mean([holds for _, holds in found]) >= 0.85


def test_requests_that_began_before_the_window_count_where_they_end_in_it() -> None:
    """Two in flight, 20 sent: the window is the requests 4 to 17, sent from 4 s to 17 s; the 19th is sent at 18 s. One that
    began at 3 s and lasted until 10 s brought its token within that time."""
    length = np.full(20, 0.5)
    length[3] = 7.25
    got = summarise(rows(20, level=2.0, e2e_s=length)).row(0, named=True)
    ends = [*(i + 0.5 for i in range(4, 18)), 10.25]
    assert got["duration_s"] == 18 - 4
    assert got["requests_per_s"] == pytest.approx(len(ends) / (18 - 4))


def open_loop(n: int, rate: float, lengths: Draw, servers: int, seed: int) -> dict[str, Any]:
    """`n` requests due at `rate` a second by a Poisson process, before `servers` that each do one at a time."""
    rng, free = np.random.default_rng(seed), [0.0] * servers
    start, end = np.cumsum(rng.exponential(1 / rate, n)), np.empty(n)
    for i in range(n):
        begun = max(float(start[i]), heapq.heappop(free))
        end[i] = begun + lengths(rng)
        heapq.heappush(free, float(end[i]))
    times = {"start_s": start, "sent_s": start, "scheduled_s": start, "end_s": end, "e2e_s": end - start}
    return summarise(rows(n, load="request_rate", level=rate, output_tokens=10, **times)).row(0, named=True)


@pytest.mark.parametrize(
    ("servers", "n", "true"), [(1000, 200, 10.0), (20, 1500, 4.0)], ids=["keeps up", "falls behind"]
)
def test_the_rate_of_an_open_loop_counts_neither_its_ramp_nor_its_drain(servers: int, n: int, true: float) -> None:
    """Lengths have a mean of 5 s, so 20 servers do 4 a second of the 10 that are due; their own drain is 1% of that run."""
    found = [open_loop(n, 10.0, lambda rng: float(rng.uniform(1, 9)), servers, seed) for seed in range(40)]
    assert np.mean([got["requests_per_s"] for got in found]) == pytest.approx(true, rel=0.03)
    assert np.mean([got["output_tokens_per_s"] for got in found]) == pytest.approx(10 * true, rel=0.03)
