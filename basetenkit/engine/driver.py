"""One level: sends until the count, the time or a stop; loses nothing.

A level is a number of users (closed loop: each sends its next request when its last has ended) or a schedule (open loop).
Every request taken from the source becomes an Exchange that is handed to `done`, whatever happened to it. The driver knows
no dialect and no file: `done` only queues; the Backlog works the queue off about a millisecond's worth a turn of the loop, so
that stamps stay true while responses are read. It builds what is to be sent next in the same turns: a wave of a thousand
users that ends at once must find its next requests made, as building them there would hold the loop up.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..types import Exchange, Failure, Outcome, Request
from .clock import Poller, mono
from .pool import Gate, Pool, Turnstile
from .via_httpx import HttpxPool

Again = Callable[[Exchange, bytes], tuple[float, Request, bytes] | None]
Follow = Callable[[Exchange, int], Awaitable[tuple[int, Request, bytes] | None]]
Source = Callable[[], tuple[Request, bytes] | None]
BUDGET_NS = 1_000_000
# Where more bytes than so many wait (two thousand streamed responses are about as many), a turn may take longer: little at
# first, as a long turn makes tokens merge, and much where memory is at stake.
PILED_BYTES = 32 << 20
LONG_BODY = 1 << 19  # bytes; some 15 ms of reading
SWITCH_S = 0.0005
COLLECT = 700, 3, 1000
_calm = threading.Lock()
_thresholds: list[tuple[int, int, int]] = []  # found by each level that goes on: the first one's are Python's


class Backlog:
    """Works off finished exchanges and refills what is to be sent, a little each turn of the loop.

    While fewer are ready than should be, two are built for each that is read, though only one was sent for each that ended:
    where the machine is too busy for both, responses wait to be read, and what is to be sent is there.

    `read` makes of an exchange what `record` takes. One with a body of megabytes, which would hold up every other response
    for as long as it takes to read, is read on a thread beside the loop; `record` is always called on the loop. What waits is
    in memory: where it piles up, on a machine that is too busy, a turn takes longer, so that less is sent and more is read."""

    def __init__(
        self, read: Callable[[Exchange], Any], record: Callable[[Any], None], refill: Callable[[], bool]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._read, self._record, self._refill = read, record, refill
        self._queue: deque[Exchange] = deque()
        self._aside: ThreadPoolExecutor | None = None
        self._beside = self._waiting_bytes = 0
        self._scheduled = False
        self._empty = asyncio.Event()

    def add(self, exchange: Exchange) -> None:
        self._queue.append(exchange)
        self._waiting_bytes += len(exchange.body)
        self.wake()

    def wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    @property
    def budget_ns(self) -> int:
        """How long the next turn may take."""
        beyond = max(0, self._waiting_bytes - PILED_BYTES) // (PILED_BYTES // 4)
        return BUDGET_NS * (1 + beyond * beyond)

    def _turn(self) -> None:
        self._scheduled = False
        until = mono() + self.budget_ns
        more = True
        while more and mono() < until:
            more = self._refill() and self._refill()
            if self._queue:
                self._work(self._queue.popleft())
                more = True
        self._look()
        if more:
            self.wake()

    def _work(self, exchange: Exchange) -> None:
        if len(exchange.body) < LONG_BODY:
            self._waiting_bytes -= len(exchange.body)
            self._record(self._read(exchange))
            return
        if self._aside is None:
            self._aside = ThreadPoolExecutor(1, "basetenkit-reader")
        self._beside += 1
        self._loop.run_in_executor(self._aside, _gently, self._read, exchange).add_done_callback(
            partial(self._came, len(exchange.body))
        )

    def _came(self, size: int, reading: asyncio.Future[Any]) -> None:
        self._beside -= 1
        self._waiting_bytes -= size
        self._record(reading.result())
        self._look()

    def _look(self) -> None:
        if not self._queue and not self._beside:
            self._empty.set()

    async def drained(self) -> None:
        """Returns when every exchange has been worked off; nothing is refilled any more."""
        self._refill = lambda: False
        self._empty.clear()
        self.wake()
        await self._empty.wait()
        if self._aside is not None:
            self._aside.shutdown()


@contextlib.contextmanager
def few_collections() -> Iterator[None]:
    """Spares the loop the collector's long halts: what is there now is left alone (polars and altair, some tens of
    milliseconds), young objects are looked at a few at a time, and all of them hardly ever. Runs that go on at once share it:
    the last one to end leaves the collector as the first one found it."""
    with _calm:
        if not _thresholds:
            gc.freeze()
        _thresholds.append(gc.get_threshold())
        gc.set_threshold(*COLLECT)
    try:
        yield
    finally:
        with _calm:
            before = _thresholds.pop()
            if not _thresholds:
                gc.collect()  # of what is new; without it Python would soon look at everything, for over a tenth of a second
                gc.set_threshold(*before)
                gc.unfreeze()


def _gently(read: Callable[[Exchange], Any], exchange: Exchange) -> Any:
    """Reads while the loop's thread is let in each half millisecond, where Python's own 5 ms would stand in every bound."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        return read(exchange)
    finally:
        sys.setswitchinterval(before)


