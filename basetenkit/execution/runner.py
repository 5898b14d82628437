"""A run from its first level to its last, on its own thread and event loop.

A level is sent from an Executor (see `executors.py`). The controller goes from level to
level, keeps the folder and its document, and knows of the rows only that there are some to be written.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TypeVar

import polars as pl

from ..analysis.precision import Precision, precision
from ..config.plan import PlannedLevel
from ..core.errors import StoreError
from ..core.findings import finding
from ..core.interrupts import uninterrupted
from ..core.reasons import Stop, StopReason
from ..core.types import JsonObject, Outcome
from ..loadgen.executor import Batch, Executor, Status
from ..loadgen.prepared import Prepared
from ..loadgen.request_source import quota
from ..loadgen.stop_conditions import EACH_SECOND, PrecisionReached, Seen, StopRequest, conditions, first_stop
from ..results.manifest import LevelEntry, Manifest, UntilReached
from ..results.row_notes import in_words
from ..results.store import RunFolder
from ..results.window import mark_window
from ..transport.clock import Poller
from .executors import Start, make_executor
from .probe import Probe, nothing_answers

T = TypeVar("T")
log = logging.getLogger(__name__)
NOTHING_ANSWERS, PREFLIGHT_FAILED = "nothing_answers", "preflight_failed"
SPOOL_EVERY_S = 1.0
ROWS_IN_MEMORY, CHUNKS_IN_MEMORY = 20_000, 2_000_000


@dataclass
class Progress:
    """The progress of a run: counts of the current level, and the number of finished levels."""

    level: str = ""
    levels: int = 0
    levels_done: int = 0
    planned: int = 0
    sent: int = 0
    finished: int = 0
    in_flight: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    output_tokens: int = 0
    seconds: float = 0.0
    last_error: str | None = None

    def as_dict(self) -> dict[str, object]:
        return asdict(self) | {"outcomes": dict(self.outcomes)}


class RunController:
    """Runs the levels that are not done yet. `recorded` and `progress` may be read from another thread."""

    def __init__(self, prepared: Prepared, folder: RunFolder, manifest: Manifest, *, cluster: object = None) -> None:
        self.config, self.folder, self.manifest = prepared.config, folder, manifest
        self.lock = threading.Lock()
        self.notes = manifest.metadata.events
        self._stop, self._cluster = StopRequest(), cluster
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poller, self._key, self._prepared = Poller(), "", prepared
        self._now: PlannedLevel | None = None
        self._precision = self._watch_precision()
        self._asking: asyncio.Task[dict[str, object]] | None = None
        self._dead: str | None = None
        self._executor = self._make_executor()
        self._unwritten: list[Batch] = []
        self._parts = itertools.count(1)
        self._writing: asyncio.Future[None] | None = None
        self._write_error: StoreError | None = None

    def _make_executor(self) -> Executor:
        spent = _spent(self.folder)
        return make_executor(self._prepared, Start(self.manifest.metadata.salt, spent, self._poller, self._cluster))

    @property
    def progress(self) -> Progress:
        """The progress of the run; callable from any thread."""
        levels = self.manifest.levels
        done, status = sum(entry.done for entry in levels), self._executor.status()
        planned = 0 if self._now is None else quota(self.config, self._now.load).total
        counts = {name: getattr(status, name) for name in Status.__slots__}
        counts["outcomes"] = Counter(status.outcomes)
        counts["last_error"] = self._dead or status.last_error
        counts["in_flight"] += self._asking is not None
        return Progress(self._key, len(levels), done, planned, **counts)

    def run(self) -> None:
        """Runs to the end, on the calling thread, with its own loop."""
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(self._poller)) as runner:
            runner.run(self._levels())

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for, so that levels are left undone."""
        return self._stop.made is not None

    def ask_to_stop(self, stop: Stop) -> None:
        """Cancels what is in flight and sends no more; from any thread."""
        log.info("stop asked for: %s", stop)
        self._stop.ask(stop)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just closed: the run is over
                self._loop.call_soon_threadsafe(self.stop, stop)

    def stop(self, stop: Stop) -> None:
        """Cancels what is in flight and sends no more; on the loop's thread."""
        self._stop.ask(stop)
        if self._asking is not None:
            self._asking.cancel()
        self._executor.stop(stop)

    async def _levels(self) -> None:
        self._loop = asyncio.get_running_loop()
        missing = [entry for entry in self.manifest.levels if not entry.done]
        done = len(self.manifest.levels) - len(missing)
        log.info(
            "run in %s: %d levels to do%s", self.folder.path, len(missing), f", {done} done before" if done else ""
        )
        self.notes[:] = [note for note in self.notes if note.code not in (NOTHING_ANSWERS, PREFLIGHT_FAILED)]
        try:
            if missing and self.config.preflight and not self.stopped:
                await self._ask(missing[0])
            if missing and not self.stopped:
                await self._executor.open()
            for entry in missing:
                if self.stopped:
                    break
                await self._one(entry)
        finally:
            await self._executor.close()
        log.info("run in %s ended", self.folder.path)
        self.notes += self._executor.notes()

    async def _ask(self, entry: LevelEntry) -> None:
        """The request before the levels. If nothing answers it, the run is stopped, and its levels stay to be done."""
        index = self.folder.unused(len(self.manifest.levels))
        level = PlannedLevel(index, entry.key, entry.repeat)
        log.debug("preflight: one request like those of %s", level)
        probe = Probe.of(self._prepared, self.manifest.metadata.salt, self._poller)
        self._asking = asyncio.ensure_future(probe.ask(level))
        row: JsonObject = {}
        try:
            row = await self._asking
        except asyncio.CancelledError:  # by `stop`; its row says so
            if not self.stopped:
                raise
        finally:
            self._asking = None
            with self.lock:
                self._unwritten += (batches := probe.take())
            if batches:
                self._write(index, batches)
        if self._write_error is not None:
            raise self._write_error
        self._executor.spend(sum(row.get(name) or 0 for name in ("input_tokens", "output_tokens")))
        if row:
            log.info("preflight: %s, status %s", row["outcome"], row["status"])
        if row and row["outcome"] != Outcome.OK:
            waits = bool(self.config.warmup_requests and self.config.warmup_retries)
            dead = nothing_answers(row, waits)
            message = row["error_message"] or row["outcome"]
            told = {"message": message.rstrip("."), "advice": " ".join(row["advice"])}
            self.notes.append(finding(NOTHING_ANSWERS if dead else PREFLIGHT_FAILED, **told))
            if dead:
                self._dead = message
                self._stop.ask(Stop(StopReason.NO_ANSWER, {"message": message}))

    async def _one(self, entry: LevelEntry) -> None:
        """One level, whatever happens in it: its rows are in the folder and its entry says how it ended."""
        level = entry.plan
        with self.lock:
            self.folder.set_aside(level.index)
        self._key, self._now, self._precision = str(level), level, self._watch_precision()
        ticker = asyncio.ensure_future(self._tick(level))
        started = time.time()
        log.info("level %s begins", level)
        try:
            await self._executor.level(level)
        finally:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # its own; anything else that ended it is told
                await ticker
        await self._flush(level.index)
        if self._write_error is not None:
            raise self._write_error
        with self.lock:  # another thread may be reading the parts that this puts together
            self.folder.compact(level.index)
        report = self._executor.report()
        if self.config.until:
            await asyncio.get_running_loop().run_in_executor(None, self._look, level)
            reached = self._precision.reached
            report.until = None if reached is None else UntilReached(**asdict(reached))
        entry.take(report)
        if hosts := self._executor.hosts():
            self.manifest.metadata.hosts = hosts
        entry.started_at, entry.done = started, report.whole and not self.stopped
        ended = "" if report.ended_by is None else f", ended early: {report.ended_by}"
        log.info("level %s ended after %.1f s: %d requests sent%s", level, time.time() - started, report.sent, ended)
        self.folder.write_run(self.manifest)

    async def _tick(self, level: PlannedLevel) -> None:
        """Each second: the spool, and whether there is reason to end the level."""
        in_flight: list[int] = []
        stops = conditions(EACH_SECOND, self.config, level.load)
        while True:
            await asyncio.sleep(SPOOL_EVERY_S)
            status = self._executor.status()
            in_flight.append(status.in_flight)
            if stop := first_stop(stops, Seen(status, status.sent, in_flight)):
                log.info("level %s: stop condition: %s", level, stop)
                self._executor.halt(stop)
            if self._precision.due(status.finished):
                await asyncio.get_running_loop().run_in_executor(None, self._look, level)
                if self._precision.enough:
                    log.info("level %s is precise enough", level)
                    self._executor.enough()
            rows, chunks = (sum(n) for n in zip(*(b.size for b in self._executor.waiting()), (0, 0), strict=True))
            big = rows > ROWS_IN_MEMORY or chunks > CHUNKS_IN_MEMORY
            if rows and (self.folder.durable or big):
                await self._flush(level.index)
            if self._write_error is not None:
                self._executor.stop(Stop(StopReason.NOT_WRITTEN, {"message": str(self._write_error)}))

    def _watch_precision(self) -> PrecisionReached[Precision]:
        until, slo = self.config.until, self.config.slo
        return PrecisionReached(self.config, lambda rows, chunks: precision(rows, chunks, until, slo))

    @uninterrupted
    def _look(self, level: PlannedLevel) -> None:
        """How precise the level's figures are by now; beside the loop, as it takes a while."""

        def of_level(rows: pl.LazyFrame, chunks: pl.LazyFrame) -> Precision:
            same = [pl.col(name) == value for name, value in level.key.columns.items()]
            mine = mark_window(rows.filter(same).drop("text", "warnings").collect())
            theirs = chunks.join(mine.lazy().select("request_id"), on="request_id", how="semi")
            return self._precision.look(mine, theirs)

        self.recorded(of_level)

    async def _flush(self, index: int) -> None:
        """Writes what was recorded since the last time as one part, on its own thread; one write at a time."""
        if self._writing is not None:
            await asyncio.shield(self._writing)
        with self.lock:
            batches = self._executor.take()
            self._unwritten += batches
        if batches:
            try:
                self._writing = asyncio.get_running_loop().run_in_executor(None, self._write, index, batches)
            except RuntimeError:  # Python is ending, and gives out no more work
                self._write(index, batches)
                return
            await asyncio.shield(self._writing)  # a cancelled ticker leaves its write whole

    def _write(self, index: int, batches: list[Batch]) -> None:
        requests, chunks, raw = _joined(batches)
        part = next(self._parts)
        try:
            with self.lock:
                self.folder.write_part(index, part, "chunks", chunks)
                if raw:
                    self.folder.write_part(index, part, "exchanges", raw[0])
                self.folder.write_part(index, part, "requests", requests)
                self._unwritten = [b for b in self._unwritten if not any(b is written for written in batches)]
        except (OSError, pl.exceptions.PolarsError) as error:
            self._write_error = StoreError(f"the run folder {self.folder.path} cannot be written: {error}")

    def recorded(self, make: Callable[[pl.LazyFrame, pl.LazyFrame], T]) -> T:
        """What `make` makes of (requests, chunks) recorded so far; from any thread. The lock, for which the loop may have to
        wait, is held while the parts are listed, and not while they are read."""
        for last in (False, False, True):
            with self.lock:
                stored = self.folder.scan("requests"), self.folder.scan("chunks")
                batches = [*self._unwritten, *self._executor.waiting()]
            frames = [batch.frames() for batch in batches]
            requests = [stored[0], *(f[0].lazy().with_columns(in_words()) for f in frames)]
            try:
                return make(pl.concat(requests), pl.concat([stored[1], *(f[1].lazy() for f in frames)]))
            except (OSError, pl.exceptions.PolarsError):  # the parts of a level were put together meanwhile
                if last:
                    raise
        raise AssertionError


@uninterrupted
def _joined(batches: list[Batch]) -> tuple[pl.DataFrame, pl.DataFrame, list[pl.DataFrame]]:
    """(requests, chunks, raw bytes) of all batches, of the last a frame or none."""
    parts = [b.frames() for b in batches]
    raw = [frame for b in batches if (frame := b.exchanges()) is not None]
    return pl.concat([r for r, _ in parts]), pl.concat([c for _, c in parts]), [pl.concat(raw)] if raw else []


def _spent(folder: RunFolder) -> int:
    """Tokens that the levels already done have taken."""
    return int(
        folder.scan("requests").select(pl.col("input_tokens").sum() + pl.col("output_tokens").sum()).collect().item()
    )
