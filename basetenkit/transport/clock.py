"""Timestamps of the OS kernel, two clocks, and the error bound of each arrival.

Linux timestamps a TCP segment when it arrives (SO_TIMESTAMPNS), on CLOCK_REALTIME. A client that reads this timestamp has the
arrival time of a token, however late its own loop is. What a timestamp proves depends on the other bytes of the read:

- If the bytes of an event end the read, it came exactly at the timestamp, which is that of the last segment in the read.
- Any other event of the read came between `earliest` and the timestamp. `earliest` is the latest of three moments: the start of
  the poll *before* the one that reported this read (that poll would have reported earlier data), the moment at which this
  connection was last read until it was empty, and the send.

So if a first token is read before the next one comes, its time is exact. Therefore first tokens are read first: see Poller.

A time read after a poll returns proves nothing about that poll, because the process can be suspended in between. So the Poller
records the time before each poll, and keeps the last two. While requests are in flight it wakes each millisecond, which keeps
bounds small even if little data arrives.

Without timestamps of the OS kernel (macOS, Windows, sandboxes) the interval is [earliest, read] for every event.
"""

from __future__ import annotations

import select
import selectors
import socket
import struct
import sys
import time
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from select import epoll

    from _typeshed import FileDescriptorLike

mono = time.monotonic_ns

# Python's socket module has no name for it; 35 is its number on x86-64, arm64 and most other architectures.
SO_TIMESTAMPNS = 35
ANCILLARY_BYTES = 64
TICK_S = 0.001
SLICE = 64  # reads a turn: about a millisecond
Ready = list[tuple[selectors.SelectorKey, int]]
# Beyond this a moved offset is a step of the wall clock; the measurement itself repeats to well under it.
STEP_NS = 50_000
# A timestamp this far before `earliest` is not late queueing but a segment that filled a gap.
DISORDER_NS = 50_000

_STAMP = struct.Struct("qq")
_TCP_INFO_BYTES = 228
_RTT_US, _TOTAL_RETRANS, _BYTES_ACKED, _RCV_OOOPACK = 68, 100, 120, 224


class Poller(selectors.DefaultSelector):
    """The loop's selector, which notes when the last three polls began and when the last one returned (ns, monotonic).

    When many sockets are ready, at most SLICE are returned per loop iteration, before each slice those that became ready of the
    hastened: a response whose first token is awaited is read while others wait their turn, as that token would merge with
    the next one. What else is ready is older than any later poll, so `previous` stays that of the poll that reported it;
    `prev_priority_poll` is its like for the hastened, which each turn looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.before_previous = self.previous = self.began = self.returned = self.prev_priority_poll = 0
        self.in_flight = 0
        self._ahead = select.epoll() if hasattr(select, "epoll") else None
        self._hastened: set[int] = set()
        self._waiting: Ready = []
        self._looked = 0

    def begin(self) -> None:
        """One more response is awaited: the loop looks at its sockets more often."""
        self.in_flight += 1

    def end(self) -> None:
        """A response that was awaited is over."""
        self.in_flight -= 1

    def prioritize(self, fd: int) -> None:
        """From now on a registered `fd` is handed out before others; until `relax`, which must come before it is closed."""
        if self._ahead is not None:
            self._hastened.add(fd)
            self._ahead.register(fd, select.EPOLLIN)

    def deprioritize(self, fd: int) -> None:
        if self._ahead is not None:
            self._hastened.discard(fd)
            self._ahead.unregister(fd)

    def select(self, timeout: float | None = None) -> Ready:
        self.prev_priority_poll, self._looked = self._looked, mono()
        if self._waiting and self._ahead is not None:
            ready = self._poll_priority(self._ahead)
        else:
            if self.in_flight:
                timeout = TICK_S if timeout is None or timeout > TICK_S else timeout
            self.before_previous, self.previous, self.began = self.previous, self.began, self._looked
            ready = super().select(timeout)
            if len(ready) > SLICE and self._ahead is not None:
                ready = self._divide(ready)
        self.returned = mono()
        return ready

    def _divide(self, ready: Ready) -> Ready:
        """The first slice of what a poll found; the rest waits."""
        hastened = self._hastened
        ahead = [event for event in ready if event[0].fd in hastened]
        if ahead:
            ready = [event for event in ready if event[0].fd not in hastened]
        self._waiting = ready[SLICE:]
        return ahead + ready[:SLICE]

    def _poll_priority(self, priority: epoll) -> Ready:
        """The sockets that wait for their first token and are ready, and the next slice of the others."""
        many = max(1, len(self._hastened))  # all of them: a socket that is not found was not ready
        ahead = [(self.get_key(fd), selectors.EVENT_READ) for fd, _ in priority.poll(0, many)]
        ready, self._waiting = self._waiting[:SLICE], self._waiting[SLICE:]
        return ahead + ready

    @property
    def behind_s(self) -> float:
        """How long ago the oldest of what waits to be handed out was found ready, s."""
        return (mono() - self.began) / 1e9 if self._waiting else 0.0

    def modify(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        key = super().modify(fileobj, events, data)
        if self._waiting:
            self._waiting = [
                (key, mask & key.events) if old.fd == key.fd else (old, mask) for old, mask in self._waiting
            ]
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        if self._waiting:  # its number may soon be another's
            self._waiting = [event for event in self._waiting if event[0].fd != key.fd]
        return key

    def close(self) -> None:
        super().close()
        if self._ahead is not None:
            self._ahead.close()


class NoPoller:
    """Stands in where the loop is somebody else's and its polls are not noted: bounds then rest on the reads alone."""

    before_previous = 0
    previous = 0
    returned = 0
    prev_priority_poll = 0

    def begin(self) -> None:
        """Nothing: whose loop it is decides how often it looks."""

    end = begin

    def prioritize(self, fd: int) -> None:
        """Does nothing: the owner of the loop decides what is read first."""

    deprioritize = prioritize


