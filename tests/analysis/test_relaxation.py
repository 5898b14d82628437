"""Whether an open loop lasted long enough to know its own queue."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis.relaxation import (
    LOOKS,
    LOOKS_AT_A_QUEUE,
    TOO_SHORT,
    looks,
    too_short,
    waits,
    without_bottom,
    without_top,
)
from basetenkit.analysis.summary import summarise
from basetenkit.core.types import Estimate

from .frames import rows


def queue(n: int, load: float, seed: int) -> pl.DataFrame:
    """One server, Poisson arrivals, one a second, begun when the queue has been there for long."""
    rng, before = np.random.default_rng(seed), 2000
    start, end = np.cumsum(rng.exponential(1.0, n + before)), np.zeros(n + before)
    for i, work in enumerate(rng.exponential(load, n + before)):
        end[i] = max(start[i], end[i - 1] if i else 0.0) + work
    start, end = start[before:] - start[before], end[before:] - start[before]
    times = {"start_s": start, "e2e_s": end - start, "ttft_s": 0.9 * (end - start), "end_s": end}
    return rows(n, load="request_rate", level=1.0, in_window=True, **times)


def test_a_quiet_queue_is_seen_often_and_a_busy_one_seldom() -> None:
    quiet = np.median([looks(queue(400, 0.2, seed)) or 0 for seed in range(15)])
    busy = np.median([looks(queue(200, 0.9, seed)) or 0 for seed in range(15)])
    assert quiet > 3 * LOOKS
    assert busy < LOOKS


def test_an_independent_look_is_two_relaxation_times() -> None:
    """Always 10 in flight or none, by turns of 1 s at random: the mean of n turns is as sure as n of them."""
    rng = np.random.default_rng(1)
    on = np.nonzero(rng.random(2000) < 0.5)[0].astype(float)
    start = np.repeat(on, 10) + 0.001
    frame = rows(
        len(start), load="request_rate", level=5.0, start_s=start, e2e_s=0.998, end_s=start + 0.998, in_window=True
    )
    assert 0.4 < (looks(frame) or 0) / 2000 / 2 < 1.6


def test_only_an_open_loop_of_one_repeat_is_asked() -> None:
    assert looks(rows(100)) is None
    assert looks(pl.concat([queue(100, 0.5, 1), queue(100, 0.5, 2).with_columns(repeat=pl.lit(1, pl.Int32))])) is None
    assert looks(rows(0)) is None


def test_a_run_that_is_too_short_has_no_top_and_no_bottom_of_its_goodput() -> None:
    frame = next(f for f in (queue(200, 0.9, seed) for seed in range(20)) if (looks(f) or 99) < LOOKS)
    (got,) = summarise(frame, slo={"ttft_s": 5.0}).to_dicts()
    for name in ("ttft_s_mean", "ttft_s_p50", "e2e_s_p90", "tpot_s_mean"):
        assert got[name] is not None
        assert got[f"{name}_low"] is not None
        assert got[f"{name}_high"] is None
    assert got["goodput"] is not None
    assert got["goodput_low"] is None
    assert got["output_inference_speed_mean_low"] is None


@pytest.mark.parametrize(
    ("seen", "ttft", "so"),
    [
        (LOOKS - 1, [0.1] * 100, True),
        (LOOKS, [0.1] * 100, False),
        (LOOKS_AT_A_QUEUE - 1, [0.1] * 90 + [0.5] * 10, True),
        (LOOKS_AT_A_QUEUE, [0.1] * 90 + [0.5] * 10, False),
        (LOOKS, [0.1] * 90 + [0.39] * 10, False),
        (LOOKS, [None] * 100, True),
        (None, [0.1] * 100, False),
    ],
)
def test_an_endpoint_that_was_seen_to_queue_needs_more_looks(
    seen: float | None, ttft: list[float | None], so: bool
) -> None:
    assert too_short(rows(100, load="request_rate", level=1.0, ttft_s=ttft, in_window=True), seen) is so


def test_the_bound_that_is_not_given_is_said() -> None:
    e = Estimate(1.0, 0.9, 1.1, 50, "t interval")
    assert (without_top(e).high, without_top(e).low) == (None, 0.9)
    assert (without_bottom(e).high, without_bottom(e).low) == (1.1, None)
    assert TOO_SHORT in without_top(e).how
    assert without_top(Estimate(1.0)) == Estimate(1.0)


@pytest.mark.parametrize(("high", "so"), [(1.1, False), (1.2, True), (None, False)])
def test_a_mean_that_is_known_to_a_seventh_does_not_wait(high: float | None, so: bool) -> None:
    assert waits(Estimate(1.0, 0.9, high)) is so
