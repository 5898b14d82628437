"""How far behind a loop is: what keeps it from its work shows, and its CPU share."""

from __future__ import annotations

import asyncio
import select
import socket
import time

import pytest

from basetenkit.loadgen.loop_lag import LoopLag
from basetenkit.transport.clock import SLICE, Poller


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


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="slices need epoll")
def test_what_waits_for_its_slice_is_late() -> None:
    poller = Poller()
    pairs = [socket.socketpair() for _ in range(6 * SLICE)]

    async def main() -> float | None:
        loop, lag, over = asyncio.get_running_loop(), LoopLag(poller), asyncio.Event()
        left = len(pairs)

        def read(sock: socket.socket) -> None:
            nonlocal left
            sock.recv(1)
            hold(0.0005)
            left -= 1
            if not left:
                over.set()

        for ours, theirs in pairs:
            loop.add_reader(ours, read, ours)
            theirs.send(b"x")
        lag.start()
        await over.wait()
        lag.stop()
        for ours, _ in pairs:
            loop.remove_reader(ours)
        return lag.p99_s

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poller)) as runner:
        late = runner.run(main())
    for pair in pairs:
        for sock in pair:
            sock.close()
    assert late is not None
    assert late > 3 * SLICE * 0.0005  # a turn alone is as long as one slice
