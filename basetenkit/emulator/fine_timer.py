"""A timer that wakes an event loop to the microsecond.

asyncio rounds each wait up to a whole millisecond, since that is what epoll takes. Tokens would then leave at whole milliseconds
after a wake, and a histogram of the gaps between them would be a comb. On Linux a timerfd is exact, and costs one system call
per wake; elsewhere the loop's own timer serves.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable

_MONOTONIC, _NONBLOCK, _CLOEXEC, _ABSOLUTE = 1, 0o4000, 0o2000000, 1
_NS = 1_000_000_000


class _Spec(ctypes.Structure):
    """struct itimerspec: the interval, and the first time; each in s and ns."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")]


class FineTimer:
    """Calls `call` on `loop` once at the time last given to `set`; times are time.monotonic() seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop, self._call = loop, call
        self._handle: asyncio.Handle | None = None
        self._spec, self._file, self._armed = _Spec(), -1, False
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None)
            self._file = self._libc.timerfd_create(_MONOTONIC, _NONBLOCK | _CLOEXEC)
        if self._file >= 0:
            loop.add_reader(self._file, self._fired)

    def set(self, when: float) -> None:
        """Wakes at `when`, and no longer at a time given before; at once if it is past."""
        if self._file >= 0:
            # Setting it again also makes it unreadable, so it need not be read.
            self._armed = True
            self._arm(*divmod(max(int(when * _NS), 1), _NS))
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(when, self._call)

    def cancel(self) -> None:
        """Wakes no more, until it is set again."""
        if self._file >= 0:
            self._arm(0, 0)
        elif self._handle is not None:
            self._handle.cancel()

    def close(self) -> None:
        self.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _arm(self, seconds: int, ns: int) -> None:
        self._spec.first_s, self._spec.first_ns = seconds, ns
        self._libc.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(self._spec), None)

    def _fired(self) -> None:
        self._armed = False
        self._call()
        if not self._armed and self._file >= 0:
            self._arm(0, 0)
