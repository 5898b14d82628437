"""The counts of one sender that shares no file with the others of its level: it is on another machine.

A level is then shared out beforehand: each sender has its part of the measured requests and of the warm-up, and no request waits
for the network. Requests keep numbers of their own over all senders: the n-th of part p of P has the number n P + p, which in
an open loop is its place in the schedule. What all must know of each other comes as a word of who leads them: that the measured
requests of all are over. Conversations of an open loop have their places from the one plan, and keep them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .counters import COOLDOWN, MEASURED, RAMP, UNKNOWN, WARMUP, Quota, SharedCounters, share


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

    def begin(self, quota: Quota, parts: int | None = None) -> None:
        super().begin(quota, parts)
        self.all_over, self._planned = False, quota.scheduled

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
