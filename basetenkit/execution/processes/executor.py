"""The parent's side of a run's workers: an Executor of several processes.

A level is shared out exactly: its users, or the arrivals of its one schedule, each to one worker; the number of its requests,
its guard on tokens and `abort_after_failures` through the SharedCounters. A worker that is lost (killed, crashed) loses its own
requests and no others: the SharedCounters know which those are, so each still has a row, and a finding tells. The next level
begins with a new worker in its place.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable

import numpy as np
import polars as pl

from ...config.plan import PlannedLevel
from ...core.errors import WorkerError
from ...core.findings import Finding, finding
from ...core.reasons import Stop, StopReason
from ...core.types import JsonObject
from ...loadgen.counters import SharedCounters
from ...loadgen.executor import Batch, Status
from ...loadgen.generator import Shard, prefix
from ...loadgen.prepared import Prepared
from ...loadgen.request_source import quota, request_id
from ...loadgen.stop_conditions import StopRequest
from ...results.manifest import LevelReport, LostWorker, WorkerReport
from ...results.recorder import lost_rows
from ...transport.clock import mono
from ...workload.lexicon import lexicon
from .batches import WorkerBatch, peak_in_flight
from .handle import WorkerHandle
from .protocol import Hello

LEAD_NS = 30_000_000
START_WITHIN_S = 120.0
STOP_WITHIN_S = 5.0
OVERTIME_S = 60.0  # beyond max_seconds, to read the remaining responses


class ProcessExecutor:
    """Levels sent by `config.workers` processes. All on the controller's loop but `status` and `waiting`."""

    def __init__(self, prepared: Prepared, *, salt: str, spent: int) -> None:
        self._prepared, self._config, self._salt = prepared, prepared.config, salt
        self._spent = spent
        self._members: list[WorkerHandle] = []
        self._active: list[WorkerHandle] = []
        self._batches: list[Batch] = []
        self._stopped = StopRequest()
        self._tally: SharedCounters | None = None
        self._notes: dict[WorkerHandle, list[Finding]] = {}
        self._report: LevelReport | None = None

    def spend(self, tokens: int) -> None:
        """Counts tokens that were spent before the workers start, in the guard on tokens."""
        self._spent += tokens

    async def open(self) -> None:
        """Starts the workers and waits until each is ready. WorkerError, in one sentence, where one is not."""
        self._tally = SharedCounters.shared(self._config.workers)
        self._counters.spend(self._spent)
        self._members = [self._start(part) for part in range(self._config.workers)]
        await self._ready(self._members)

    @property
    def _counters(self) -> SharedCounters:
        """What all workers count in: there from `open` on."""
        if self._tally is None:
            raise RuntimeError("the executor was not opened")
        return self._tally

    def _start(self, part: int) -> WorkerHandle:
        return WorkerHandle(part, asyncio.get_running_loop(), self._on_message)

    async def _greet(self, members: list[WorkerHandle]) -> None:
        """Tells each what the run is, on threads: a greeting waits in its pipe until the worker has been loaded."""
        loop, ready, path = asyncio.get_running_loop(), self._prepared, self._counters.path
        words = await loop.run_in_executor(None, lexicon, ready.tokenizer)
        config = ready.config.model_copy(update={"dataset": None})  # its entries were read already
        hello = Hello(config, ready.head, self._salt, path, ready.entries, ready.secrets, words)

        def greet(member: WorkerHandle) -> None:
            member.send("hello", run=hello, part=member.part)

        await asyncio.gather(*(loop.run_in_executor(None, greet, member) for member in members))

    async def _ready(self, members: list[WorkerHandle]) -> None:
        began = mono()
        greeting = asyncio.ensure_future(self._greet(members))
        for member in members:
            answer = await self._wait_for(member, "ready", START_WITHIN_S)
            if answer is None:
                raise WorkerError(
                    f"worker {member.part + 1} of {self._config.workers} did not start: {member.error_text}"
                )
            if not began <= answer["mono_ns"] <= mono():
                raise WorkerError(
                    "a worker's monotonic clock is not this process's (a time namespace?), so their times cannot be laid "
                    "side by side; use workers=0"
                )
        await greeting

    async def _wait_for(self, member: WorkerHandle, word: str, within_s: float) -> JsonObject | None:
        """What the member said with `word`; None where it failed, was lost, or took too long: then it is ended."""
        answer = await member.wait_for(word, within_s)
        if answer is None and member.lost is None:
            member.kill(f"it said nothing within {within_s:g} s")
            await member.gone()
        return answer

    async def level(self, level: PlannedLevel) -> None:
        """Shares a level out, starts all at one moment, and returns when each is done or lost."""
        self._report, self._batches, self._active = None, [], []
        await self._replace_lost()
        parts = self._parts(level)
        self._counters.begin(quota(self._config, level.load), len(parts))
        self._active = self._members[: len(parts)]
        for member, part in zip(self._active, parts, strict=True):
            member.begin_level()
            member.send("prepare", part=part)
        await asyncio.gather(*(self._wait_for(m, "built", START_WITHIN_S) for m in self._active))
        if self._stopped.made is None:
            origin = mono() + LEAD_NS
            for member in self._active:
                member.send("go", origin_ns=origin)
            await asyncio.gather(*(self._finish(m) for m in self._active))
        self._take_stock(level)

    async def _replace_lost(self) -> None:
        gone = [m for m in self._members if m.lost is not None]
        await self._close(gone)
        fresh = [self._start(m.part) for m in gone]
        for member in fresh:
            self._members[member.part] = member
        await self._ready(fresh)

    def _parts(self, level: PlannedLevel) -> list[Shard]:
        """Every worker's part, as many as have one: a level of 2 users, or a guard of 2 in flight, keeps 2 workers busy."""
        total = quota(self._config, level.load).total
        most = level.load.at_once(self._config.max_in_flight) or total
        n = min(self._config.workers, most, total)
        return [Shard.of(level, self._config, part, n) for part in range(n)]

    async def _finish(self, member: WorkerHandle) -> None:
        done = await self._wait_for(member, "done", self._config.max_seconds + OVERTIME_S)
        if done is None:
            self._counters.forget(member.part)
            return
        self._notes[member] = [Finding.of(note) for note in done["notes"]]
        ended_by = LevelReport.model_validate(done["report"]).ended_by
        if ended_by is not None and ended_by.reason is StopReason.FAILURES:  # for all, so the others end as well
            self.halt(ended_by)

    def _on_message(self, member: WorkerHandle, say: str, content: JsonObject, frames: list[pl.DataFrame]) -> None:
        """Rows as they come; everything else the member keeps for those who wait for it."""
        if say == "rows":
            batch = WorkerBatch(*frames)
            member.received.append(batch.numbers())
            member.spans.append(batch.spans())
            self._batches.append(batch)

    def _take_stock(self, level: PlannedLevel) -> None:
        """What the level came to, over all; the requests that went with a lost worker get their rows."""
        done = [m.answers["done"]["report"] for m in self._active if "done" in m.answers]
        reports = [LevelReport.model_validate(report) for report in done]
        lost = [self._lose(m, level) for m in self._active if m.lost is not None]
        whole = not lost or (not level.load.scheduled and bool(reports))
        ended_by = next((r.ended_by for r in reports if r.ended_by), None)
        if not reports:
            ended_by = self._stopped.made or Stop(StopReason.WORKERS_LOST)
        self._report = LevelReport(
            sent=sum(r.sent for r in reports) + sum(sent for _, sent in lost),
            peak_in_flight=peak_in_flight([span for m in self._active for span in m.spans]),
            held_back=sum(r.held_back for r in reports),
            ended_by=ended_by,
            cut_s=min((r.cut_s for r in reports if r.cut_s is not None), default=None),
            tokens_guard=self._counters.reached,
            goal=self._counters.goal,
            seconds=_largest(r.seconds for r in reports),
            cpu_share=_largest(r.cpu_share for r in reports),
            loop_lag_p99_s=_largest(r.loop_lag_p99_s for r in reports),
            workers=[
                WorkerReport(sent=r.sent, cpu_share=r.cpu_share, loop_lag_p99_s=r.loop_lag_p99_s) for r in reports
            ],
            workers_lost=[worker for worker, _ in lost],
            whole=whole,
        )

    def _lose(self, member: WorkerHandle, level: PlannedLevel) -> tuple[LostWorker, int]:
        """Gives the requests that went with a worker their rows; says what was lost, and how many requests it had sent."""
        owned, phases = self._counters.owned_by(member.part)
        lost = ~np.isin(owned, np.concatenate([np.zeros(0, np.int64), *member.received]))
        named = prefix(self._salt, level)
        requests = [
            (request_id(named, int(n)), int(n), phase)
            for n, phase, gone in zip(owned, phases, lost, strict=True)
            if gone
        ]
        message = f"the worker that sent it was lost ({member.lost}), and its response with it"
        if requests:
            self._batches.append(WorkerBatch(*lost_rows(level, requests, message)))
        return LostWorker(worker=member.part + 1, why=member.lost, requests=len(requests)), len(owned)

    def enough(self) -> None:
        """The measured requests of this level that were sent so far are all it needs."""
        if self._tally is not None:
            self._tally.enough()

    def halt(self, stop: Stop) -> None:
        """Ends this level, and no later one."""
        for member in self._active:
            member.send("halt", stop=stop)

    def stop(self, stop: Stop) -> None:
        """Reaches all at once; one that does not end within STOP_WITHIN_S is ended."""
        self._stopped.ask(stop)
        for member in self._members:
            member.send("stop", stop=stop)
        asyncio.get_running_loop().call_later(STOP_WITHIN_S, self._kill_unresponsive)

    def _kill_unresponsive(self) -> None:
        for member in self._active:
            if not self._report and "done" not in member.answers and member.lost is None:
                member.kill("it did not stop when told to")

    def status(self) -> Status:
        """The sum of what the workers last said; from any thread."""
        said = [m.answers["status"] for m in list(self._active) if "status" in m.answers]
        counts = {name: sum(s[name] for s in said) for name in ("sent", "finished", "in_flight", "output_tokens")}
        outcomes: Counter[str] = Counter()
        for s in said:
            outcomes.update(s["outcomes"])
        error = next((s["last_error"] for s in said if s["last_error"]), None)
        return Status(
            **counts, outcomes=outcomes, seconds=max((s["seconds"] for s in said), default=0.0), last_error=error
        )

    def waiting(self) -> list[Batch]:
        return list(self._batches)

    def take(self) -> list[Batch]:
        taken, self._batches = self._batches, []
        return taken

    def report(self) -> LevelReport:
        return self._report or LevelReport()

    def notes(self) -> list[Finding]:
        """Those of all workers as one: the sum of the bytes not kept, and the largest step of the clock."""
        found = list(itertools.chain.from_iterable(self._notes.values()))
        full = sum(x.fields["n"] for x in found if x.code == "capture_full")
        steps = [x.fields["step_ms"] for x in found if x.code == "clock_stepped"]
        notes = [finding("capture_full", n=full, limit=self._config.capture_limit_mb)] if full else []
        return notes + ([finding("clock_stepped", step_ms=max(steps))] if steps else [])

    async def close(self) -> None:
        """Ends every worker; none is left behind."""
        await self._close(self._members)
        if self._tally is not None:
            self._tally.close(remove=True)

    @staticmethod
    async def _close(members: list[WorkerHandle]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, member.close) for member in members))


def _largest(figures: Iterable[float | None]) -> float | None:
    """The largest of a figure over the workers: the busiest one limits what can be trusted."""
    return max((figure for figure in figures if figure is not None), default=None)
