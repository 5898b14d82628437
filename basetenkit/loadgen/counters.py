"""Counts over all senders of a level: requests taken, tokens spent, requests that ended and that succeeded, bytes saved.

A single sender counts in its own memory. Several processes count in one small file that all of them map. So the number of
requests, the limit on tokens and `abort_after_failures` are exact over all of them, and no process has to ask the notebook
kernel, which may be busy. The number of the next request, which several processes write, is changed under the file's lock,
which the system releases when a process dies; all other values have one writer and are only summed. The file also records which
process took which request, and in which phase: if a process is lost, it shows which requests are lost with it.

A request gets its number and its phase when it is sent. With `steady`, there are requests before and after the measured ones:
first "ramp", until the sender reports a steady load, and after the last measured one "cooldown", until every measured one has
ended. In an open loop the number is the arrival's place in the schedule, and the first measured place is the same for all
senders.

The lengths and the entry of a request are its draw. The level has one order of draws, and part p of P senders has every P-th
draw from p on. In a closed loop a fast sender may send more requests than its part of the draws; it then takes draws from the
end of the sender that has the most left. So the requests of a level are the same, however many each process sends.

On several machines, which share no file, each sender counts its own part of a level: `apart_counters`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .stop_conditions import TokenLimit

NO_LIMIT = TokenLimit()
PHASES = WARMUP, RAMP, MEASURED, COOLDOWN = ("warmup", "ramp", "measured", "cooldown")
_TAKEN, _REACHED, _WARMUP, GOAL, _STEADY, _SCHEDULED, _MEASURED, _FIRST, _ACTIVE, _COMMON = range(10)
_TOKENS, _ENDED, _OK, _KEPT, _OWN_MEASURED, _OWN_OVER, _DRY, _DRAWN, _HANDED_OVER, _OWN = range(10)
_WORD, _OWNER = 8, 2
_PHASE_SHIFT, _PART_MASK = 12, 0xFFF
OWNED = 1 << 24  # requests of a level whose sender is kept: the file is sparse and takes only the part that is used
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Quota:
    """The requests of a level: `warmup` of them first, then `measured`; `steady`: with load before and after those;
    `scheduled`: an open loop, whose arrivals number them."""

    measured: int
    warmup: int = 0
    steady: bool = False
    scheduled: bool = False

    @property
    def total(self) -> int:
        """Without the load before and after."""
        return self.warmup + self.measured


class SharedCounters:
    """The counts of one sender (`part` of `parts`), within those of all. By itself it is alone and counts in memory."""

    def __init__(self, part: int = 0, parts: int = 1, path: Path | None = None) -> None:
        self._parts, self._path, self._handle = parts, path, -1
        words = _COMMON + _OWN * parts
        buffer: bytearray | mmap.mmap = bytearray(words * _WORD)
        self._owners: NDArray[np.uint16] | None = None
        if path is not None:
            self._handle = os.open(path, os.O_RDWR)
            buffer = mmap.mmap(self._handle, 0)
            self._owners = np.frombuffer(buffer, np.uint16, offset=words * _WORD)
        self._words: NDArray[np.int64] = np.frombuffer(buffer, np.int64, words)
        self._part, self._own = part, _COMMON + _OWN * part

    @classmethod
    def shared(cls, parts: int) -> SharedCounters:
        """A new file for `parts` senders, readable by this user alone; `close(remove=True)` ends it."""
        handle, name = tempfile.mkstemp(prefix="basetenkit-tally-")
        os.truncate(handle, (_COMMON + _OWN * parts) * _WORD + OWNED * _OWNER)
        os.close(handle)
        return cls(parts=parts, path=Path(name))

    @property
    def path(self) -> Path:
        """The file of counters that several processes share. ValueError for those of one process, which have none."""
        if self._path is None:
            raise ValueError("these counters are of one process, and in no file")
        return self._path

    def close(self, remove: bool = False) -> None:
        self._words, self._owners = np.zeros(0, np.int64), None
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        if remove and self._path is not None:
            self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if self._handle < 0:
            yield
            return
        import fcntl

        fcntl.flock(self._handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def begin(self, quota: Quota, parts: int | None = None) -> None:
        """A new level: nothing is taken or ended yet; `parts` of the senders have a part in it. Tokens spent and bytes kept are
        the run's and go on. By one, before all."""
        words = self._words
        if self._owners is not None:
            self._owners[: self.taken] = 0
        words[_TAKEN] = words[_REACHED] = words[_MEASURED] = 0
        words[_WARMUP], words[GOAL] = quota.warmup, quota.measured
        words[_STEADY], words[_SCHEDULED] = quota.steady, quota.scheduled
        words[_FIRST] = UNKNOWN if quota.steady else quota.warmup
        words[_ACTIVE] = self._parts if parts is None else min(parts, self._parts)
        for part in range(self._parts):
            own = _COMMON + _OWN * part
            for word in (_ENDED, _OK, _OWN_MEASURED, _OWN_OVER, _DRAWN, _HANDED_OVER):
                words[own + word] = 0
            words[own + _DRY] = parts is not None and part >= parts

    def _phase(self, number: int, settled: bool) -> tuple[str | None, int]:
        """(the phase of the request under `number`, how many of that phase are left); None if nothing more is to be sent."""
        words = self._words
        scheduled, steady, warmup = bool(words[_SCHEDULED]), bool(words[_STEADY]), int(words[_WARMUP])
        if number < warmup:
            return WARMUP, warmup - number
        if words[_FIRST] == UNKNOWN and settled:
            words[_FIRST] = max(number, self.taken, warmup)
        if words[_FIRST] == UNKNOWN or (scheduled and number < words[_FIRST]):
            return RAMP, OWNED
        left = int(words[GOAL]) - int(number - words[_FIRST] if scheduled else words[_MEASURED])
        if left > 0:
            return MEASURED, left
        words[self._own + _DRY] = 1
        return (COOLDOWN, OWNED) if steady and not self.measured_over else (None, 0)

    def _count_measured(self, count: int, stop: int) -> None:
        words = self._words
        words[_MEASURED] = max(self.measured, stop - int(words[_FIRST])) if words[_SCHEDULED] else self.measured + count
        words[self._own + _OWN_MEASURED] += count

    def reserve(self, count: int, at: int | None = None, settled: bool = True) -> tuple[range, str] | None:
        """The numbers of the next `count` requests, or of as many as are left, and their phase; None if none is left. `at`: the
        first number, where a schedule says it. Of a conversation that begins in the warm-up the rest is measured."""
        with self._locked():
            first, warmup = self.taken if at is None else at, int(self._words[_WARMUP])
            phase, left = self._phase(first, settled)
            if phase is None:
                return None
            if phase == WARMUP:
                left += self.goal
            numbers = range(first, first + min(count, left))
            measured = max(numbers.stop - max(first, warmup), 0) if phase in (WARMUP, MEASURED) else 0
            if measured:
                if self._words[_FIRST] == UNKNOWN:
                    self._words[_FIRST] = warmup
                self._count_measured(measured, numbers.stop)
            self._words[_TAKEN] = max(self.taken, numbers.stop)
        return numbers, MEASURED if phase == WARMUP else phase

    def take(
        self, promised: int = 0, limit: TokenLimit = NO_LIMIT, at: int | None = None, settled: bool = True
    ) -> tuple[int, str] | None:
        """The number of the next request (`at` where a schedule says it) and its phase; None if none is left, or if
        `promised` more tokens would pass `limit`. `settled`: whether the load has settled, so that measuring may begin."""
        with self._locked():
            if limit.forbids(promised, self):
                self._words[_REACHED] = 1
                return None
            number = self.taken if at is None else at
            phase, _ = self._phase(number, settled)
            if phase is None:
                return None
            self._words[_TAKEN] = max(self.taken, number + 1)
            if phase == MEASURED:
                self._count_measured(1, number + 1)
            self.spend(promised)
            self._own_it(number, phase)
        return number, phase

    def take_reserved(self, number: int, phase: str, promised: int = 0, limit: TokenLimit = NO_LIMIT) -> bool:
        """Whether the request under a number that was reserved may go, its tokens promised; False if `limit` forbids it."""
        with self._locked():
            if limit.forbids(promised, self):
                self._words[_REACHED] = 1
                return False
            self.spend(promised)
            self._own_it(number, phase)
        return True

    def draw(self) -> int | None:
        """Which draw of the level's order the request taken last is: None for the sender's own next one, else the number of one
        that it takes over from another sender. For a closed loop, once for each request that is not of the load around."""
        active = int(self._words[_ACTIVE])
        if active < 2:
            return None
        with self._locked():
            left = [self._draws_left(part, active) for part in range(active)]
            if self._part < active and left[self._part] > 0:
                self._words[self._own + _DRAWN] += 1
                return None
            most = int(np.argmax(left))
            if left[most] <= 0:
                return None
            own = _COMMON + _OWN * most
            self._words[own + _HANDED_OVER] += 1
            return most + (left[most] - 1 + int(self._words[own + _DRAWN])) * active

    def _draws_left(self, part: int, active: int) -> int:
        words, own = self._words, _COMMON + _OWN * part
        total = int(words[_WARMUP] + words[GOAL])
        return share(total, active, part) - int(words[own + _DRAWN]) - int(words[own + _HANDED_OVER])

    def _own_it(self, number: int, phase: str) -> None:
        if self._owners is not None and number < OWNED:
            self._owners[number] = (self._part + 1) | PHASES.index(phase) << _PHASE_SHIFT

    def over(self, measured: int = 1) -> None:
        """So many of this sender's measured requests have ended, or will never be sent."""
        self._words[self._own + _OWN_OVER] += measured

    def forget(self, part: int) -> None:
        """Nothing of a lost sender is waited for. By one who outlives it."""
        own = _COMMON + _OWN * part
        self._words[own + _OWN_OVER] = self._words[own + _OWN_MEASURED]
        self._words[own + _DRY] = 1

    def enough(self) -> None:
        """The measured requests taken so far are all that the level is to have."""
        with self._locked():
            self._words[GOAL] = self._words[_MEASURED]

    @property
    def goal(self) -> int:
        """Measured requests that the level is to have."""
        return int(self._words[GOAL])

    @property
    def warmup(self) -> int:
        """Requests of the warm-up that the level is to have."""
        return int(self._words[_WARMUP])

    @property
    def first(self) -> int:
        """The number of the first measured request; -1 before there is one."""
        return int(self._words[_FIRST])

    def place(self, number: int) -> int:
        """The number in the level of the request that is counted here as `number`."""
        return number

    @property
    def numbered_by_schedule(self) -> bool:
        """Whether the numbers of an open loop's requests are places in its schedule."""
        return True

    @property
    def measured(self) -> int:
        """Measured requests taken, over all."""
        return int(self._words[_MEASURED])

    @property
    def measured_over(self) -> bool:
        """Whether every measured request of the level was taken and has ended."""
        taken = self._sum(_DRY) >= self._parts if self._words[_SCHEDULED] else self.measured >= self.goal
        return bool(taken and self._sum(_OWN_OVER) >= self._sum(_OWN_MEASURED))

    def spend(self, tokens: int) -> None:
        """Adds tokens that were taken; less than 0 gives back what was promised and not taken."""
        self._words[self._own + _TOKENS] += tokens

    def ended(self, ok: bool) -> None:
        self._words[self._own + _ENDED] += 1
        self._words[self._own + _OK] += ok

    def keep(self, size: int, limit: int) -> bool:
        """Whether `size` more bytes may be kept; then they are counted."""
        with self._locked():
            if self._sum(_KEPT) + size > limit:
                return False
            self._words[self._own + _KEPT] += size
        return True

    def _sum(self, which: int) -> int:
        return int(self._words[_COMMON + which :: _OWN].sum())

    @property
    def taken(self) -> int:
        """Numbers given so far, over all; in an open loop the highest one and 1."""
        return int(self._words[_TAKEN])

    @property
    def reached(self) -> bool:
        """Whether the guard on tokens held a request of this level back."""
        return bool(self._words[_REACHED])

    @property
    def tokens(self) -> int:
        return self._sum(_TOKENS)

    @property
    def finished(self) -> int:
        return self._sum(_ENDED)

    @property
    def successes(self) -> int:
        return self._sum(_OK)

    def owned_by(self, part: int) -> tuple[NDArray[np.int64], list[str]]:
        """The numbers of the requests that `part` took in this level, ascending, and their phases; none where one counts alone."""
        if self._owners is None:
            return np.zeros(0, np.int64), []
        used = self._owners[: self.taken]
        numbers = np.flatnonzero((used & _PART_MASK) == part + 1)
        return numbers, [PHASES[int(used[n]) >> _PHASE_SHIFT] for n in numbers]


def share(total: int, parts: int, part: int) -> int:
    """The part of `total` that falls to one of `parts`: whole, as even as can be, adding up exactly."""
    return total // parts + (part < total % parts)
