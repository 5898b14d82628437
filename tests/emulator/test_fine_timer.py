"""The timer on a real loop: never early, the last time given counts, and tokens do not leave at whole milliseconds."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

import pytest

from basetenkit.emulator.fine_timer import FineTimer


def wakes(*moments: float, wait_s: float = 0.2, cancel: bool = False) -> list[float]:
    """Seconds after the start at which a timer called, when it was set to each of the moments in turn."""
    seen: list[float] = []

    async def main() -> None:
        start = time.monotonic()
        timer = FineTimer(asyncio.get_running_loop(), lambda: seen.append(time.monotonic() - start))
        for moment in moments:
            timer.set(start + moment)
        if cancel:
            timer.cancel()
        await asyncio.sleep(wait_s)
        timer.close()

    asyncio.run(main())
    return seen


def test_it_calls_once_and_not_early() -> None:
    (at,) = wakes(0.02)
    assert at >= 0.02


def test_the_time_given_last_counts() -> None:
    (at,) = wakes(0.01, 0.05)
    assert at >= 0.05


def test_a_past_time_calls_at_once() -> None:
    assert len(wakes(-1.0)) == 1


def test_after_cancel_it_does_not_call() -> None:
    assert wakes(0.01, cancel=True, wait_s=0.05) == []


def test_it_can_be_set_from_its_own_call() -> None:
    seen: list[float] = []

    async def main() -> None:
        def call() -> None:
            seen.append(time.monotonic())
            if len(seen) < 3:
                timer.set(time.monotonic() + 0.001)

        timer = FineTimer(asyncio.get_running_loop(), call)
        timer.set(0.0)
        await asyncio.sleep(0.1)
        timer.close()

    asyncio.run(main())
    assert len(seen) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere asyncio's own timers serve")
def test_it_is_nearer_to_its_time_than_asyncios_own_timers() -> None:
    """Both wait for the same moments, in turn; asyncio's waits end at whole milliseconds after they began."""
    late: dict[str, list[float]] = {"fine": [], "own": []}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for k in range(60):
            for kind in late:
                called, due = asyncio.Event(), time.monotonic() + 0.0021 + k * 1e-6

                def note(kind: str = kind, due: float = due, called: asyncio.Event = called) -> None:
                    late[kind].append(time.monotonic() - due)
                    called.set()

                if kind == "own":
                    loop.call_at(due, note)
                    await called.wait()
                else:
                    timer = FineTimer(loop, note)
                    timer.set(due)
                    await called.wait()
                    timer.close()

    asyncio.run(main())
    assert statistics.median(late["fine"]) < statistics.median(late["own"])
