"""The engine model against hand calculation, and against itself: many steps at once give what single steps give."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basetenkit.emulator.engine import Engine, Job
from basetenkit.emulator.engine_options import EngineOptions
from tests.examples import examples

STEP: dict[str, Any] = {"decode_ms": 10.0, "decode_slope_ms": 0.0, "prefill_tokens_per_s": 1000.0}


def run(
    options: EngineOptions, jobs: list[tuple[float, int, int]], each_token: bool = False
) -> tuple[Engine, list[Job], list[tuple[Job, int, float]]]:
    """Sends (time, prompt, output) to an engine, to the end."""
    engine, made, news = Engine(options, each_token=each_token), [], []
    due = [at for at, _, _ in jobs]
    for at, prompt, output in jobs:
        while (happens := engine.next_s) is not None and happens <= at:
            engine.advance(happens, at)
            news += engine.take()
        job = Job(prompt, output)
        engine.submit(job, at)
        made.append(job)
    while (happens := engine.next_s) is not None:
        engine.advance(happens, float("inf"))
        news += engine.take()
    assert due == sorted(due)
    return engine, made, news


def test_one_request_takes_its_prefill_and_its_steps() -> None:
    _, (job,), _ = run(EngineOptions(batch_slots=4, **STEP), [(1.0, 100, 5)])
    assert job.first_s == pytest.approx(1.1)
    assert job.end_s == pytest.approx(1.14)


def test_a_second_one_joins_at_the_end_of_an_iteration_and_delays_the_first() -> None:
    _, (a, b), _ = run(EngineOptions(batch_slots=4, **STEP), [(0.0, 100, 5), (0.105, 50, 2)])
    assert a.first_s == pytest.approx(0.1)
    assert b.first_s == pytest.approx(0.11 + 0.01 + 0.05)
    assert b.end_s == pytest.approx((b.first_s or 0.0) + 0.01)
    assert a.end_s == pytest.approx(0.1 + 4 * 0.01 + 0.05)


def test_a_slot_must_be_free() -> None:
    _, (a, b), _ = run(EngineOptions(batch_slots=1, **STEP), [(0.0, 100, 5), (0.0, 100, 5)])
    assert a.end_s == pytest.approx(0.14)
    assert b.first_s == pytest.approx(0.24)


def test_prompts_beyond_the_chunk_wait_for_the_next_iteration() -> None:
    options = EngineOptions(batch_slots=8, prefill_chunk=150, **STEP)
    _, jobs, _ = run(options, [(0.0, 10, 9), *[(0.001, 100, 1)] * 3])
    firsts = [job.first_s or 0.0 for job in jobs[1:]]
    assert firsts == pytest.approx([0.01 + 0.11, 0.01 + 0.22, 0.01 + 0.33])


ARRIVALS = st.lists(st.tuples(st.floats(0, 0.3), st.integers(1, 80), st.integers(1, 30)), min_size=1, max_size=30)


@given(ARRIVALS, st.integers(1, 4), st.sampled_from([0, 150, 400]), st.integers(1, 3))
@settings(max_examples=examples(60), deadline=None)
def test_steps_put_together_give_the_same_times_as_steps_one_by_one(
    gaps: list[tuple[float, int, int]], slots: int, kv: int, replicas: int
) -> None:
    options = EngineOptions(
        batch_slots=slots, kv_tokens=kv, replicas=replicas, warm_replicas=1, cold_start_s=0.2, decode_slope_ms=1.0
    )
    at, jobs = 0.0, []
    for gap, prompt, output in gaps:
        at += gap
        jobs.append((at, prompt, output))
    engine, together, _ = run(options, jobs)
    single, alone, news = run(options, jobs, each_token=True)
    for a, b in zip(together, alone, strict=True):
        assert a.first_s == pytest.approx(b.first_s)
        assert a.end_s == pytest.approx(b.end_s)
    assert engine.preemptions == single.preemptions
    assert [replica.kv for replica in engine.replicas] == [0] * len(engine.replicas)
    counts: dict[Job, int] = {}
    for job, tokens, _ in news:
        assert tokens == counts.get(job, 0) + 1, "each token is told once"
        counts[job] = tokens
    assert [counts[job] for job in alone] == [output for _, _, output in jobs]


def test_when_the_kv_cache_is_full_the_latest_is_preempted_and_computed_again() -> None:
    options = EngineOptions(batch_slots=4, kv_tokens=120, **STEP)
    engine, (a, b), _ = run(options, [(0.0, 40, 40), (0.0, 40, 40)])
    assert (a.preempted, b.preempted) == (0, 1)
    assert engine.preemptions == 1
    assert a.end_s is not None
    assert b.end_s is not None
    assert b.end_s > a.end_s + 0.04, "its prompt is computed a second time"


def test_one_deterministic_server_waits_as_queueing_theory_has_it() -> None:
    """One slot and equal lengths is M/D/1: the mean wait is rho * service / (2 * (1 - rho))."""
    rng, at, jobs = random.Random(3), 0.0, []
    service, rho = 0.1 + 0.09, 0.7
    for _ in range(20_000):
        at += rng.expovariate(rho / service)
        jobs.append((at, 100, 10))
    _, made, _ = run(EngineOptions(batch_slots=1, **STEP), jobs)
    waits = [(job.first_s or 0.0) - job.arrived_s - 0.1 for job in made]
    assert sum(waits) / len(waits) == pytest.approx(rho * service / (2 * (1 - rho)), rel=0.1)


def test_a_new_replica_takes_over_what_waits_once_it_is_ready_and_stops_when_idle() -> None:
    options = EngineOptions(batch_slots=1, replicas=2, warm_replicas=1, cold_start_s=1.0, scale_down_s=5.0, **STEP)
    engine, jobs, _ = run(options, [(0.0, 100, 200)] + [(0.01, 100, 200)] * 2 + [(20.0, 1, 1)])
    assert engine.most_replicas == 2
    assert jobs[1].first_s == pytest.approx(0.01 + 1.0 + 0.1)
    assert len(engine.replicas) == 1


def test_without_a_warm_replica_the_first_request_waits_for_one() -> None:
    options = EngineOptions(batch_slots=1, warm_replicas=0, cold_start_s=3.0, **STEP)
    _, (job,), _ = run(options, [(0.5, 100, 1)])
    assert job.first_s == pytest.approx(3.6)


def test_cached_blocks_are_not_computed_again() -> None:
    engine = Engine(EngineOptions(batch_slots=1, prefix_cache_tokens=160, prefix_block=10, **STEP))
    jobs = [Job(100, 1, range(10)), Job(100, 1, range(10))]
    for at, job in zip((0.0, 1.0), jobs, strict=True):
        engine.submit(job, at)
        engine.advance(at + 0.5)
    assert [job.cached for job in jobs] == [0, 99], "the last token is computed always"
    assert jobs[1].first_s == pytest.approx(1.001)


@pytest.mark.parametrize("at", [0.05, 0.12, 0.3])
def test_a_request_that_is_cancelled_leaves_nothing_behind(at: float) -> None:
    engine = Engine(EngineOptions(batch_slots=1, kv_tokens=1000, **STEP))
    gone, waits = Job(100, 50), Job(100, 50)
    engine.submit(gone, 0.0)
    engine.submit(waits, 0.0)
    engine.advance(at)
    engine.cancel(gone)
    engine.cancel(gone)
    while (happens := engine.next_s) is not None:
        engine.advance(happens)
    assert gone.end_s is None
    assert waits.end_s is not None
    assert (engine.replicas[0].kv, engine.in_flight) == (0, 0)
