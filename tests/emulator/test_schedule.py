"""The schedule's order, its repeats and its pauses, on a loop with its own clock: time passes only when nothing is to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from basetenkit.emulator.schedule import Schedule
from basetenkit.emulator.words import WordCounts


def run(scenario: Callable[[Schedule, asyncio.Event], None]) -> None:
    """Runs until the scenario sets its event."""

    async def main() -> None:
        over = asyncio.Event()
        schedule = Schedule(asyncio.get_running_loop())
        scenario(schedule, over)
        await asyncio.wait_for(over.wait(), 20)
        schedule.stop()

    asyncio.run(main())


def test_steps_are_called_in_the_order_of_their_times_and_never_early() -> None:
    called: list[str] = []
    early: list[float] = []

    def scenario(schedule: Schedule, over: asyncio.Event) -> None:
        start = time.monotonic()

        def step(name: str, due: float) -> Callable[[], None]:
            def call() -> None:
                called.append(name)
                early.append(due - (time.monotonic() - start))
                if name == "last":
                    over.set()

            return call

        for name, due in (("last", 0.03), ("second", 0.01), ("first", 0.0), ("third", 0.02), ("beside", 0.02)):
            schedule.at(start + due, step(name, due))

    run(scenario)
    assert called == ["first", "second", "third", "beside", "last"]
    assert max(early) <= 0


def test_a_step_that_gives_a_time_is_called_again_then() -> None:
    times: list[float] = []

    def scenario(schedule: Schedule, over: asyncio.Event) -> None:
        start = time.monotonic()

        def step() -> float | None:
            times.append(time.monotonic() - start)
            if len(times) == 4:
                over.set()
                return None
            return start + 0.005 * len(times)

        schedule.at(start, step)

    run(scenario)
    assert len(times) == 4
    assert all(t >= 0.005 * i for i, t in enumerate(times))


def test_a_step_may_add_steps_that_are_due_before_its_own_return() -> None:
    called: list[str] = []

    def scenario(schedule: Schedule, over: asyncio.Event) -> None:
        now = time.monotonic()

        def outer() -> float | None:
            called.append("outer")
            if called.count("outer") == 2:
                over.set()
                return None
            schedule.at(now - 1, lambda: called.append("inner"))
            return now + 0.002

        schedule.at(now, outer)

    run(scenario)
    assert called == ["outer", "inner", "outer"]


def test_a_long_backlog_leaves_the_loop_its_turns() -> None:
    turns: list[int] = []
    done: list[int] = []

    def scenario(schedule: Schedule, over: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def other() -> None:
            turns.append(len(done))
            if len(done) < 30:
                loop.call_soon(other)

        def step() -> None:
            until = time.monotonic() + 0.0005
            while time.monotonic() < until:
                pass
            done.append(1)
            if len(done) == 30:
                over.set()

        for _ in range(30):
            schedule.at(0.0, step)
        loop.call_soon(other)

    run(scenario)
    assert len(set(turns)) > 5  # the other one ran in between, again and again


def test_a_failing_step_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []

    def scenario(schedule: Schedule, over: asyncio.Event) -> None:
        def broken() -> float | None:
            raise ZeroDivisionError("as it would in a reply")

        def fine() -> None:
            called.append("fine")
            over.set()

        schedule.at(0.0, broken)
        schedule.at(0.1, fine)

    run(scenario)
    assert called == ["fine"]
    assert "as it would in a reply" in caplog.text


def test_what_can_wait_is_counted_in_a_pause_that_is_long_enough() -> None:
    short, long = WordCounts("a word"), WordCounts("word " * 200_000)
    seen: list[tuple[bool, bool]] = []

    def scenario(schedule: Schedule, over: asyncio.Event) -> None:
        now = time.monotonic()
        assert long.effort > 0.3
        schedule.at(now + 0.2, lambda: seen.append((short.done, long.done)))

        def look() -> float | None:
            if not long.done:
                return time.monotonic() + 0.5
            seen.append((short.done, long.done))
            over.set()
            return None

        schedule.spare(short)
        schedule.spare(long)
        schedule.at(now + 0.21, look)

    run(scenario)
    assert seen == [(True, False), (True, True)]


def test_after_stop_nothing_is_called() -> None:
    called: list[int] = []

    async def main() -> None:
        schedule = Schedule(asyncio.get_running_loop())
        schedule.at(0.0, lambda: called.append(1))
        schedule.spare(tally)
        schedule.stop()
        await asyncio.sleep(0.02)

    tally = WordCounts("x")
    asyncio.run(main())
    assert called == []
    assert not tally.done
