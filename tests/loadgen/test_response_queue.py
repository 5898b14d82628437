"""Work between reads: in small steps, nothing is lost, and the garbage collector is paused meanwhile."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time

import pytest

from basetenkit.core.types import Exchange, Request
from basetenkit.loadgen.response_queue import LONG_BODY, ResponseQueue, reduced_gc
from basetenkit.transport.clock import Poller

from ..transport.loop import on_loop


def test_a_backlog_works_off_everything_a_little_each_turn() -> None:
    async def work(_poller: Poller) -> tuple[list[str], int]:
        seen: list[str] = []
        turns = 0

        def slow(x: Exchange) -> None:
            seen.append(x.request.request_id)
            time.sleep(0.002)  # longer than a turn's budget: one a turn

        backlog = ResponseQueue(lambda x: x, slow, lambda: False)
        for i in range(10):
            backlog.add(Exchange(Request(str(i), b"", "s")))

        async def count() -> None:
            nonlocal turns
            while len(seen) < 10:
                turns += 1
                await asyncio.sleep(0)

        await asyncio.gather(count(), backlog.drained())
        return seen, turns

    seen, turns = on_loop(work)
    assert seen == [str(i) for i in range(10)]
    assert turns >= 9


def test_what_is_to_be_sent_is_built_while_responses_still_wait_to_be_read() -> None:
    async def work(_poller: Poller) -> tuple[list[int], int]:
        built = 0
        then: list[int] = []

        def refill() -> bool:
            nonlocal built
            built += built < 100
            return built < 100

        def record(_: object) -> None:
            then.append(built)
            time.sleep(0.002)  # the reading alone takes each turn's budget

        backlog = ResponseQueue(lambda x: x, record, refill)
        for i in range(20):
            backlog.add(Exchange(Request(str(i), b"", "s")))
        await asyncio.sleep(0.5)
        await backlog.drained()
        return then, built

    then, built = on_loop(work)
    assert then == [2 * i for i in range(1, 21)]
    assert built >= 40


def test_the_collector_halts_the_loop_no_longer_than_it_must_and_is_as_before_after_a_level() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    full = gc.get_stats()[2]["collections"]
    with reduced_gc():
        kept = [[i] for i in range(300_000)]
        within = gc.get_stats()[2]["collections"]
    assert within == full
    assert len(kept) == 300_000
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() <= frozen  # Python 3.12 begins with some
    one, other = reduced_gc(), reduced_gc()
    with one:
        other.__enter__()
    assert gc.get_threshold() != before  # another run goes on
    other.__exit__(None, None, None)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() <= frozen


def test_a_long_body_is_read_beside_the_loop_and_recorded_on_it() -> None:
    async def work(_poller: Poller) -> tuple[dict[str, str], list[str]]:
        read_on: dict[str, str] = {}
        recorded: list[str] = []
        loop_thread = threading.current_thread().name

        def read(x: Exchange) -> Exchange:
            read_on[x.request.request_id] = threading.current_thread().name
            return x

        def record(x: Exchange) -> None:
            assert threading.current_thread().name == loop_thread
            recorded.append(x.request.request_id)

        backlog = ResponseQueue(read, record, lambda: False)
        for name, size in (("short", 10), ("long", LONG_BODY), ("short too", LONG_BODY - 1)):
            exchange = Exchange(Request(name, b"", "s"))
            exchange.body = bytes(size)
            backlog.add(exchange)
        await backlog.drained()
        return read_on, recorded

    read_on, recorded = on_loop(work)
    assert sorted(recorded) == ["long", "short", "short too"]
    assert read_on["long"].startswith("basetenkit-reader")
    assert not any(read_on[name].startswith("basetenkit-reader") for name in ("short", "short too"))
    assert not [t for t in threading.enumerate() if t.name.startswith("basetenkit-reader")]
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_what_piles_up_is_given_longer_turns_until_it_is_read() -> None:
    async def work(_poller: Poller) -> list[int]:
        backlog = ResponseQueue(lambda x: x, lambda x: None, lambda: False)
        budgets = [backlog.budget_ns]
        body = bytes(LONG_BODY - 1)
        for _ in range(200):  # some 100 MB
            exchange = Exchange(Request("r", b"", "s"))
            exchange.body = body
            backlog.add(exchange)
        budgets.append(backlog.budget_ns)
        await backlog.drained()
        return [*budgets, backlog.budget_ns]

    first, piled, last = on_loop(work)
    assert first == last
    assert piled > 10 * first
