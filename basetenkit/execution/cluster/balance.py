"""Which requests go from a slow sender of a level to a fast one, so that all end at about the same time.

Each sender of a closed loop begins with an even part of the requests. A host that is slower, or farther away, would end later, and
the load would not be what was asked for until it does. From each sender's status (once per second) its pace is known; the slowest
hands requests over to the fastest while both have some left, so no request waits for this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KNOWN_AFTER_S, KNOWN_AFTER = 2.0, 8  # a pace rests on so many seconds, and so many requests
APART_S = 2.0  # ends closer together than this are left alone
TAKES_UNTIL_S = 1.0  # a sender with less to do than this might run out before more reaches it


@dataclass(frozen=True, slots=True)
class SendingPace:
    """A sender's measured requests that are left to take, and how many it takes per second."""

    part: int
    left: int
    per_s: float

    @property
    def ends_in_s(self) -> float:
        return self.left / self.per_s


@dataclass(frozen=True, slots=True)
class Transfer:
    """`count` requests of the sender `giver` that the sender `taker` is to send."""

    giver: int
    taker: int
    count: int


def transfers(paces: Iterable[SendingPace]) -> list[Transfer]:
    """The fastest sender takes from the slowest, the next fastest from the next slowest, each so much that it would end with all
    others."""
    order = sorted((pace for pace in paces if pace.per_s > 0), key=lambda pace: pace.ends_in_s)
    if len(order) < 2:
        return []
    end_s = sum(pace.left for pace in order) / sum(pace.per_s for pace in order)
    found = []
    for fast, slow in zip(order, reversed(order), strict=True):
        if fast.ends_in_s >= slow.ends_in_s or slow.ends_in_s - fast.ends_in_s < APART_S:
            break
        room, spare = (end_s - fast.ends_in_s) * fast.per_s, (slow.ends_in_s - end_s) * slow.per_s
        count = int(min(room, spare, slow.left - 1))
        if fast.ends_in_s > TAKES_UNTIL_S and count > 0:
            found.append(Transfer(slow.part, fast.part, count))
    return found


class Balance:
    """The paces of a level's senders, and the requests that are on their way from one to another.

    `unplaced`: draws that were handed over and that no sender took: their requests are not sent in this run of the level."""

    def __init__(self) -> None:
        self._began: dict[int, tuple[float, int]] = {}
        self._paces: dict[int, SendingPace] = {}
        self._between: dict[int, Transfer] = {}
        self.unplaced: list[int] = []

    def heard(self, part: int, seconds: float, measured: int, left: int) -> None:
        """A status: `seconds` into the level this sender had taken `measured` requests, and had `left` left."""
        if not measured:
            return
        began_s, began = self._began.setdefault(part, (seconds, measured))
        went, taken = seconds - began_s, measured - began
        if went >= KNOWN_AFTER_S and taken >= KNOWN_AFTER:
            self._paces[part] = SendingPace(part, left, taken / went)

    def due(self, parts: Iterable[int]) -> list[Transfer]:
        """The transfers to ask for now, of the senders `parts` that are still sending; none before every pace is known."""
        parts = list(parts)
        if any(part not in self._paces for part in parts):
            return []
        busy = {part for between in self._between.values() for part in (between.giver, between.taker)}
        found = transfers(self._paces[part] for part in parts if part not in busy)
        self._between |= {transfer.giver: transfer for transfer in found}
        return found

    def handed(self, giver: int, draws: list[int]) -> int | None:
        """Who is to receive what `giver` handed over; None if it had nothing left to hand over."""
        between = self._between.get(giver)
        if between is None or not draws:
            self._between.pop(giver, None)
            return None
        return between.taker

    def received(self, taker: int) -> None:
        """The transfer to `taker` is done."""
        self._between = {g: between for g, between in self._between.items() if between.taker != taker}

    def refused(self, part: int, draws: list[int]) -> int | None:
        """Who is to receive draws that `part` could not take: the sender that had them; None if that is the one who refused."""
        between = next((found for found in self._between.values() if found.taker == part), None)
        if between is None or between.giver == part:
            self._between.pop(part, None)
            self.unplaced += draws
            return None
        self._between[between.giver] = Transfer(between.giver, between.giver, len(draws))
        return between.giver

    def lost(self, part: int) -> None:
        """Nothing is awaited of this sender any more."""
        self._between = {g: found for g, found in self._between.items() if part not in (found.giver, found.taker)}
