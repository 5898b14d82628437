"""One level: sends until the count, the time or a stop; loses nothing.

A level is a number of users (closed loop: each sends its next request when its last has ended) or a schedule (open loop).
Every request taken from the source becomes an Exchange that is handed to `done`, whatever happened to it. The driver knows
no dialect and no file: `done` only queues; the Backlog works the queue off about a millisecond's worth a turn of the loop, so
that stamps stay true while responses are read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from ..types import Exchange, Failure, Outcome, Request
from .clock import Poller, mono
from .pool import Gate, Pool
from .via_httpx import HttpxPool

Again = Callable[[Exchange, bytes], tuple[float, Request, bytes] | None]
Source = Callable[[], tuple[Request, bytes] | None]
BUDGET_NS = 1_000_000


class Backlog:
    """Works off finished exchanges, and after them refills what is to be sent, a little each turn of the loop."""

    def __init__(self, work: Callable[[Exchange], None], refill: Callable[[], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._work, self._refill = work, refill
        self._queue: deque[Exchange] = deque()
        self._scheduled = False
        self._empty = asyncio.Event()

    def add(self, exchange: Exchange) -> None:
        self._queue.append(exchange)
        self.wake()

    def wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        until = mono() + BUDGET_NS
        more = True
        while more and mono() < until:
            if self._queue:
                self._work(self._queue.popleft())
            else:
                more = self._refill()
        if not self._queue:
            self._empty.set()
        if more:
            self.wake()

    async def drained(self) -> None:
        """Returns when every exchange has been worked off; nothing is refilled any more."""
        self._refill = lambda: False
        self._empty.clear()
        self.wake()
        await self._empty.wait()


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
    ) -> None:
        self._pool, self._poller, self._source, self._done, self._again = pool, poller, source, done, again
        self._max_seconds = max_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self.origin_ns = mono()
        self.sent = self.in_flight = self.peak = self.held_back = 0
        self.stop_reason: str | None = None
        self._room = asyncio.Event()

    async def closed_loop(self, users: int) -> None:
        """`users` requests in flight at any time, until the source is dry."""
        gate = Gate(users)
        await self._run(lambda: [self._spawn(self._user(gate)) for _ in range(users)])

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

    async def _user(self, gate: Gate | None) -> None:
        while self.stop_reason is None and (item := self._source()) is not None:
            now = mono()
            if not await self._send(*item, due=now, start=now, gate=gate):
                return
            gate = None
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
        """Sends one request, and again where `again` says so; False where the level was stopped meanwhile."""
        while True:
            exchange = await self._once(request, payload, due=due, start=start, gate=gate)
            more = self._again(exchange, payload) if exchange is not None and self.stop_reason is None else None
            if more is None:
                return exchange is not None
            pause, request, payload = more
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                return False
            due = start = mono()
            gate = None

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
