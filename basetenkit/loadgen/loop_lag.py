"""The lag of an event loop: how late it runs a timer that is due every hundredth of a second.

Anything that delays the loop (a backlog of reads, another thread that holds the interpreter, a machine with too few processors)
delays the timer in the same way as a token. Sockets that are ready and wait for their part of an iteration are late, too. Polls
are rounded up to a whole millisecond, so an idle loop has a lag of up to about one.
"""

from __future__ import annotations

import asyncio
import time
from array import array

import numpy as np

from ..transport.clock import Poller

EVERY_S = 0.010


class LoopLag:
    """Measures from `start` to `stop`, on the running loop; beside it, the CPU time that this process takes. `poller`: that
    loop's, if it has one of ours."""

    def __init__(self, poller: Poller | None = None) -> None:
        self._poller = poller
        self._late = array("d")
        self._timer: asyncio.TimerHandle | None = None
        self._began = self._cpu = self._over = self._spent = 0.0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._late = array("d")
        self._began, self._cpu = time.monotonic(), time.process_time()
        self._arm()

    @property
    def running(self) -> bool:
        return self._timer is not None

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._over, self._spent = time.monotonic() - self._began, time.process_time() - self._cpu

    def _arm(self) -> None:
        self._due = self._loop.time() + EVERY_S
        self._timer = self._loop.call_at(self._due, self._note)

    def _note(self) -> None:
        waiting = 0.0 if self._poller is None else self._poller.behind_s
        self._late.append(max(self._loop.time() - self._due, waiting))
        self._arm()

    @property
    def p99_s(self) -> float | None:
        """The 99th percentile of the lateness, s; None if the loop came to no timer at all."""
        return float(np.quantile(np.frombuffer(self._late), 0.99)) if self._late else None

    @property
    def cpu_share(self) -> float | None:
        """CPU seconds of this process (all its threads) a second; None if no time has passed."""
        return self._spent / self._over if self._over > 0 else None
