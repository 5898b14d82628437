from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis.summary import summarise
from basetenkit.analysis.sweep import at_each_start, falls_behind, in_flight, sweep

from .frames import nothing, rows


def summary(load: str, *levels: tuple[float, float, float]) -> pl.DataFrame:
    """A summary of levels (level, requests/s, E2E s) with narrow intervals, less its other columns."""
    out = []
    for level, rate, e2e in levels:
        row = {"scenario": "D(1,1)", "load": load, "level": level}
        latency = "e2e_due_s_p50" if load == "request_rate" else "e2e_s_p50"
        for name, value in (("requests_per_s", rate), (latency, e2e)):
            row |= {name: value, f"{name}_low": 0.99 * value, f"{name}_high": 1.01 * value}
        out.append(row)
    return pl.DataFrame(out)


CLOSED = ((1.0, 2.0, 0.5), (2.0, 3.9, 0.51), (4.0, 7.5, 0.53), (8.0, 12.0, 0.66), (16.0, 12.2, 1.3), (32.0, 12.1, 2.6))


def test_the_knee_is_where_throughput_over_latency_is_greatest() -> None:
    found = sweep(summary("concurrency", *CLOSED)).frame.row(0, named=True)
    assert found["knee"] == 8.0
    assert found["saturation"] == 8.0
    assert found["throughput"] == 12.2
    assert "From 8 on, no level had 5% more" in found["evidence"]


def test_the_knee_may_lie_where_power_is_not_told_apart() -> None:
    close = (*CLOSED[:3], (8.0, 9.45, 0.66), (16.0, 12.2, 1.3))
    found = sweep(summary("concurrency", *close)).frame.row(0, named=True)
    assert (found["knee_from"], found["knee_to"]) == (4.0, 8.0)


def test_an_endpoint_that_was_not_seen_full_is_said_not_to_be() -> None:
    found = sweep(summary("concurrency", *CLOSED[:4])).frame.row(0, named=True)
    assert found["saturation"] is None
    assert "did not reach the endpoint's limit" in found["evidence"]
    assert "the knee may lie beyond it" in found["evidence"]


def test_an_open_loop_is_full_where_it_serves_less_than_was_offered() -> None:
    found = sweep(summary("request_rate", (2.0, 2.0, 0.5), (4.0, 4.0, 0.6), (8.0, 6.0, 9.0)))
    assert found.frame["saturation"].to_list() == [8.0]
    assert "At 8 offered requests/s" in repr(found)


def test_two_levels_or_none_have_no_knee() -> None:
    found = sweep(summary("concurrency", *CLOSED[:2])).frame.row(0, named=True)
    assert (found["knee"], found["saturation"]) == (None, None)
    assert "needs 3" in found["evidence"]
    assert sweep(summarise(nothing())).frame.height == 0
    assert "(nothing)" in repr(sweep(summarise(nothing())))


def test_in_flight_over_time() -> None:
    frame = rows(3, start_s=[0.0, 1.0, 2.0], end_s=[1.5, 4.0, 2.5])
    steps = in_flight(frame)
    assert steps["at_s"].to_list() == [0.0, 1.0, 1.5, 2.0, 2.5, 4.0]
    assert steps["in_flight"].to_list() == [1, 2, 1, 2, 1, 0]
    assert [s.tolist() for s in at_each_start(frame)] == [[0, 1, 1]]
    assert in_flight(nothing()).height == 0


@pytest.mark.parametrize(("work", "behind"), [(1.5, True), (0.8, False)])
def test_only_an_overloaded_endpoint_falls_behind(work: float, behind: bool) -> None:
    rng = np.random.default_rng(2)
    start, end = np.cumsum(rng.exponential(1.0, 800)), np.zeros(800)
    for i in range(800):
        end[i] = max(start[i], end[i - 1]) + rng.exponential(work)
    found = falls_behind(rows(800, load="request_rate", start_s=start, end_s=end, e2e_s=end - start))
    assert (found is not None) is behind
    if found is not None:
        assert found[1] > 1.5 * found[0]


def test_a_slow_endpoint_that_keeps_up_does_not_fall_behind_while_it_fills() -> None:
    """Responses of 5 to 15 s, sent for 20 s: the number in flight rises all the way, because nothing has ended yet."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        start, e2e = np.cumsum(rng.exponential(0.1, 200)), rng.uniform(5, 15, 200)
        assert falls_behind(rows(200, load="request_rate", start_s=start, e2e_s=e2e, end_s=start + e2e)) is None


def test_an_endpoint_a_fifth_too_slow_is_told_by_300_requests_in_most_runs() -> None:
    rng, told = np.random.default_rng(5), 0
    for _ in range(40):
        start, end = np.cumsum(rng.exponential(1.0, 300)), np.zeros(300)
        for i, work in enumerate(rng.uniform(0.6, 1.8, 300)):
            end[i] = max(start[i], end[i - 1] if i else 0.0) + work
        told += falls_behind(rows(300, load="request_rate", start_s=start, end_s=end, e2e_s=end - start)) is not None
    assert told >= 30


def bounded(*levels: tuple[float, float, float, float | None]) -> pl.DataFrame:
    """A closed loop's levels of (level, requests/s, half of its interval, E2E p50 s); without the last, it is over 9 s."""
    out = []
    for level, rate, half, e2e in levels:
        row = {"scenario": "D(1,1)", "load": "concurrency", "level": level, "e2e_s_p50": e2e}
        row |= {"requests_per_s": rate, "requests_per_s_low": rate - half, "requests_per_s_high": rate + half}
        row |= {
            "e2e_s_p50_low": 9.0 if e2e is None else 0.99 * e2e,
            "e2e_s_p50_high": None if e2e is None else 1.01 * e2e,
        }
        out.append(row)
    return pl.DataFrame(out)


def test_saturation_is_claimed_if_the_intervals_prove_it_and_not_by_the_figures_alone() -> None:
    for half, proven in ((0.1, 8.0), (1.5, None)):
        levels = bounded((1, 2.0, 0.01, 0.5), (8, 12.0, half, 0.66), (16, 12.1, half, 1.3), (32, 12.1, half, 2.6))
        found = sweep(levels).frame.row(0, named=True)
        assert found["saturation"] == proven
        assert "From 8 on, no level had 5% more" in found["evidence"]
        assert ("do not prove that" in found["evidence"]) is (proven is None)


def test_a_level_whose_latency_was_cut_stays_in_the_sweep_as_a_bound() -> None:
    found = sweep(bounded((1, 2.0, 0.01, 0.5), (8, 12.0, 0.1, 0.66), (64, 3.0, 0.1, None)))
    assert found.levels["level"].to_list() == [1.0, 8.0, 64.0]
    assert found.frame["saturation"].to_list() == [8.0]
    assert found.frame["knee_to"].to_list() == [8.0]  # at most 3.1/s over at least 9 s
    assert "At 64 fewer than half of the requests ended" in found.frame["evidence"][0]


def test_an_open_loop_is_full_by_what_was_offered_in_the_same_time() -> None:
    """The arrivals of a Poisson process at a nominal 8 a second were 7.2 a second, and all of them were served."""
    levels = summary("request_rate", (2.0, 2.0, 0.5), (4.0, 4.0, 0.6), (8.0, 7.2, 0.7))
    assert sweep(levels).frame["saturation"].to_list() == [8.0]
    same = levels.with_columns(served_share=1.0, served_share_low=0.98, served_share_high=1.02)
    assert sweep(same).frame["saturation"].to_list() == [None]
