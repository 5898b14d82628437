"""How a level loads the endpoint: a closed loop of users, or an open loop of arrivals.

Each kind of load is one small class with everything that depends on the kind: its values in the columns `load` and `level`, its
label, the number of requests for `max_requests="auto"`, and the number in flight. Code that depends on the kind uses
`load.scheduled` (whether requests follow a schedule), or matches on the class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

LEAST_REQUESTS, REQUESTS_PER_USER, SECONDS_OF_ARRIVALS = 200, 10, 60.0


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """A number of users; each sends the next request when the last one has ended."""

    users: int

    kind: ClassVar[str] = "concurrency"
    scheduled: ClassVar[bool] = False

    @property
    def level(self) -> float:
        """The value of the column `level`: requests in flight."""
        return float(self.users)

    @property
    def auto_requests(self) -> int:
        """Measured requests under `max_requests="auto"`: at least 200, and 10 per user."""
        return max(LEAST_REQUESTS, self.users * REQUESTS_PER_USER)

    def around(self, requests: int) -> int:
        """About how many requests a steady level sends before and after its measured ones."""
        return 4 * self.users

    def at_once(self, guard: int | None) -> int | None:
        """The maximum number of requests in flight; None if there is no limit. `guard`: the config's `max_in_flight`."""
        return self.users

    def __str__(self) -> str:
        return f"concurrency {self.users}"


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Requests on a schedule, at a rate in requests per second, whether or not earlier ones have ended."""

    rate: float

    kind: ClassVar[str] = "request_rate"
    scheduled: ClassVar[bool] = True

    @property
    def level(self) -> float:
        """The value of the column `level`: requests per second."""
        return self.rate

    @property
    def auto_requests(self) -> int:
        """Measured requests under `max_requests="auto"`: at least 200, and one minute of arrivals, because 200 requests at 50 per
        second take 4 s."""
        return max(LEAST_REQUESTS, math.ceil(self.rate * SECONDS_OF_ARRIVALS))

    def around(self, requests: int) -> int:
        """About how many requests a steady level sends before and after its measured ones."""
        return requests // 2

    def at_once(self, guard: int | None) -> int | None:
        """The maximum number of requests in flight; None if there is no limit. `guard`: the config's `max_in_flight`."""
        return guard

    def __str__(self) -> str:
        return f"{self.rate:g} requests/s"


Load = ClosedLoop | OpenLoop
KINDS = (ClosedLoop.kind, OpenLoop.kind)


def load_of(kind: str, level: float) -> Load:
    """The load that the columns `load` and `level` describe. ValueError for any other kind."""
    if kind == ClosedLoop.kind:
        return ClosedLoop(int(level))
    if kind == OpenLoop.kind:
        return OpenLoop(float(level))
    raise ValueError(f"unknown load {kind!r}; expected {' or '.join(KINDS)}")


@dataclass(frozen=True, slots=True)
class LevelKey:
    """Identifies a level: one scenario under one load, all repeats together. `str()` gives the label that is shown everywhere.
    In a run with several batch sizes, each level's scenario includes its own, as `E(64,8)`."""

    scenario: str
    load: Load

    @classmethod
    def of(cls, row: Mapping[str, object]) -> LevelKey:
        """The key of a row that has the columns scenario, load and level."""
        return cls(str(row["scenario"]), load_of(str(row["load"]), float(str(row["level"]))))

    @property
    def columns(self) -> dict[str, str | float]:
        """The key as the columns of a row."""
        return {"scenario": self.scenario, "load": self.load.kind, "level": self.load.level}

    def __str__(self) -> str:
        return f"{self.scenario} at {self.load}"
