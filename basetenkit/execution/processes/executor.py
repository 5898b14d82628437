"""The parent's side of a run's workers: an Executor of several processes of this machine.

The number of a level's requests, its guard on tokens and `abort_after_failures` are counted by all workers in one file, the
SharedCounters, which know which requests went with a lost worker; the others send what it did not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ...config.plan import PlannedLevel
from ...core.errors import WorkerError
from ...loadgen.counters import SharedCounters
from ...loadgen.prepared import Prepared
from ...loadgen.request_source import quota
from ...results.manifest import LevelReport
from ...transport.clock import mono
from ...workload.lexicon import lexicon
from .group import START_WITHIN_S, GroupExecutor
from .handle import WorkerHandle
from .protocol import Hello


class ProcessExecutor(GroupExecutor[WorkerHandle]):
    """Levels sent by `config.workers` processes. All on the controller's loop but `status` and `waiting`."""

    def __init__(self, prepared: Prepared, *, salt: str, spent: int) -> None:
        super().__init__(prepared, salt=salt, spent=spent)
        self._tally: SharedCounters | None = None

    async def open(self) -> None:
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
        hello = Hello(config, ready.head, self._salt, config.workers, path, ready.entries, ready.secrets, words)

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
                    "a worker has another monotonic clock than this process (a time namespace?), so their times cannot be "
                    "compared; use workers=0"
                )
        await greeting

    async def _replace(self, lost: list[WorkerHandle]) -> None:
        await self._close(lost)
        fresh = [self._start(m.part) for m in lost]
        for member in fresh:
            self._members[member.part] = member
        await self._ready(fresh)

    def _begin(self, level: PlannedLevel, parts: int) -> None:
        self._counters.begin(quota(self._config, level.load), parts)

    def _owned(self, member: WorkerHandle) -> tuple[Sequence[int], list[str]]:
        numbers, phases = self._counters.owned_by(member.part)
        return numbers.tolist(), phases

    def _without(self, member: WorkerHandle) -> None:
        self._counters.forget(member.part)

    def _reached(self, reports: list[LevelReport]) -> bool:
        return self._counters.reached

    def _goal(self, reports: list[LevelReport]) -> int:
        return self._counters.goal

    def _whole(self, level: PlannedLevel, lost: bool, reports: list[LevelReport]) -> bool:
        return not lost or (not level.load.scheduled and bool(reports))

    def enough(self) -> None:
        if self._tally is not None:
            self._tally.enough()

    async def close(self) -> None:
        await super().close()
        if self._tally is not None:
            self._tally.close(remove=True)
