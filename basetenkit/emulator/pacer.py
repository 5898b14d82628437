"""The engine model in real time: it says when each token of the emulator's replies leaves."""

from __future__ import annotations

import time
from typing import Protocol

from .engine import Engine, Job
from .options import Options
from .reply import Piece, Reply
from .schedule import Schedule
from .words import JsonObject, WordCounts


class ReplyWriter(Protocol):
    """The connection that writes a reply: `paced` is the reply that it is at, `piece` and `index` where it is in it."""

    paced: PacedReply | None
    piece: Piece
    index: int

    def write_piece(self) -> float | None: ...
    def write_document(self) -> None: ...


class Pacer:
    """An engine on the emulator's schedule; times are time.monotonic() seconds."""

    def __init__(self, options: Options, schedule: Schedule) -> None:
        self.options = options
        self._engine = Engine(options, options.seed, each_token=True)
        self.schedule = schedule
        self._whose: dict[Job, PacedReply] = {}
        self._wakes_at = float("inf")

    def submit(self, job: Job, whose: PacedReply, arrived_s: float) -> None:
        self._whose[job] = whose
        self._engine.submit(job, arrived_s)
        self._tell()

    def cancel(self, job: Job) -> None:
        """The reply is over for its client; nothing happens if it had ended."""
        if self._whose.pop(job, None) is not None:
            self._engine.cancel(job)

    def state(self) -> JsonObject:
        """For the truth: replicas that are ready and that are not, requests in flight, preemptions so far."""
        ready = sum(replica.ready for replica in self._engine.replicas)
        starting = len(self._engine.replicas) - ready
        counts = {"in_flight": self._engine.in_flight, "preemptions": self._engine.preemptions}
        return {"replicas": ready, "starting": starting, "most_replicas": self._engine.most_replicas, **counts}

    def _turn(self) -> None:
        self._wakes_at = float("inf")
        self._engine.advance(time.monotonic())
        self._tell()

    def _tell(self) -> None:
        """Passes the news on; a reply that ends may bring the next request of its client, and that one more news."""
        for job, tokens, _ in self._engine.take():
            whose = self._whose.get(job)
            over = tokens == job.output  # not `end_s`: several iterations may have passed since this one
            if over:
                self._whose.pop(job, None)
            if whose is not None:
                whose.produced(tokens, over)
        due = self._engine.next_s
        if due is not None and due < self._wakes_at:
            self._wakes_at = due
            self.schedule.at(due, self._turn)


class PacedReply:
    """A reply whose pieces leave when the engine has their tokens."""

    def __init__(self, pacer: Pacer, writer: ReplyWriter, reply: Reply, prompt: WordCounts) -> None:
        self._pacer, self._writer, self._reply, self._prompt, self._given = pacer, writer, reply, prompt, 0
        o = pacer.options
        blocks = prompt.blocks(o.prefix_block) if o.prefix_cache_tokens else []
        self._job = Job(prompt(), reply.spoken, blocks)

    @property
    def _going(self) -> bool:
        return self._writer.paced is self and self._writer.index < len(self._reply.pieces)

    def begin(self, arrived_s: float) -> None:
        self._writer.piece = self._reply.pieces[0]
        self._write_up_to(0)
        if self._going:
            self._pacer.submit(self._job, self, arrived_s)

    def leave(self) -> None:
        """Its client went away, or its last piece was written."""
        self._pacer.cancel(self._job)

    def produced(self, tokens: int, over: bool) -> None:
        """Writes the pieces whose tokens are there; at the end of the job, the rest of the reply."""
        if self._pacer.options.prefix_cache_tokens:
            self._prompt.cached = self._job.cached
        self._write_up_to(tokens)
        if over and self._going:
            tail_s = self._pacer.options.tail_ms / 1e3 if self._reply.chunked else 0.0
            self._pacer.schedule.at(time.monotonic() + tail_s, self._close)

    def _write_up_to(self, tokens: int) -> None:
        """Writes a stream's beginning, and the pieces that hold no more than so many tokens together."""
        while self._reply.chunked and self._going:
            piece = self._reply.pieces[self._writer.index]
            if self._given + piece.tokens > tokens or (self._given and not piece.tokens):
                return
            self._given, self._writer.piece = self._given + piece.tokens, piece
            self._writer.write_piece()

    def _close(self) -> None:
        if not self._going:
            return
        if self._reply.chunked:
            self._writer.piece = self._reply.pieces[self._writer.index]
            self._writer.write_piece()
        else:
            self._writer.write_document()
