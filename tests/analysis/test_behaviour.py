"""What the course of a level shows, and that it does not show where it is not so."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.behaviour import of_behaviour

from .frames import rows
from .test_diagnosis import N, clean, diagnosis, levels, queue, wave


def test_a_server_that_works_on_one_at_a_time_shows_in_the_first_wave() -> None:
    (found,) = [f for f in diagnosis(wave()) if f.code == "serialised"]
    assert (
        "of the first 6 requests, sent together, the first ended after 300 ms and the last after 1.8e+03 ms"
        in found.sentence
    )
    assert "predict_concurrency" in found.cure
    together = wave().with_columns(e2e_s=pl.lit(0.3))
    assert "serialised" not in [f.code for f in diagnosis(together)]
    lengths = [10 * (1 + i % 6) for i in range(120)]  # one after the other because one is longer than the other
    longer = wave().with_columns(output_tokens=pl.Series(lengths))
    assert "serialised" not in [f.code for f in diagnosis(longer)]


def test_prompts_read_one_after_the_other_are_no_serial_server() -> None:
    """Long prompts: first tokens come one after the other, and the answers are written together."""
    place = np.arange(120) % 6
    read = wave().with_columns(ttft_s=pl.Series(0.3 * (place + 1) - 0.05), input_tokens=pl.lit(8000, pl.Int64))
    assert "serialised" not in [f.code for f in diagnosis(read)]
    sent = wave().with_columns(sent_s="start_s")
    together = sent.with_columns(ttft_s=pl.Series(0.05 * (place + 1)))  # written beside each other, each for longer
    assert "serialised" not in [f.code for f in diagnosis(together)]
    in_turn = sent.with_columns(ttft_s=pl.Series(0.3 * place + 0.05))
    assert "serialised" in [f.code for f in diagnosis(in_turn)]


def test_conversations_that_begin_together_are_compared_by_turn() -> None:
    """Ten conversations of 40 turns, in step: turns get longer, and the server never changes."""
    rng = np.random.default_rng(3)
    turn = np.repeat(np.arange(1, 41), 10)
    e2e = 0.5 + 0.05 * turn + rng.uniform(0, 0.02, 400)
    frame = rows(
        400, ttft_s=0.1 + 0.001 * turn, e2e_s=e2e, turn=turn, conversation_id=[f"c{i % 10}" for i in range(400)]
    )
    assert "trend" not in [f.code for f in of_behaviour("here", frame)]
    slower = frame.with_columns(turn=pl.lit(1, pl.Int64))
    assert "trend" in [f.code for f in of_behaviour("here", slower)]


def test_throughput_that_rises_with_the_level_is_not_serialised() -> None:
    assert diagnosis(levels("concurrency", (1.0, 2.0, 0.5), (8.0, 14.0, 0.6))) == []


def test_a_rate_that_is_kept_does_not_fall_behind_and_an_idle_queue_does_not_wait() -> None:
    assert not {"falls_behind", "ttft_waiting"} & {f.code for f in diagnosis(queue(0.3))}


@pytest.mark.thorough
def test_few_alarms_where_nothing_changes() -> None:
    """Trend and correlation together: 200 levels of independent latencies, at most one in ten."""
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(200):
        frame = rows(400, ttft_s=rng.exponential(0.2, 400), e2e_s=1 + rng.exponential(0.5, 400))
        alarms += bool({"trend", "short_run"} & {f.code for f in of_behaviour("here", frame)})
    assert alarms <= 20


def test_a_trend_says_how_much_and_which_way() -> None:
    (found,) = diagnosis(clean(e2e_s=np.linspace(2.0, 1.0, N)))
    assert found.code == "trend"
    assert (
        "E2E changed as the level went on (-40% from its first quarter to its last; Kendall's tau -1.00"
        in found.sentence
    )


def test_what_hardly_changes_is_no_trend() -> None:
    assert diagnosis(clean(e2e_s=np.linspace(1.0, 1.002, N))) == []


def test_a_short_run_says_how_long_it_would_have_to_be() -> None:
    slow = np.sin(np.linspace(0, 4 * np.pi, N))
    (found,) = diagnosis(clean(e2e_s=1.0 + 0.3 * slow))
    assert found.code == "short_run"
    assert "25 times as long" in found.cure


def test_a_real_server_that_works_on_one_at_a_time_is_told() -> None:
    with bk.emulator.serve(ttft_ms=20, itl_ms=2, max_concurrency=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        run = bk.run_sync(
            bk.RunConfig(
                steady=False, preflight=False, endpoint=endpoint, scenarios="D(20,10)", concurrency=6, max_requests=30
            )
        )
    found = {f.code: f for f in run.findings}
    assert "of the first 6 requests, sent together" in found["serialised"].sentence
    with bk.emulator.serve(ttft_ms=20, itl_ms=2) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        run = bk.run_sync(
            bk.RunConfig(
                steady=False, preflight=False, endpoint=endpoint, scenarios="D(20,10)", concurrency=6, max_requests=30
            )
        )
    assert "serialised" not in [f.code for f in run.findings]
