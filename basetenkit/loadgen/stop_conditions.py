"""When a level stops: one class per condition, which returns a `Stop`.

| condition | asked | what it ends |
|---|---|---|
| `TokenLimit` (max_total_tokens) | before each request | sending; requests in flight end by themselves |
| `TimeLimit` (max_seconds) | by a timer | the level; requests in flight are cut |
| `FirstFailures` (abort_after_failures) | after each response that failed | the level |
| `Overload` (stop_on_overload) | each second | the level |
| `PrecisionReached` (until) | each second in which a look is due | sending; the measured requests that were sent are all |
| `StopRequest` (stop(), an interrupt, the folder cannot be written) | at once | the run |

The number of requests of a level (max_requests) is not a condition here: each request gets its number from the `SharedCounters`,
and when there are no more numbers, the level ends. A new condition is a class with `check`, and a function that makes it,
listed in `AFTER_FAILURES` or `EACH_SECOND`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import polars as pl

from ..config.loads import Load
from ..config.looks import FIRST_LOOK
from ..config.run_config import RunConfig
from ..core.reasons import Stop, StopReason
from ..stats.growth import rises


class ResponseCounts(Protocol):
    """Responses of a level, over all processes that send it."""

    @property
    def finished(self) -> int: ...

    @property
    def successes(self) -> int: ...


@dataclass(slots=True)
class Seen:
    """The state of a level while it is sent."""

    counts: ResponseCounts
    sent: int = 0
    in_flight_each_second: Sequence[int] = ()


class StopCondition(Protocol):
    """One reason to end a level."""

    def check(self, seen: Seen) -> Stop | None:
        """The stop, if there is reason for it by now."""


class Spent(Protocol):
    """Tokens of a run, over all processes that send it."""

    @property
    def tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """So many tokens in a run; None: any number."""

    limit: int | None = None

    def forbids(self, promised: int, spent: Spent) -> bool:
        """Whether a request that may take `promised` tokens must not go, as others are `spent` or promised already."""
        return self.limit is not None and spent.tokens + promised > self.limit


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """So many seconds in a level."""

    seconds: float

    @property
    def stop(self) -> Stop:
        """The text when they are over."""
        return Stop(StopReason.TIME, {"seconds": self.seconds})


@dataclass(frozen=True, slots=True)
class FirstFailures:
    """The first so many requests, wherever they were sent, all failed."""

    limit: int

    def check(self, seen: Seen) -> Stop | None:
        if seen.counts.finished < self.limit or seen.counts.successes:
            return None
        return Stop(StopReason.FAILURES, {"requests": self.limit})


@dataclass(frozen=True, slots=True)
class Overload:
    """Requests in flight rise for good: the endpoint serves fewer than come."""

    def check(self, seen: Seen) -> Stop | None:
        found = rises(seen.in_flight_each_second, seen.sent)
        return found and Stop(StopReason.OVERLOAD, {"early": float(found[0]), "late": float(found[1])})


class Look(Protocol):
    """What a look at a level's figures found: whether each is precise enough, and after how many requests to look again."""

    @property
    def enough(self) -> bool: ...

    @property
    def next_look(self) -> int: ...


LookT = TypeVar("LookT", bound=Look)


class PrecisionReached(Generic[LookT]):
    """Half the interval of each figure of `until` is within its share. `measure`: rows and chunks of a level -> how precise its
    figures are; `reached`: what the last look gave."""

    def __init__(self, config: RunConfig, measure: Callable[[pl.DataFrame, pl.LazyFrame], LookT]) -> None:
        self._asked, self._warm_up, self._measure = bool(config.until), config.warmup_requests, measure
        self.reached: LookT | None = None

    def due(self, finished: int) -> bool:
        """Whether a look is due, as so many requests have ended: looks are few, as each is a chance to stop by luck."""
        return self._asked and finished - self._warm_up >= self._next_look

    @property
    def _next_look(self) -> int:
        return FIRST_LOOK if self.reached is None else self.reached.next_look

    def look(self, rows: pl.DataFrame, chunks: pl.LazyFrame) -> LookT:
        """How precise the figures of a level's rows are."""
        self.reached = self._measure(rows, chunks)
        return self.reached

    @property
    def enough(self) -> bool:
        """Whether the last look found every figure precise enough."""
        return self.reached is not None and self.reached.enough


class StopRequest:
    """Somebody asked for a stop; the first to ask is the one who is named."""

    def __init__(self) -> None:
        self.made: Stop | None = None

    def ask(self, stop: Stop) -> None:
        self.made = self.made or stop


def _first_failures(config: RunConfig, load: Load) -> StopCondition | None:
    return None if config.abort_after_failures is None else FirstFailures(config.abort_after_failures)


def _overload(config: RunConfig, load: Load) -> StopCondition | None:
    return Overload() if config.stop_on_overload and load.scheduled else None


Make = Callable[[RunConfig, Load], StopCondition | None]
AFTER_FAILURES: list[Make] = [_first_failures]  # asked after each response that failed
EACH_SECOND: list[Make] = [_overload]


def conditions(makes: Iterable[Make], config: RunConfig, load: Load) -> list[StopCondition]:
    """The conditions that a level with this load has, of those that `makes` make."""
    return [made for make in makes if (made := make(config, load)) is not None]


def first_stop(conditions: Iterable[StopCondition], seen: Seen) -> Stop | None:
    """The stop of the first condition that has reason for one."""
    return next((stop for condition in conditions if (stop := condition.check(seen)) is not None), None)
