"""The work between reads: finished exchanges are parsed, and the next requests are built, a little per iteration of the loop.

It works for about one millisecond per iteration, so that timestamps stay accurate while responses are parsed. The next requests
are built in the same turns: if a thousand users end at once, their next requests must be ready, because building them then
would delay the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from ..core.types import Exchange
from ..transport.clock import mono

T = TypeVar("T")
BUDGET_NS = 1_000_000
# Where more bytes than so many wait (two thousand streamed responses are about as many), a turn may take longer: little at
# first, as a long turn makes tokens merge, and much where memory is at stake.
PILED_BYTES = 32 << 20
LONG_BODY = 1 << 19  # bytes; some 15 ms of reading
SWITCH_S = 0.0005
COLLECT = 700, 3, 1000
_calm = threading.Lock()
_thresholds: list[tuple[int, int, int]] = []  # found by each level that goes on: the first one's are Python's


class ResponseQueue(Generic[T]):
    """Parses finished exchanges and builds the next requests, a little per iteration of the loop.

    While fewer are ready than should be, two are built for each that is read, though only one was sent for each that ended:
    if the machine is too busy for both, responses wait to be parsed, and the next requests are ready.

    `read` makes of an exchange what `record` takes. One with a body of megabytes, which would hold up every other response
    for as long as it takes to read, is read on a thread beside the loop; `record` is always called on the loop. What waits is
    in memory: where it piles up, on a machine that is too busy, a turn takes longer, so that less is sent and more is read."""

    def __init__(self, read: Callable[[Exchange], T], record: Callable[[T], None], refill: Callable[[], bool]) -> None:
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
        self._loop.run_in_executor(self._aside, _read_safely, self._read, exchange).add_done_callback(
            partial(self._on_read, len(exchange.body))
        )

    def _on_read(self, size: int, reading: asyncio.Future[T]) -> None:
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
def reduced_gc() -> Iterator[None]:
    """Avoids long pauses by the garbage collector: existing objects are left alone (polars and altair, some tens of
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
                gc.collect()  # of new objects; without it Python would soon scan everything, for over a tenth of a second
                gc.set_threshold(*before)
                gc.unfreeze()


def _read_safely(read: Callable[[Exchange], T], exchange: Exchange) -> T:
    """Reads while the loop's thread is let in each half millisecond, because Python's own 5 ms would be in every bound."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        return read(exchange)
    finally:
        sys.setswitchinterval(before)
