"""How far behind a loop is: what keeps it from its work shows, and its CPU share."""

from __future__ import annotations

import asyncio
import time

from basetenkit.engine.lag import LoopLag


def hold(seconds: float) -> None:
    """Keeps the loop's own thread, so that every timer due meanwhile is late."""
    time.sleep(seconds)


def compute(cpu_seconds: float) -> None:
    until = time.process_time() + cpu_seconds
    while time.process_time() < until:
        pass


def test_a_loop_that_is_kept_from_its_work_is_late_by_so_much() -> None:
    async def main() -> LoopLag:
        lag = LoopLag()
        lag.start()
        for _ in range(5):
            await asyncio.sleep(0.02)
            hold(0.08)
        lag.stop()
        return lag

    lag = asyncio.run(main())
    assert lag.p99_s is not None
    assert lag.p99_s > 0.05
    assert lag.cpu_share is not None
    assert 0 < lag.cpu_share < 1
    assert not lag.running


def test_a_process_that_computes_has_its_share() -> None:
    async def main() -> LoopLag:
        lag = LoopLag()
        lag.start()
        compute(0.1)
        lag.stop()
        return lag

    idle, computing = LoopLag(), asyncio.run(main())
    assert computing.cpu_share is not None
    assert computing.cpu_share > 0
    assert (idle.p99_s, idle.cpu_share) == (None, None)


def test_each_start_measures_anew() -> None:
    async def main() -> tuple[float | None, float | None]:
        lag = LoopLag()
        lag.start()
        await asyncio.sleep(0.02)
        hold(0.2)
        await asyncio.sleep(0.02)
        lag.stop()
        first = lag.p99_s
        lag.start()
        lag.stop()
        return first, lag.p99_s

    first, second = asyncio.run(main())
    assert first is not None
    assert first > 0.1
    assert second is None
