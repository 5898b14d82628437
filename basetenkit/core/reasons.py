"""Why a level or a run ended: an enum, with the figures that belong to each reason, saved as they are.

The text is made when somebody looks. No code reads it: what a run does next depends on `reason` and `fields` alone, so a
sentence can change without anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class StopReason(StrEnum):
    """Why requests are no longer sent."""

    TIME = "time"  # max_seconds; fields: seconds
    FAILURES = "failures"  # the first requests all failed; fields: requests
    OVERLOAD = "overload"  # requests in flight rise for good; fields: early, late
    TOKENS = "tokens"  # max_total_tokens; fields: none
    STOPPED = "stopped"  # by the user, or with the process; fields: why
    NO_ANSWER = "no_answer"  # the request before the levels shows that none can succeed; fields: message
    NOT_WRITTEN = "not_written"  # the run's folder; fields: message
    WORKERS_LOST = "workers_lost"  # no process is left that sends; fields: none


_TEXTS: dict[StopReason, str] = {
    StopReason.TIME: "max_seconds={seconds:g} was reached",
    StopReason.FAILURES: "the first {requests} requests all failed (abort_after_failures)",
    StopReason.OVERLOAD: "the endpoint fell behind: {early:.3g}, then {late:.3g} in flight (stop_on_overload)",
    StopReason.TOKENS: "the guard on tokens was reached",
    StopReason.STOPPED: "{why}",
    StopReason.NO_ANSWER: "nothing answers: {message}",
    StopReason.NOT_WRITTEN: "{message}",
    StopReason.WORKERS_LOST: "every worker was lost",
}


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop: its reason, and the figures of it by name. Its text is `str(stop)`.

    >>> str(Stop(StopReason.TIME, {"seconds": 600.0}))
    'max_seconds=600 was reached'
    """

    reason: StopReason
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return _TEXTS[self.reason].format(**self.fields)

    def saved(self) -> dict[str, object]:
        """As run.json has it: {"reason": ..., and the fields}."""
        return {"reason": self.reason.value, **self.fields}

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        """What `saved` gave. ValueError if this version does not know the reason."""
        fields = dict(saved)
        return cls(StopReason(fields.pop("reason")), fields)
