"""The engine in virtual time: shares and capacities that can be worked out by hand."""

from __future__ import annotations

import random
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.emulator.__main__ import main
from basetenkit.emulator.engine_options import EngineOptions
from basetenkit.emulator.virtual import RequestMix, Virtual, kept_limits, share_at, true_capacity

STEP: dict[str, Any] = {"decode_ms": 10.0, "decode_slope_ms": 0.0, "prefill_tokens_per_s": 1000.0}


def equal(rng: random.Random) -> tuple[int, int]:
    return 100, 10


def test_the_largest_number_in_flight_follows_from_the_decode_step() -> None:
    """With n in flight a decode step takes 10 + n ms; at most 15 ms per token leaves 5, before prefills are counted."""
    options = EngineOptions(batch_slots=16, decode_ms=10.0, decode_slope_ms=1.0, prefill_tokens_per_s=1e9)
    found = true_capacity(options, RequestMix(equal), {"tpot_s": 0.01501}, 0.95, users=True, requests=200)
    assert (found.load, found.above) == (5.0, 6.0)
    assert dict(found.tried)[6.0] < 0.5


def test_a_limiter_bounds_the_rate() -> None:
    """Of a rate r a limit of 2 per second accepts about 2 / r, a burst apart."""
    options = EngineOptions(batch_slots=16, rate_limit=2.0, rate_burst=50, **STEP)
    found = true_capacity(options, RequestMix(equal), {"e2e_s": 5.0}, 0.9, requests=5_000)
    assert found.load == pytest.approx(2 / 0.9, rel=0.06)
    assert found.share == pytest.approx(0.9, abs=0.02)
    assert found.share_error is not None
    assert 0 < found.share_error < 0.02


def test_no_load_keeps_a_limit_below_the_prefill() -> None:
    found = true_capacity(EngineOptions(batch_slots=2, **STEP), RequestMix(equal), {"ttft_s": 0.05}, requests=200)
    assert (found.load, found.share) == (None, None)
    assert "No load" in str(found)


def test_a_shared_beginning_is_computed_once() -> None:
    options = EngineOptions(batch_slots=4, prefix_cache_tokens=10_000, **STEP)
    jobs = Virtual(options, RequestMix(equal, shared_prefix=320)).open_loop(1.0, 50)
    assert jobs[0].cached == 0
    assert {job.cached for job in jobs[1:]} == {320}


def test_a_session_finds_its_earlier_turns_in_the_cache() -> None:
    options = EngineOptions(batch_slots=4, prefix_cache_tokens=100_000, **STEP)
    jobs = Virtual(options, RequestMix(equal, turns=3, think_s=0.5)).open_loop(0.2, 20)
    assert len(jobs) == 60
    by_turn: dict[int, set[int]] = {}
    for job in jobs:
        by_turn.setdefault(job.prompt, set()).add(job.cached)
    assert set(by_turn) == {100, 210, 320}
    assert by_turn[100] == {0}
    assert min(by_turn[320]) > min(by_turn[210]) > 0


def test_a_closed_loop_keeps_so_many_in_flight() -> None:
    jobs = Virtual(EngineOptions(batch_slots=2, **STEP), RequestMix(equal)).closed_loop(2, 40)
    moments = sorted((at, step) for job in jobs for at, step in ((job.arrived_s, 1), (job.end_s or 0.0, -1)))
    in_flight, seen = 0, []
    for _, step in moments:
        in_flight += step
        seen.append(in_flight)
    assert len(jobs) == 40
    assert max(seen) == 2


def test_requests_that_were_refused_keep_no_limit() -> None:
    options = EngineOptions(batch_slots=4, rate_limit=0.5, **STEP)
    jobs = Virtual(options, RequestMix(equal)).open_loop(5.0, 100)
    refused = [job for job in jobs if job.first_s is None]
    assert len(refused) > 50
    assert not any(kept_limits(job, {"e2e_s": 1e9}) for job in refused)


def test_more_requests_make_the_share_more_exact() -> None:
    options, mix = EngineOptions(batch_slots=1, **STEP), RequestMix(equal)
    few, many = (share_at(options, mix, {"ttft_s": 0.4}, 3.0, requests=n) for n in (1000, 10_000))
    assert many[1] < few[1]
    assert 0 < many[0] < 1


def test_the_command_line_prints_the_same_as_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--capacity", "--batch-slots", "2", "--decode-ms", "5", "--slo", "ttft=0.1", "--scenario", "D(100,10)"]
    assert main([*line, "--requests", "500"]) == 0
    found = bk.emulator.true_capacity(
        slo={"ttft_s": 0.1}, scenario="D(100,10)", requests=500, batch_slots=2, decode_ms=5.0
    )
    out = capsys.readouterr().out
    assert str(found) in out
    assert len(out.splitlines()) == 2 + len(found.tried)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--capacity", "--slo", "ttft=0.1"], "give batch_slots"),
        (["--capacity", "--batch-slots", "2"], "the limits are ttft_s"),
        (["--capacity", "--batch-slots", "2", "--slo", "speed=1"], "the SLO names speed_s"),
    ],
)
def test_settings_that_cannot_be_are_told(line: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line) == 2
    assert words in capsys.readouterr().err