class WallClock:
    """The offset from CLOCK_MONOTONIC to CLOCK_REALTIME, measured again each second. Slewing moves both clocks alike; only
    a step moves the offset. `steps` holds (when, by how much), both ns."""

    def __init__(self) -> None:
        _keep_stamping()
        self.offset = measure_offset()
        self.steps: list[tuple[int, int]] = []

    def refresh(self) -> bool:
        """Measures anew; True if the wall clock was stepped since."""
        offset = measure_offset()
        if abs(offset - self.offset) <= STEP_NS:
            return False
        self.steps.append((mono(), offset - self.offset))
        self.offset = offset
        return True


@cache
def _keep_stamping() -> None:
    """Opens one socket that asks for stamps, for as long as the process lives: the OS kernel begins to timestamp shortly after the
    first such socket is there, and stops with the last."""
    keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    enable_stamps(keeper)
    keeper.detach()


def measure_offset(tries: int = 50) -> int:
    """CLOCK_REALTIME - CLOCK_MONOTONIC in ns: the narrowest of `tries` sandwiches of three clock reads."""
    best, offset = 1 << 62, 0
    for _ in range(tries):
        a, wall, b = mono(), time.time_ns(), mono()
        if b - a < best:
            best, offset = b - a, wall - (a + b) // 2
    return offset


def enable_stamps(sock: socket.socket) -> bool:
    """Ask the OS kernel to timestamp the data that this socket receives. False if it cannot."""
    if not sys.platform.startswith("linux") or not hasattr(sock, "recvmsg_into"):
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


@cache
def stamps_here() -> bool:
    """Whether this system stamps what a socket receives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return enable_stamps(sock)


def stamp_of(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    """The OS kernel's timestamp in a read's ancillary data, ns on CLOCK_REALTIME; 0 if there is none."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= _STAMP.size:
            seconds: int
            nanoseconds: int
            seconds, nanoseconds = _STAMP.unpack_from(data)
            return seconds * 1_000_000_000 + nanoseconds
    return 0


def tcp_info(sock: socket.socket) -> tuple[int, int, int, int] | None:
    """(smoothed round trip in ns, segments sent again, segments received out of order, bytes that the peer acknowledged) of a
    connection, or None if the system does not say. Offsets are those of Linux's
    `struct tcp_info`; `rcv_ooopack` came with Linux 5.4."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return None

    def u32(at: int) -> int:
        return int.from_bytes(info[at : at + 4], sys.byteorder)

    acked = int.from_bytes(info[_BYTES_ACKED : _BYTES_ACKED + 8], sys.byteorder)
    return u32(_RTT_US) * 1000, u32(_TOTAL_RETRANS), u32(_RCV_OOOPACK), acked
