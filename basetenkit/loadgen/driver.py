"""One level: sends requests until the count, the time or a stop is reached; no request is lost.

A level is a number of users (closed loop: each sends its next request when its last has ended) or a schedule (open loop).
Measuring may begin when the load has `settled`: in a closed loop when every user's first request has ended, in an open loop
when it has gone on for twice the longest response. `finish` ends a level whose measured requests have all ended.
Every request from the source becomes an Exchange that is passed to `done`, whatever its outcome. The driver uses no dialect and
no file: `done` only queues, and the ResponseQueue processes the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from ..core.reasons import Stop
from ..core.types import Exchange, Failure, Outcome, Request
from ..transport.clock import Poller, mono
from ..transport.http_request import HttpRequest
from ..transport.httpcore_pool import HttpxPool
from ..transport.pool import ConnectBarrier, Pool, SendThrottle
from .opening import is_full, patience, room

Retry = Callable[[Exchange], tuple[float, Request, HttpRequest] | None]
NextTurn = Callable[[Exchange, int], Awaitable[tuple[int, Request, HttpRequest] | None]]
NextRequest = Callable[[], tuple[Request, HttpRequest] | None]
STAGGER_SHARE, WARM_UP_SHARE = 0.1, 0.2  # of a level's time at most
LOOK_S = 0.005  # how often it is looked whether first bytes have come, while users begin
HUNG_AFTER = 5  # times the longest response so far
KEPT_ON = "it kept the load on until every measured request had ended"


class Limit(Protocol):
    """The time of a level: so many seconds, and the stop that is made when they are over."""

    @property
    def seconds(self) -> float: ...

    @property
    def stop(self) -> Stop: ...


class Level:
    """One (scenario, load, level, repeat) while it is being sent."""

    def __init__(
        self,
        pool: Pool | HttpxPool,
        poller: Poller,
        source: NextRequest,
        done: Callable[[Exchange], None],
        *,
        limit: Limit,
        warm_up_most: int = 0,
        retry: Retry = lambda exchange: None,
        next_turn: NextTurn | None = None,
    ) -> None:
        self._pool, self._poller, self._source, self._done, self._retry = pool, poller, source, done, retry
        self._limit, self._next_turn, self._warm_up_most = limit, next_turn, warm_up_most
        self._tasks: set[asyncio.Task[None]] = set()
        self.origin_ns = mono()
        self.sent = self.in_flight = self.peak = self.held_back = 0
        self.stop_reason: Stop | None = None
        self.cut_s: float | None = None
        self.finished = False
        self.full = False  # whether the endpoint was seen to queue requests while users began
        self._room = asyncio.Event()
        self._users = self._longest_ns = 0
        self._opening: list[Exchange] = []
        self._flying: dict[Exchange, int] = {}  # when each was taken up; the first is the oldest
        self._settled = False
        self._first_over = asyncio.Event()

    async def closed_loop(self, users: int, *, staggered: bool = False, few: bool = False) -> None:
        """`users` requests in flight at any time, until the source is dry. `staggered`: the first user begins, and the others
        spread over the time that its first response takes. `few`: users begin a few at a time, as `opening` says."""
        gate, onward = ConnectBarrier(1 if staggered else users), SendThrottle()
        self._users = users
        if staggered:
            await self._run(
                lambda: [self._spawn(self._user(gate, onward, opens=True)), self._spawn(self._others(users, onward))]
            )
        elif few:
            await self._run(lambda: [self._spawn(self._few_at_a_time(users, onward))])
        else:
            await self._run(lambda: [self._spawn(self._user(gate, onward, opens=True)) for _ in range(users)])

    async def _few_at_a_time(self, users: int, onward: SendThrottle) -> None:
        """Begins users as first bytes come; all that are left if the endpoint is full or a tenth of the level's time is over."""
        begun = 0
        while begun < users and not self._ending:
            now, sent = mono(), [x for x in self._opening if x.sent_ns is not None]
            slowest = max((x.reads[0] - (x.sent_ns or 0) for x in sent if x.reads), default=0)
            waits = max((now - (x.sent_ns or 0) for x in sent if not _answered(x)), default=0)
            answered = sum(map(_answered, self._opening))
            waited = slowest > 0 and waits / 1e9 > patience(slowest / 1e9)
            self.full = waited and is_full(answered)
            late = now - self.origin_ns > STAGGER_SHARE * self._limit.seconds * 1e9
            more = min(users if late or waited else room(users, begun - answered), users - begun)
            for _ in range(more):
                self._spawn(self._user(None, onward, opens=True))
            begun += more
            await asyncio.sleep(LOOK_S)

    async def _others(self, users: int, onward: SendThrottle) -> None:
        """Begins all users but the first, at even distances."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first_over.wait(), self._limit.seconds * STAGGER_SHARE)
        spread, began = (mono() - self.origin_ns) / 1e9, mono()
        for n in range(1, users):
            await asyncio.sleep(max(spread * n / users - (mono() - began) / 1e9, 0))
            if self.stop_reason is not None:
                return
            self._spawn(self._user(None, onward, opens=True))

    @property
    def settled(self) -> bool:
        """Whether the load is steady from now on, as far as a cheap test shows."""
        self._settled = self._settled or (self._opening_over if self._users else self._warmed_up)
        return self._settled

    @property
    def _opening_over(self) -> bool:
        """Whether every user's first request has ended; or three requests a user were sent and each first one has had a byte, or
        has had none for long."""
        first = self._opening
        if len(first) < self._users:
            return False
        if all(x.end_ns is not None for x in first):
            return True
        hung = mono() - self.origin_ns > HUNG_AFTER * self._longest_ns > 0
        return self.sent >= 3 * self._users and (hung or all(map(_answered, first)))

    @property
    def _warmed_up(self) -> bool:
        """Whether an open loop has gone on for twice the longest response so far, those in flight among them; at the latest after
        its share of the level's time, or when as many requests were sent as are let."""
        gone, oldest = mono() - self.origin_ns, next(iter(self._flying.values()), None)
        if gone >= WARM_UP_SHARE * self._limit.seconds * 1e9 or self.sent >= self._warm_up_most:
            return True
        longest = max(self._longest_ns, 0 if oldest is None else mono() - oldest)
        return self._longest_ns > 0 and gone >= 2 * longest

    async def open_loop(self, due: Iterator[float], max_in_flight: int | None) -> None:
        """Requests at the times of `due` (s since the start), whatever became of those before."""
        await self._run(lambda: [self._spawn(self._arrive(due, max_in_flight))])

    async def _run(self, begin: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._limit.seconds, self.stop, self._limit.stop)
        begin()
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            timer.cancel()
            for task in self._tasks:
                task.cancel()

    def stop(self, stop: Stop) -> None:
        """Send nothing more and cancel the requests in flight; each of them still becomes an exchange."""
        if self.stop_reason is None and not self.finished:
            self.stop_reason, self.cut_s = stop, (mono() - self.origin_ns) / 1e9
        for task in self._tasks:
            task.cancel()

    def finish(self) -> None:
        """The same, for a level that is complete: the requests still in flight only kept the load steady."""
        self.finished = True
        for task in self._tasks:
            task.cancel()

    @property
    def _ending(self) -> bool:
        return self.finished or self.stop_reason is not None

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task  # type: ignore[no-any-return]

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.set()

    async def _user(self, gate: ConnectBarrier | None, onward: SendThrottle, *, opens: bool) -> None:
        free = mono()
        while not self._ending and (item := self._source()) is not None:
            if not await self._send(*item, due=free, start=mono(), gate=gate, opens=opens):
                return
            gate, opens, free = None, False, mono()
            await onward.enter()
        if gate is not None:  # nothing left to send: nobody needs to wait for this one
            await gate.arrive()

    async def _arrive(self, due: Iterator[float], limit: int | None) -> None:
        for at in due:
            wait = at - (mono() - self.origin_ns) / 1e9
            if wait > 0:
                await asyncio.sleep(wait)
            if self._ending or (item := self._source()) is None:
                return
            full = limit is not None and len(self._tasks) > limit  # this schedule is a task, too
            self.held_back += full
            while limit is not None and len(self._tasks) > limit:
                self._room.clear()
                await self._room.wait()
            self._spawn(self._send(*item, due=self.origin_ns + int(at * 1e9), start=mono()))

    async def _send(
        self,
        request: Request,
        message: HttpRequest,
        *,
        due: int,
        start: int,
        gate: ConnectBarrier | None = None,
        opens: bool = False,
    ) -> bool:
        """Sends one request, again if `retry` says so, and then what `next_turn` says; False if the level was stopped. `opens`:
        whether it is a user's first."""
        while True:
            exchange = await self._once(request, message, due=due, start=start, gate=gate, opens=opens)
            more = self._retry(exchange) if exchange is not None and not self._ending else None
            if exchange is None or (more is None and (self._next_turn is None or self._ending)):
                return exchange is not None
            try:
                following = await (self._turn_after(exchange) if more is None else self._after_pause(*more))
            except asyncio.CancelledError:
                return False
            if following is None:
                return True
            (due, request, message), start, gate, opens = following, mono(), None, False

    async def _turn_after(self, exchange: Exchange) -> tuple[int, Request, HttpRequest] | None:
        return None if self._next_turn is None else await self._next_turn(exchange, self.origin_ns)

    @staticmethod
    async def _after_pause(seconds: float, request: Request, message: HttpRequest) -> tuple[int, Request, HttpRequest]:
        await asyncio.sleep(seconds)
        return mono(), request, message

    async def _once(
        self, request: Request, message: HttpRequest, *, due: int, start: int, gate: ConnectBarrier | None, opens: bool
    ) -> Exchange | None:
        """One try; hands its exchange on, and gives it back unless the level was stopped meanwhile."""
        exchange = Exchange(request, scheduled_ns=due, start_ns=start)
        self.sent += 1
        self.in_flight += 1
        self._flying[exchange] = start
        if opens:
            self._opening.append(exchange)
        self.peak = max(self.peak, self.in_flight)
        try:
            await self._pool.exchange(exchange, message, gate)
        except asyncio.CancelledError:
            why = KEPT_ON if self.finished else self.stop_reason or "the run was cancelled"
            sentence = f"the request was in flight when the level ended: {why}"
            exchange.failure = Failure(Outcome.CANCELLED, sentence)
            exchange.end_ns = exchange.end_ns or mono()
            return None
        finally:
            self.in_flight -= 1
            del self._flying[exchange]
            if exchange.end_ns is not None and exchange.failure is None:
                self._longest_ns = max(self._longest_ns, exchange.end_ns - start)
            self._first_over.set()
            self._done(exchange)
        return exchange


def _answered(exchange: Exchange) -> bool:
    """Whether a request has had a byte of its response's body, or is over."""
    return bool(exchange.reads) or exchange.end_ns is not None
