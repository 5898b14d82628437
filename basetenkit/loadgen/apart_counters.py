"""The counts of a sender on another machine, which shares no file with the other senders of its level.

A level is divided before it starts: each sender has its part of the measured requests and of the warm-up, and no request waits
for the network. In a closed loop a sender that is slower than the others hands requests over while the level runs: the leader
asks it for some (`hand_over`) and gives them to a faster one (`receive`), early enough that neither runs out. The draws of
requests are handed over, so the requests of a level are the same, however many each sender sends.

Request numbers are unique over all senders: the n-th of part p of P has the number n P + p, which in an open loop is its
place in the schedule. Only the leader knows when the measured requests of all senders have ended, and tells them.
Conversations of an open loop have their places from the one plan, and keep them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .counters import COOLDOWN, GOAL, MEASURED, RAMP, UNKNOWN, WARMUP, Quota, SharedCounters, share


def part_of(quota: Quota, part: int, parts: int, planned_places: bool) -> Quota:
    """One sender's part of the requests of a level. `planned_places`: a plan of all senders numbers them, so that the part follows
    from the numbers."""
    if planned_places:
        return quota
    return Quota(share(quota.measured, parts, part), share(quota.warmup, parts, part), quota.steady)


@dataclass(frozen=True, slots=True)
class Taken:
    """Which numbers a sender has given to requests so far: `taken` of its own, of which the first `warmup` are the warm-up and
    `measured` from `first` on are measured (`first` -1: none yet)."""

    taken: int = 0
    warmup: int = 0
    first: int = UNKNOWN
    measured: int = 0

    def phases(self) -> list[str]:
        """The phase of each, in the order of its numbers."""
        return [self._phase(number) for number in range(self.taken)]

    def _phase(self, number: int) -> str:
        if number < self.warmup:
            return WARMUP
        if self.first == UNKNOWN or number < self.first:
            return RAMP
        return MEASURED if number < self.first + self.measured else COOLDOWN


class ApartCounters(SharedCounters):
    """The counts of part `part` of `parts`, in memory. `all_over`: whether the measured requests of all senders have ended, as who
    leads them says."""

    def __init__(self, part: int, parts: int) -> None:
        super().__init__()
        self._place, self._places, self._planned = part, parts, False
        self.all_over = False
        self._senders = parts
        self._share = self._used = self._handed = 0
        self._received: deque[int] = deque()

    def begin(self, quota: Quota, parts: int | None = None) -> None:
        """A new level, of which `quota` is this sender's part; `parts` senders have one (None: all)."""
        super().begin(quota)
        self.all_over, self._planned = False, quota.scheduled
        self._senders, self._share = self._places if parts is None else parts, quota.total
        self._used = self._handed = 0
        self._received.clear()

    @property
    def left(self) -> int:
        """Measured requests of this sender that have not been taken."""
        return self.goal - self.measured

    def draw(self) -> int | None:
        """None if the next request is this sender's own next draw, else the number of a draw that it received from another one."""
        if self._used + self._handed < self._share:
            self._used += 1
            return None
        return self._received.popleft() if self._received else None

    def hand_over(self, most: int) -> list[int]:
        """Gives away up to `most` of the measured requests that have not been taken, the last ones first, and keeps at least one:
        the numbers of their draws in the level. For a closed loop of single requests."""
        count = max(min(most, self.left - 1, self._share - self._used - self._handed), 0)
        first = self._share - self._handed - count
        self._handed += count
        self._words[GOAL] -= count
        return [self._place + n * self._senders for n in range(first, first + count)]

    def receive(self, draws: Sequence[int]) -> bool:
        """Takes over requests that another sender handed over. False, and nothing is taken over, if this sender has no request
        left: its users have ended."""
        if self.left <= 0:
            return False
        self._received.extend(draws)
        self._words[GOAL] += len(draws)
        return True

    def place(self, number: int) -> int:
        return number if self._planned else number * self._places + self._place

    @property
    def numbered_by_schedule(self) -> bool:
        return self._planned

    @property
    def own_over(self) -> bool:
        """Whether every measured request of this sender was taken and has ended."""
        return super().measured_over

    @property
    def measured_over(self) -> bool:
        return self.all_over and self.own_over

    def state(self) -> Taken:
        """What has been taken so far; nothing if a plan gives the numbers, as they are not one after the other."""
        if self._planned:
            return Taken()
        return Taken(self.taken, self.warmup, self.first, self.measured)


def numbers_of(taken: Taken, part: int, parts: int) -> Sequence[int]:
    """The numbers in the level of what part `part` of `parts` has taken."""
    return range(part, part + taken.taken * parts, parts)