class Level:
    """One (scenario, load, level, repeat) while it is being sent."""

    def __init__(
        self,
        pool: Pool | HttpxPool,
        poller: Poller,
        source: Source,
        done: Callable[[Exchange], None],
        *,
        max_seconds: float,
        again: Again = lambda exchange, payload: None,
        follow: Follow | None = None,
    ) -> None:
        self._pool, self._poller, self._source, self._done, self._again = pool, poller, source, done, again
        self._max_seconds, self._follow = max_seconds, follow
        self._tasks: set[asyncio.Task[None]] = set()
        self.origin_ns = mono()
        self.sent = self.in_flight = self.peak = self.held_back = 0
        self.stop_reason: str | None = None
        self._room = asyncio.Event()

    async def closed_loop(self, users: int) -> None:
        """`users` requests in flight at any time, until the source is dry."""
        gate, onward = Gate(users), Turnstile()
        await self._run(lambda: [self._spawn(self._user(gate, onward)) for _ in range(users)])

    async def open_loop(self, due: Iterator[float], max_in_flight: int | None) -> None:
        """Requests at the times of `due` (s since the start), whatever became of those before."""
        await self._run(lambda: [self._spawn(self._arrive(due, max_in_flight))])

    async def _run(self, begin: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._max_seconds, self.stop, f"max_seconds={self._max_seconds:g} was reached")
        begin()
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            timer.cancel()
            for task in self._tasks:
                task.cancel()

    def stop(self, reason: str) -> None:
        """Sends nothing more and cancels what is in flight; each of those still becomes an exchange."""
        self.stop_reason = self.stop_reason or reason
        for task in self._tasks:
            task.cancel()

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task  # type: ignore[no-any-return]

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.set()

    async def _user(self, gate: Gate | None, onward: Turnstile) -> None:
        free = mono()
        while self.stop_reason is None and (item := self._source()) is not None:
            if not await self._send(*item, due=free, start=mono(), gate=gate):
                return
            gate, free = None, mono()
            await onward.enter()
        if gate is not None:  # nothing left to send: nobody needs to wait for this one
            await gate.arrive()

    async def _arrive(self, due: Iterator[float], limit: int | None) -> None:
        for at in due:
            wait = at - (mono() - self.origin_ns) / 1e9
            if wait > 0:
                await asyncio.sleep(wait)
            if self.stop_reason is not None or (item := self._source()) is None:
                return
            full = limit is not None and len(self._tasks) > limit  # this schedule is a task, too
            self.held_back += full
            while limit is not None and len(self._tasks) > limit:
                self._room.clear()
                await self._room.wait()
            self._spawn(self._send(*item, due=self.origin_ns + int(at * 1e9), start=mono()))

    async def _send(self, request: Request, payload: bytes, *, due: int, start: int, gate: Gate | None = None) -> bool:
        """Sends one request, again where `again` says so, and then what `follow` says; False where the level was stopped."""
        while True:
            exchange = await self._once(request, payload, due=due, start=start, gate=gate)
            more = self._again(exchange, payload) if exchange is not None and self.stop_reason is None else None
            if exchange is None or (more is None and (self._follow is None or self.stop_reason is not None)):
                return exchange is not None
            try:
                following = await (self._next_turn(exchange) if more is None else self._after_pause(*more))
            except asyncio.CancelledError:
                return False
            if following is None:
                return True
            (due, request, payload), start, gate = following, mono(), None

    async def _next_turn(self, exchange: Exchange) -> tuple[int, Request, bytes] | None:
        return None if self._follow is None else await self._follow(exchange, self.origin_ns)

    @staticmethod
    async def _after_pause(seconds: float, request: Request, payload: bytes) -> tuple[int, Request, bytes]:
        await asyncio.sleep(seconds)
        return mono(), request, payload

    async def _once(
        self, request: Request, payload: bytes, *, due: int, start: int, gate: Gate | None
    ) -> Exchange | None:
        """One try; hands its exchange on, and gives it back unless the level was stopped meanwhile."""
        exchange = Exchange(request, scheduled_ns=due, start_ns=start)
        self.sent += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await self._pool.exchange(exchange, payload, gate)
        except asyncio.CancelledError:
            message = f"the request was in flight when the level ended: {self.stop_reason or 'the run was cancelled'}"
            exchange.failure = Failure(Outcome.CANCELLED, message)
            exchange.end_ns = exchange.end_ns or mono()
            return None
        finally:
            self.in_flight -= 1
            self._done(exchange)
        return exchange
