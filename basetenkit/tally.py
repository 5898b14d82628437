"""What is counted over all who send a level: requests taken, tokens spent, how many ended and how many well, bytes kept.

One sender counts in its own memory. Several processes count in one small file that all of them map: so a level's count, its
guard on tokens and `give_up_after` hold exactly over all of them, and nobody has to ask a notebook's kernel, which may be
busy. What several write (the next request's number) is changed under the file's lock, which goes with a process that dies;
all else has one writer and is only summed. The file also keeps who took which request: when a process is lost, that tells
which requests are lost with it.

Past one machine the same five questions would go to a scheduler that leases numbers in batches; nobody else knows this file.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_TAKEN, _REACHED, _COMMON = 0, 1, 8
_TOKENS, _ENDED, _OK, _KEPT, _OWN = 0, 1, 2, 3, 8
_WORD = 8


class Tally:
    """The counts of one sender (`part` of `parts`), within those of all. By itself it is alone and counts in memory."""

    def __init__(self, part: int = 0, parts: int = 1, path: Path | None = None) -> None:
        self._parts, self._path, self._handle = parts, path, -1
        words = _COMMON + _OWN * parts
        buffer: Any = bytearray(words * _WORD)
        self._owners: Any = None
        if path is not None:
            self._handle = os.open(path, os.O_RDWR)
            buffer = mmap.mmap(self._handle, 0)
            self._owners = np.frombuffer(buffer, np.uint8, offset=words * _WORD)
        self._words: Any = np.frombuffer(buffer, np.int64, words)
        self._part, self._own = part, _COMMON + _OWN * part

    @classmethod
    def shared(cls, parts: int, total: int) -> Tally:
        """A new file for `parts` senders of `total` requests a level, readable by this user alone; `close(remove=True)` ends it."""
        handle, name = tempfile.mkstemp(prefix="basetenkit-tally-")
        os.truncate(handle, (_COMMON + _OWN * parts) * _WORD + total)  # sparse: it takes what is used of it
        os.close(handle)
        return cls(parts=parts, path=Path(name))

    @property
    def path(self) -> Path | None:
        return self._path

    def close(self, remove: bool = False) -> None:
        self._words, self._owners = None, None
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

    def begin(self) -> None:
        """A new level: nothing is taken or ended yet. Tokens spent and bytes kept are the run's and go on. By one, before all."""
        self._words[_TAKEN] = self._words[_REACHED] = 0
        for part in range(self._parts):
            at = _COMMON + _OWN * part
            self._words[at + _ENDED] = self._words[at + _OK] = 0
        if self._owners is not None:
            self._owners[self._owners.nonzero()] = 0

    def reserve(self, total: int, count: int) -> int | None:
        """The first of the next `count` numbers, or of as many as are left of `total`; None where none is."""
        with self._locked():
            number = int(self._words[_TAKEN])
            self._words[_TAKEN] = min(number + count, total)
        return number if number < total else None

    def take(
        self,
        total: int,
        promised: int = 0,
        limit: int | None = None,
        at: int | None = None,
        *,
        reserved: bool = False,
    ) -> int | None:
        """The number of the next request, or `at` where the schedule says which it is. None where all `total` are taken, or
        where `promised` more tokens would pass `limit`. `reserved`: `at` was counted before."""
        with self._locked():
            number = int(self._words[_TAKEN]) if at is None else at
            if number >= total:
                return None
            if limit is not None and self.tokens + promised > limit:
                self._words[_REACHED] = 1
                return None
            self._words[_TAKEN] += not reserved
            self.spend(promised)
            if self._owners is not None:
                self._owners[number] = self._part + 1
        return number

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

    def owned_by(self, part: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The numbers of the requests that `part` took in this level, ascending; none where one counts alone."""
        if self._owners is None:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self._owners == part + 1)


def share(total: int, parts: int, part: int) -> int:
    """The part of `total` that falls to one of `parts`: whole, as even as can be, adding up exactly."""
    return total // parts + (part < total % parts)
