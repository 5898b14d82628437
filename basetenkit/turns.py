"""What goes out of a level of conversations: a Source whose requests are their turns.

A conversation takes the numbers of all its turns when it begins, one after the other, as they stand in the plan; the last
one is cut where the plan ends. A turn that fails ends its conversation: the numbers that are left are never sent, and no
other conversation takes them, so that the fates of what was planned add up.

In an open loop the numbers are the places in the schedule: a turn is due at its place, and no earlier than the end of the
turn before. In a closed loop it is due at that end. `start_s - scheduled_s` of a later turn is therefore this client's own
time alone: to read the answer and to build what follows. The server's slowness never counts as lag, and a schedule that it
cannot keep shows in `scheduled_s` itself. `max_in_flight` counts the conversations that are held at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .config import RunConfig
from .engine.clock import mono
from .outgoing import Source, Spend, request_id
from .types import Exchange, Request
from .workload.conversations import Speaker, Talk


class Turns(Source):
    """The turns of one sender's conversations. `scheduled`: an open loop, whose places number the turns."""

    def __init__(
        self, config: RunConfig, speaker: Speaker, head: bytes, prefix: str, spend: Spend, *, scheduled: bool
    ) -> None:
        super().__init__(config, speaker, head, prefix, spend)
        self._speaker, self._scheduled = speaker, scheduled
        self._held: dict[str, Talk] = {}
        self._heard: dict[str, asyncio.Future[str | None]] = {}
        self._times: Sequence[float] = ()

    @property
    def _left(self) -> int:
        if self._scheduled:
            return len(self._ready) + (self._speaker.first < self._total)
        return super()._left

    def due(self, times: Sequence[float]) -> Iterator[float]:
        """When this sender's conversations begin, by the times of all turns (s since the level's start)."""
        self._times = times
        while self._ready or self.refill():
            yield times[self._speaker.begun[0].first]

    def __call__(self) -> tuple[Request, bytes] | None:
        if not self._ready and not self.refill():
            return None
        talk = self._speaker.begun[0]
        turns, tally = len(talk.turns), self._spend.tally
        first = talk.first if self._scheduled else tally.reserve(self._total, turns)
        if first is None:
            return None
        talk, request = self._speaker.begun.popleft(), self._ready.popleft()
        self._ready_bytes -= len(request.body)
        talk.numbers = range(first, min(first + turns, self._total))
        talk.name = request_id(self._prefix, first)
        return self._go(talk, request)

    def _go(self, talk: Talk, request: Request) -> tuple[Request, bytes] | None:
        number = self._spend.take(request, self._total, talk.numbers[talk.at - 1], reserved=True)
        if number is None or talk.name is None:
            return None
        self._held[talk.name] = talk
        return self._addressed(replace(request, conversation_id=talk.name), number)

    def answered(self, request: Request, text: str | None) -> None:
        """What a turn's response said, when it has been read; None where it failed."""
        future = self._heard.pop(request.request_id, None)
        if future is not None and not future.done():
            future.set_result(text)

    async def follow(self, exchange: Exchange, origin_ns: int) -> tuple[int, Request, bytes] | None:
        """(when it was due in ns, the next turn, its bytes) once that is due; None where the conversation is over."""
        talk = self._held.pop(exchange.request.conversation_id or "")
        if talk.at >= len(talk.numbers):
            return None
        heard = self._heard[exchange.request.request_id] = asyncio.get_running_loop().create_future()
        text = await heard
        if text is None:
            return None
        self._speaker.hear(talk, text)
        request = self._speaker.say(talk)
        due = exchange.end_ns or mono()
        if self._scheduled:
            due = max(due, origin_ns + int(self._times[talk.numbers[talk.at - 1]] * 1e9))
        if (wait := (due - mono()) / 1e9) > 0:
            await asyncio.sleep(wait)
        item = self._go(talk, request)
        return None if item is None else (due, *item)
