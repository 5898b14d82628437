"""One worker: `python -m basetenkit.execution.processes.worker`, started by a ProcessExecutor, or on another machine by a Dask
task, and by nobody else.

It does what its stdin tells it and answers on stdout, and ends with its parent: when its stdin ends, so does it, at once, in
whatever state. Reading orders and writing rows each have a thread, so that its loop waits for neither: a parent that computes
and reads nothing for a while only makes the outbox grow.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from ...core.reasons import Stop
from ...core.types import JsonObject
from ...loadgen.apart_counters import ApartCounters
from ...loadgen.counters import SharedCounters
from ...loadgen.executor import Batch
from ...loadgen.generator import LoadGenerator
from ...loadgen.prepared import Prepared
from ...loadgen.request_source import request_head
from ...transport.clock import Poller, mono
from ...workload.tokenizer import load_tokenizer
from ..limits import allow_open_files
from . import protocol

ROWS_EVERY = 2  # statuses
LOOK_EVERY_S = 0.05

LEASE_ENDED = 3


class Worker:
    """A LoadGenerator, and the two pipes between it and its parent."""

    def __init__(self, orders: BinaryIO, answers: BinaryIO, poller: Poller) -> None:
        self._orders, self._answers, self._poller = orders, answers, poller
        self._outbox: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._stage: LoadGenerator | None = None
        self._apart: ApartCounters | None = None
        self._performing = False
        self._status_every_s, self._alive_ns = 0.25, mono()
        self._tally_path: Path | None = None
        self._inbox: asyncio.Queue[tuple[str, JsonObject]] = asyncio.Queue()
        self._packing = asyncio.Lock()

    async def serve(self) -> None:
        """Does what it is told, one order after the other; a stop is done at once."""
        self._loop = asyncio.get_running_loop()
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()
        while True:
            word, content = await self._inbox.get()
            try:
                await self._do(word, content)
            except Exception as error:
                self._say("failed", message=f"{error}" if str(error) else type(error).__name__)

    async def _do(self, word: str, content: JsonObject) -> None:
        if word == "hello":
            self._begin(content["run"], content["part"])
        elif self._stage is None:
            raise RuntimeError(f"{word!r} came before the greeting")
        elif word == "prepare":
            if self._apart is not None:
                self._apart.begin(self._stage.quota_of(content["part"]), content["part"].parts)
            self._stage.prefetch(content["part"])
            self._say("built")
        elif word == "go":
            await self._perform(self._stage, content["origin_ns"])

    def _begin(self, run: protocol.Hello, part: int) -> None:
        config, self._tally_path = run.config, run.tally
        allow_open_files(config)
        self._apart = ApartCounters(part, run.parts) if run.tally is None else None
        counts = self._apart or SharedCounters(part, run.parts, run.tally)
        head = run.head or request_head(config.endpoint)
        tokenizer = load_tokenizer(config.tokenizer)
        prepared = Prepared(config, tokenizer, head, run.entries, run.secrets, lexicon=run.lexicon)
        self._stage = LoadGenerator(prepared, salt=run.salt, poller=self._poller, tally=counts)
        self._status_every_s, self._alive_ns = run.status_every_s, mono()
        if run.lease_s is not None:
            threading.Thread(target=self._end_without_lease, args=(run.lease_s,), daemon=True).start()
        self._say("ready", mono_ns=mono())

    def _end_without_lease(self, lease_s: float) -> None:
        """Ends the load where who leads it is gone or cannot be reached."""
        while (mono() - self._alive_ns) / 1e9 < lease_s:
            time.sleep(min(lease_s / 10, 1.0))
        os._exit(LEASE_ENDED)

    async def _perform(self, stage: LoadGenerator, origin_ns: int) -> None:
        reports = asyncio.ensure_future(self._report(stage))
        self._performing = True
        try:
            await stage.run_level(origin_ns)
        finally:
            self._performing = False
            reports.cancel()
            await asyncio.wait([reports])
        await self._send_rows(stage)
        self._say_status(stage)
        self._say("done", report=stage.report().model_dump(mode="json"), notes=[note.saved() for note in stage.notes()])

    async def _report(self, stage: LoadGenerator) -> None:
        turn = 0
        while True:
            await self._until_due()
            turn += 1
            self._say_status(stage)
            if turn % ROWS_EVERY == 0:
                await asyncio.shield(
                    self._send_rows(stage)
                )  # rows that were taken are sent, even if this task is cancelled

    async def _until_due(self) -> None:
        """Returns when a status is due, or when the leader must know at once that what is measured here is over."""
        over = self._apart is None or self._apart.own_over
        for _ in range(max(round(self._status_every_s / LOOK_EVERY_S), 1)):
            await asyncio.sleep(min(LOOK_EVERY_S, self._status_every_s))
            if not over and self._apart is not None and self._apart.own_over:
                return

    def _say_status(self, stage: LoadGenerator) -> None:
        said: JsonObject = dataclasses.asdict(stage.status()) | {"outcomes": dict(stage.status().outcomes)}
        if self._apart is not None:
            said |= {"taken": dataclasses.asdict(self._apart.state()), "own_over": self._apart.own_over}
            said["left"] = self._apart.left
        self._say("status", **said)

    async def _send_rows(self, stage: LoadGenerator) -> None:
        async with self._packing:
            for batch in stage.take():
                await self._loop.run_in_executor(None, self._pack, batch)

    def _pack(self, batch: Batch) -> None:
        raw = batch.exchanges()
        frames = [*batch.frames(), *([] if raw is None else [raw])]
        self._outbox.put(protocol.encode_report("rows", frames))

    def _say(self, say: str, **content: object) -> None:
        self._outbox.put(protocol.encode_report(say, **content))

    def _read(self) -> None:
        for parts in protocol.read_message(self._orders):
            word, content = protocol.read_order(parts)
            if word == "alive":
                self._alive_ns = mono()
            elif word in ("stop", "halt"):
                self._loop.call_soon_threadsafe(self._stop, word, content["stop"])
            elif word in ("enough", "all_over"):
                self._loop.call_soon_threadsafe(self._goal_met, word)
            elif word in ("hand_over", "receive"):
                self._loop.call_soon_threadsafe(self._exchange, word, content)
            else:
                self._loop.call_soon_threadsafe(self._inbox.put_nowait, (word, content))
        if self._tally_path is not None:
            self._tally_path.unlink(missing_ok=True)  # a parent that was killed could not
        os._exit(0)

    def _stop(self, word: str, stop: Stop) -> None:
        if self._stage is not None:
            (self._stage.stop if word == "stop" else self._stage.halt)(stop)

    def _goal_met(self, word: str) -> None:
        if word == "enough" and self._stage is not None:
            self._stage.enough()
        elif self._apart is not None:
            self._apart.all_over = True

    def _exchange(self, word: str, content: JsonObject) -> None:
        """Hands requests over to another sender, or takes over those of another one, and says which draws are to go elsewhere."""
        counts = self._apart if self._performing else None
        if word == "hand_over":
            self._say("handed", draws=[] if counts is None else counts.hand_over(content["most"]))
        elif counts is None or not counts.receive(content["draws"]):
            self._say("refused", draws=content["draws"])
        else:
            self._say("received")

    def _write(self) -> None:
        while (parts := self._outbox.get()) is not None:
            try:
                protocol.write(self._answers, parts)
            except (OSError, ValueError):
                os._exit(1)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's, who tells it here
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # output of libraries must not mix with the messages
    poller = Poller()

    async def serve() -> None:
        await Worker(sys.stdin.buffer, answers, poller).serve()

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poller)) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
