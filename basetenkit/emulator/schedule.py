"""When the embedded endpoint does what: one heap of due times for all its streams.

A timer of asyncio's for each token costs several times what writing it does, since its timers are compared by Python code.
Here one timer serves the whole heap, whose entries are compared as tuples. What can be done at any time (counting a
prompt) is done in the pauses: short work as soon as nothing is overdue, longer work when it delays no token.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable

from .fine_timer import FineTimer
from .words import WordCounts

Step = Callable[[], float | None]
TURN_S = 0.001
SHORT_S = 0.0005


class Schedule:
    """Calls each step when it is due, in the order of their times; a step gives the time it is due again, or None. Times are
    time.monotonic() seconds, which is also the clock of asyncio's loops."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._heap: list[tuple[float, int, Step]] = []
        self._order = itertools.count()
        self._spare: deque[WordCounts] = deque()
        self._timer = FineTimer(loop, self._turn)
        self._wakes_at = float("inf")

    def at(self, when: float, step: Step) -> None:
        """Calls `step` at `when`, or as soon as may be after it."""
        heapq.heappush(self._heap, (when, next(self._order), step))
        self._wake(when)

    def spare(self, tally: WordCounts) -> None:
        """Counts `tally` in a pause: one that is long enough, or for a short text any."""
        self._spare.append(tally)
        self._wake(time.monotonic())

    def stop(self) -> None:
        """Nothing more is called."""
        self._heap.clear()
        self._spare.clear()
        self._timer.close()

    def _wake(self, when: float) -> None:
        if when < self._wakes_at:
            self._timer.set(when)
            self._wakes_at = when

    def _turn(self) -> None:
        """Do the due work, for a millisecond at most; then read the sockets, so that no request waits."""
        try:
            self._do_what_is_due()
        finally:
            self._wakes_at = float("inf")
            if self._heap:
                self._wake(self._heap[0][0])
            if self._spare and self._has_room(now := time.monotonic()):
                self._wake(now)

    def _do_what_is_due(self) -> None:
        heap, now = self._heap, time.monotonic()
        until = now + TURN_S
        while heap and heap[0][0] <= now < until:
            _, order, step = heapq.heappop(heap)
            again = step()
            if again is not None:
                heapq.heappush(heap, (again, order, step))
            now = time.monotonic()
        if self._spare and self._has_room(now):
            self._spare.popleft()()

    def _has_room(self, now: float) -> bool:
        effort = self._spare[0].effort
        return not self._heap or self._heap[0][0] - now > (effort if effort > SHORT_S else 0.0)
