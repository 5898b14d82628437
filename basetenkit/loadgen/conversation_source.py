"""The requests of a level of conversations: a RequestSource whose requests are turns.

When a conversation begins, it takes consecutive numbers for all its turns, in the order of the plan; the last conversation is
cut at the end of the plan. A failed turn ends its conversation: its remaining numbers are never sent, and no other conversation
takes them, so that the outcomes of all planned requests add up.

In an open loop the numbers are the places in the schedule: a turn is due at its place, and no earlier than the end of the
turn before. In a closed loop it is due at that end. `start_s - scheduled_s` of a later turn is therefore only this client's
time to parse the answer and to build the next request. A slow server never counts as lag; if it cannot keep up with the
schedule, `scheduled_s` shows it. `max_in_flight` limits the number of conversations at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from ..config.run_config import RunConfig
from ..core.types import Exchange, Request
from ..transport.clock import mono
from ..transport.http_request import Head, HttpRequest
from ..workload.conversations import ConversationSampler, ConversationState
from .counters import MEASURED, WARMUP
from .driver import NextTurn
from .request_source import RequestSource, TokenBudget, request_id


class ConversationSource(RequestSource):
    """The turns of one sender's conversations. `scheduled`: an open loop, whose places number the turns."""

    def __init__(
        self,
        config: RunConfig,
        speaker: ConversationSampler,
        head: Head,
        prefix: str,
        spend: TokenBudget,
        *,
        scheduled: bool,
        openings: int = 0,
    ) -> None:
        super().__init__(config, speaker, head, prefix, spend, openings=openings)
        self._speaker, self._scheduled = speaker, scheduled
        self._held: dict[str, ConversationState] = {}
        self._heard: dict[str, asyncio.Future[str | None]] = {}
        self._times: ArrivalTimes = ArrivalTimes(iter(()))
        self._opened = 0  # conversations that were in the middle when the level began, and go on
        self._ramp_left = 2 * openings * speaker.mean_turns

    @property
    def _left(self) -> int:
        if self._scheduled:
            return len(self._ready) + (self._speaker.first < self._total) + self._beyond
        return super()._left

    def due(self, times: Iterator[float]) -> Iterator[float]:
        """When this sender's conversations begin, by the times of all turns (s since the level's start)."""
        self._times = ArrivalTimes(times)
        while True:
            if not self._ready:
                self._build()
            yield self._times[self._speaker.begun[0].first]

    def __call__(self, settled: bool = True) -> tuple[Request, HttpRequest] | None:
        if not self._ready:
            self._build()
        talk = self._speaker.begun[0]
        settled = settled and (not self._opened or self._ramp_left <= 0)
        reserved = self._spend.tally.reserve(len(talk.turns), talk.first if self._scheduled else None, settled)
        if reserved is None:
            return None
        talk, request = self._speaker.begun.popleft(), self._ready.popleft()
        self._ready_bytes -= len(request.body)
        talk.numbers, talk.phase = reserved
        self._opened += talk.opening
        self._ramp_left -= len(talk.numbers)
        talk.name = request_id(self._prefix, self._spend.tally.place(talk.numbers.start))
        return self._go(talk, request)

    def _go(self, talk: ConversationState, request: Request) -> tuple[Request, HttpRequest] | None:
        number = talk.numbers[talk.at - 1]
        phase = WARMUP if number < self._spend.tally.warmup else talk.phase
        if talk.name is None or not self._spend.take_reserved(request, number, phase):
            self._give_up(talk, talk.at - 1)
            return None
        self._held[talk.name] = talk
        return self._addressed(replace(request, conversation_id=talk.name), number, phase)

    def _give_up(self, talk: ConversationState, sent: int) -> None:
        """A conversation goes on no more: nobody waits for its measured turns after the first `sent`."""
        self._opened -= talk.opening
        if talk.phase == MEASURED:
            self._spend.tally.over(sum(n >= self._spend.tally.warmup for n in talk.numbers[sent:]))

    def answered(self, request: Request, text: str | None) -> None:
        """The text of a turn's response, when it has been read; None if it failed."""
        future = self._heard.pop(request.request_id, None)
        if future is not None and not future.done():
            future.set_result(text)

    @property
    def next_turn(self) -> NextTurn | None:
        return self._await_turn

    async def _await_turn(self, exchange: Exchange, origin_ns: int) -> tuple[int, Request, HttpRequest] | None:
        """(when it was due in ns, the next turn, as HTTP has it) once that is due; None if the conversation is over."""
        talk = self._held.pop(exchange.request.conversation_id or "")
        if talk.at >= len(talk.numbers):
            self._give_up(talk, talk.at)
            return None
        heard = self._heard[exchange.request.request_id] = asyncio.get_running_loop().create_future()
        text = await heard
        if text is None:
            self._give_up(talk, talk.at)
            return None
        self._speaker.add_response(talk, text)
        request = self._speaker.next_request(talk)
        due = exchange.end_ns or mono()
        if self._scheduled:
            due = max(due, origin_ns + int(self._times[talk.numbers[talk.at - 1]] * 1e9))
        if (wait := (due - mono()) / 1e9) > 0:
            await asyncio.sleep(wait)
        item = self._go(talk, request)
        return None if item is None else (due, *item)


class ArrivalTimes:
    """The times of a schedule by their place, taken from it as they are asked for."""

    def __init__(self, schedule: Iterator[float]) -> None:
        self._schedule = schedule
        self._known: list[float] = []

    def __getitem__(self, place: int) -> float:
        while len(self._known) <= place:
            self._known.append(next(self._schedule))
        return self._known[place]
