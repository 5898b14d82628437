"""One level from one sender: its part of the load, its records, how it ends, and how responses are classified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.config.loads import ClosedLoop, LevelKey, OpenLoop
from basetenkit.config.plan import PlannedLevel
from basetenkit.core.reasons import Stop, StopReason
from basetenkit.loadgen.counters import SharedCounters
from basetenkit.loadgen.generator import LoadGenerator, Shard
from basetenkit.loadgen.request_source import quota, timeouts
from basetenkit.transport.clock import Poller, mono

from ..making import URL, config, ready

CLOSED = PlannedLevel(0, LevelKey("D(20,5)", ClosedLoop(3)))
OPEN = PlannedLevel(1, LevelKey("D(20,5)", OpenLoop(100.0)))


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=2, itl_ms=1) as server:
        yield server


HALTED = Stop(StopReason.STOPPED, {"why": "halted"})


def staged(c: bk.RunConfig, play: Callable[[LoadGenerator], Any], tally: SharedCounters | None = None) -> LoadGenerator:
    """A stage on its own loop, after `play` was awaited on it."""
    poller = Poller()

    async def main() -> LoadGenerator:
        stage = LoadGenerator(ready(c), salt="salt-1234", poller=poller, tally=tally or SharedCounters())
        await play(stage)
        return stage

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poller)) as runner:
        return runner.run(main())


def test_parts_add_up_to_the_whole() -> None:
    c = config(max_in_flight=7)
    key = PlannedLevel(0, LevelKey("D(20,5)", ClosedLoop(11)))
    parts = [Shard.of(key, c, n, 4) for n in range(4)]
    assert [p.users for p in parts] == [3, 3, 3, 2]
    assert [p.max_in_flight for p in parts] == [2, 2, 2, 1]
    assert Shard.of(OPEN, config()) == Shard(OPEN)


def test_a_level_gives_its_rows_once_and_says_how_it_went(server: Any) -> None:
    stage = staged(config(url=server.url, warmup_requests=1), lambda s: s.level(CLOSED))
    (batch,) = stage.take()
    requests, chunks = batch.frames()
    assert batch.size == (requests.height, chunks.height) == (7, 35)
    assert sorted(requests["request_id"]) == [f"salt-123-000-{i:06d}" for i in range(7)]
    assert stage.take() == []
    report = stage.report()
    assert (report.sent, report.peak_in_flight, report.ended_by, report.tokens_guard) == (7, 3, None, False)
    assert (report.loop_lag_p99_s or 0) > 0
    assert 0 < (report.cpu_share or 0) < 2
    status = stage.status()
    assert (status.finished, status.in_flight, status.outcomes["ok"], status.output_tokens) == (7, 0, 7, 35)
    assert stage.notes() == []


def test_what_the_first_wave_took_is_built_anew_before_any_of_it_has_ended() -> None:
    c = config(max_requests=200)
    with bk.emulator.serve(ttft_ms=60_000) as slow:
        built: list[int] = []

        async def play(stage: LoadGenerator) -> None:
            stage._tally.begin(quota(c, CLOSED.load))
            stage.prefetch(Shard(CLOSED, users=3))
            built.append(len(stage._source._ready))
            performing = asyncio.ensure_future(stage.run_level())
            await asyncio.sleep(1)
            built.append(len(stage._source._ready))
            assert (stage.status().finished, stage.status().in_flight) == (0, 3)
            stage.halt(HALTED)
            await performing

        staged(c.model_copy(update={"endpoint": bk.Endpoint(url=slow.url, model="m")}), play)
    first, then = built
    assert first < then == 197


def test_a_part_of_a_schedule_is_sent_at_its_own_times_from_the_common_start(server: Any) -> None:
    origin = 0

    async def play(stage: LoadGenerator) -> None:
        nonlocal origin
        stage._tally.begin(quota(c, OPEN.load))
        stage.prefetch(Shard(OPEN, part=1, parts=3))
        origin = mono() + 20_000_000
        await stage.run_level(origin)

    c = config(url=server.url, arrival="constant", max_requests=8)
    ((requests, _),) = [b.frames() for b in staged(c, play).take()]
    rows = requests.sort("scheduled_s")
    assert rows["scheduled_s"].to_list() == pytest.approx([0.01, 0.04, 0.07], abs=1e-6)
    assert [i[-1] for i in rows["request_id"]] == ["1", "4", "7"]
    assert (rows["start_s"] >= rows["scheduled_s"]).all()
    assert (rows["started_at"].dt.epoch("us") > 0).all()


def test_halt_ends_one_level_and_stop_all_that_follow(server: Any) -> None:
    c = config(url=server.url, max_requests=100_000)

    async def play(stage: LoadGenerator) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, stage.halt, HALTED)
        await stage.level(CLOSED)
        assert stage.report().ended_by == HALTED
        loop.call_later(0.3, stage.stop, HALTED)
        await stage.level(CLOSED)
        assert stage.report().sent > 0
        stage.take()
        await stage.level(CLOSED)

    stage = staged(c, play)
    assert stage.report().sent == 0
    assert stage.take() == []


def test_failures_elsewhere_count_towards_giving_up(server: Any) -> None:
    tally = SharedCounters()
    refused = config(abort_after_failures=10, max_requests=500, concurrency=3)

    async def play(stage: LoadGenerator) -> None:
        tally.begin(quota(refused, CLOSED.load))
        stage.prefetch(Shard.of(CLOSED, refused))
        for _ in range(8):  # by another
            tally.ended(False)
        await stage.run_level()

    stage = staged(refused, play, tally)
    assert stage.report().ended_by == Stop(StopReason.FAILURES, {"requests": 10})
    assert 2 <= stage.report().sent < 10


def test_the_engines_limits_are_the_endpoints() -> None:
    endpoint = bk.Endpoint(url=URL, timeout_s=9, connect_timeout_s=2, first_byte_timeout_s=3, between_bytes_timeout_s=4)
    limits = timeouts(endpoint)
    assert (limits.connect, limits.first_byte, limits.between_bytes, limits.total) == (2, 3, 4, 9)


def test_the_last_error_is_the_endpoints_and_not_that_the_level_ended() -> None:
    """What keeps the load on after the last measured request is cancelled, and that is no error."""
    with bk.emulator.serve(ttft_ms=5, itl_ms=10, fail={"http_500": 0.3}) as broken:
        live = bk.start(config(url=broken.url, concurrency=6, max_requests=40, steady=True))
        rows = live.result().requests
    assert {"http_error", "cancelled"} <= set(rows["outcome"])
    assert "Internal Server Error" in live.progress["last_error"]
