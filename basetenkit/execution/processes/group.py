"""Levels that several senders share: an Executor that controls members (processes here, or on other machines).

A level is shared out exactly: its users, or the arrivals of its one schedule, each to one member. A member that is lost (killed,
crashed) loses its own requests and no others: each of those still has a row, and a finding tells. The next level begins with a
new member in its place. How members are started and how they count is what a subclass says.
"""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np
import polars as pl

from ...config.plan import PlannedLevel
from ...core.findings import Finding, finding
from ...core.reasons import Stop, StopReason
from ...core.types import JsonObject
from ...loadgen.executor import Batch, Status
from ...loadgen.generator import Shard, prefix
from ...loadgen.prepared import Prepared
from ...loadgen.request_source import quota, request_id
from ...loadgen.stop_conditions import StopRequest
from ...results.manifest import HostReport, LevelReport, LostWorker, WorkerReport
from ...results.recorder import lost_rows
from ...transport.clock import mono
from .batches import WorkerBatch, peak_in_flight
from .handle import Member

LEAD_NS = 30_000_000
START_WITHIN_S = 120.0
STOP_WITHIN_S = 5.0
OVERTIME_S = 60.0  # beyond max_seconds, to read the remaining responses
M = TypeVar("M", bound=Member)


class GroupExecutor(ABC, Generic[M]):
    """Levels sent by members. All on the controller's loop but `status` and `waiting`."""

    lead_ns = LEAD_NS

    def __init__(self, prepared: Prepared, *, salt: str, spent: int) -> None:
        self._prepared, self._config, self._salt = prepared, prepared.config, salt
        self._spent = spent
        self._members: list[M] = []
        self._active: list[M] = []
        self._batches: list[Batch] = []
        self._stopped = StopRequest()
        self._notes: dict[int, list[Finding]] = {}
        self._report: LevelReport | None = None

    def spend(self, tokens: int) -> None:
        """Counts tokens that were spent before the members start, in the guard on tokens."""
        self._spent += tokens

    @abstractmethod
    async def open(self) -> None:
        """Starts the members and waits until each is ready. WorkerError, in one sentence, if one is not."""

    @abstractmethod
    async def _replace(self, lost: list[M]) -> None:
        """Puts new members in the place of lost ones."""

    def _labelled(self, member: Member, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of a member, with where they come from; as they are where that is this machine."""
        return rows

    def _begin(self, level: PlannedLevel, parts: int) -> None:
        """The counts of a level that `parts` members send begin at zero."""

    async def _origins(self) -> dict[int, int]:
        """When each active member is to begin, in ns of its own clock: the same moment for all."""
        origin = mono() + self.lead_ns
        return {member.part: origin for member in self._active}

    @abstractmethod
    def _owned(self, member: M) -> tuple[Sequence[int], list[str]]:
        """The numbers of the requests that a lost member took in this level, as far as is known, and their phases."""

    def _without(self, member: M) -> None:
        """Nothing of a lost member is waited for."""

    @abstractmethod
    def _reached(self, reports: list[LevelReport]) -> bool:
        """Whether the guard on tokens held a request of this level back."""

    @abstractmethod
    def _goal(self, reports: list[LevelReport]) -> int:
        """Measured requests that the level was to have."""

    def _whole(self, level: PlannedLevel, lost: bool, reports: list[LevelReport]) -> bool:
        """Whether the level is done although members were lost."""
        return not lost

    async def _wait_for(self, member: M, word: str, within_s: float) -> JsonObject | None:
        """What the member said with `word`; None if it failed, was lost, or took too long: then it is ended."""
        answer = await member.wait_for(word, within_s)
        if answer is None and member.lost is None:
            member.kill(f"it sent nothing within {within_s:g} s")
            await member.gone()
        return answer

    async def level(self, level: PlannedLevel) -> None:
        """Shares a level out, starts all at one moment, and returns when each is done or lost."""
        self._report, self._batches, self._active = None, [], []
        if lost := [m for m in self._members if m.lost is not None]:
            await self._replace(lost)
        parts = self._parts(level)
        self._begin(level, len(parts))
        self._active = self._members[: len(parts)]
        for member, part in zip(self._active, parts, strict=True):
            member.begin_level()
            member.send("prepare", part=part)
        await asyncio.gather(*(self._wait_for(m, "built", START_WITHIN_S) for m in self._active))
        if self._stopped.made is None:
            origins = await self._origins()
            for member in self._active:
                member.send("go", origin_ns=origins[member.part])
            await asyncio.gather(*(self._finish(m) for m in self._active))
        self._take_stock(level)

    def _parts(self, level: PlannedLevel) -> list[Shard]:
        """Every worker's part, as many as have one: a level of 2 users, or a guard of 2 in flight, keeps 2 workers busy."""
        total = quota(self._config, level.load).total
        most = level.load.at_once(self._config.max_in_flight) or total
        n = min(len(self._members), most, total)
        return [Shard.of(level, self._config, part, n) for part in range(n)]

    async def _finish(self, member: M) -> None:
        done = await self._wait_for(member, "done", self._config.max_seconds + OVERTIME_S)
        if done is None:
            self._without(member)
            return
        self._notes[member.part] = [Finding.of(note) for note in done["notes"]]
        ended_by = LevelReport.model_validate(done["report"]).ended_by
        if ended_by is not None and ended_by.reason is StopReason.FAILURES:  # for all, so the others end as well
            self.halt(ended_by)

    def _on_message(self, member: Member, say: str, content: JsonObject, frames: list[pl.DataFrame]) -> None:
        """Rows as they come; everything else the member keeps for those who wait for it."""
        if say == "rows":
            batch = WorkerBatch(self._labelled(member, frames[0]), *frames[1:])
            member.received.append(batch.numbers())
            member.spans.append(batch.spans())
            self._batches.append(batch)

    def _take_stock(self, level: PlannedLevel) -> None:
        """What the level came to, over all; the requests that went with a lost worker get their rows."""
        done = [m.answers["done"]["report"] for m in self._active if "done" in m.answers]
        reports = [LevelReport.model_validate(report) for report in done]
        lost = [self._lose(m, level) for m in self._active if m.lost is not None]
        whole = self._whole(level, bool(lost), reports)
        ended_by = next((r.ended_by for r in reports if r.ended_by), None)
        if not reports:
            ended_by = self._stopped.made or Stop(StopReason.WORKERS_LOST)
        self._report = LevelReport(
            sent=sum(r.sent for r in reports) + sum(sent for _, sent in lost),
            peak_in_flight=peak_in_flight([span for m in self._active for span in m.spans]),
            held_back=sum(r.held_back for r in reports),
            ended_by=ended_by,
            cut_s=min((r.cut_s for r in reports if r.cut_s is not None), default=None),
            tokens_guard=self._reached(reports),
            goal=self._goal(reports),
            seconds=_largest(r.seconds for r in reports),
            cpu_share=_largest(r.cpu_share for r in reports),
            loop_lag_p99_s=_largest(r.loop_lag_p99_s for r in reports),
            workers=[
                WorkerReport(sent=r.sent, cpu_share=r.cpu_share, loop_lag_p99_s=r.loop_lag_p99_s) for r in reports
            ],
            workers_lost=[worker for worker, _ in lost],
            whole=whole,
        )

    def _lose(self, member: M, level: PlannedLevel) -> tuple[LostWorker, int]:
        """Gives the requests that went with a worker their rows; says what was lost, and how many requests it had sent."""
        owned, phases = self._owned(member)
        lost = ~np.isin(owned, np.concatenate([np.zeros(0, np.int64), *member.received]))
        named = prefix(self._salt, level)
        requests = [
            (request_id(named, int(n)), int(n), phase)
            for n, phase, gone in zip(owned, phases, lost, strict=True)
            if gone
        ]
        message = f"the worker that sent it was lost ({member.lost}), and its response with it"
        if requests:
            rows, chunks = lost_rows(level, requests, message)
            self._batches.append(WorkerBatch(self._labelled(member, rows), chunks))
        return LostWorker(worker=member.part + 1, why=member.lost, requests=len(requests)), len(owned)

    @abstractmethod
    def enough(self) -> None:
        """The measured requests of this level that were sent so far are all it needs."""

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
                member.kill("it did not stop when requested")

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

    def hosts(self) -> list[HostReport]:
        """None: all members are on this machine."""
        return []

    async def close(self) -> None:
        """Ends every member; none is left behind."""
        await self._close(self._members)

    @staticmethod
    async def _close(members: Sequence[Member]) -> None:
        await asyncio.gather(*(member.end() for member in members))


def _largest(figures: Iterable[float | None]) -> float | None:
    """The largest of a figure over the workers: the busiest one limits what can be trusted."""
    return max((figure for figure in figures if figure is not None), default=None)
