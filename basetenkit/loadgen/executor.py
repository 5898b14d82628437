"""Executor: sends levels. The protocol that a thread of this process, processes, or other machines implement."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from ..config.plan import PlannedLevel
from ..core.findings import Finding
from ..core.reasons import Stop
from ..core.types import Outcome
from ..results.manifest import HostReport, LevelReport


class Batch(Protocol):
    """Rows that were recorded and are written nowhere yet."""

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]: ...

    def exchanges(self) -> pl.DataFrame | None: ...

    @property
    def size(self) -> tuple[int, int]: ...


@dataclass(slots=True)
class Status:
    """Counts of the present level, so far."""

    sent: int = 0
    finished: int = 0
    in_flight: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    output_tokens: int = 0
    seconds: float = 0.0
    last_error: str | None = None

    @property
    def successes(self) -> int:
        return self.outcomes[Outcome.OK]


class Executor(Protocol):
    """Sends levels. All of it is called on the controller's loop but `status` and `waiting`."""

    async def open(self) -> None: ...

    def spend(self, tokens: int) -> None: ...

    async def level(self, level: PlannedLevel) -> None: ...

    def stop(self, stop: Stop) -> None: ...

    def halt(self, stop: Stop) -> None: ...

    def enough(self) -> None: ...

    def status(self) -> Status: ...

    def waiting(self) -> list[Batch]: ...

    def take(self) -> list[Batch]: ...

    def report(self) -> LevelReport: ...

    def notes(self) -> list[Finding]: ...

    def hosts(self) -> list[HostReport]: ...

    async def close(self) -> None: ...
