"""Why a level or a run ended: an enum, and the figures of each reason, which are saved as they are.

The text is made when it is shown. No code reads it: a run's next step depends only on `reason` and `fields`, so a text can
change and nothing else has to.
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
    OVERLOAD = "overload"  # requests in flight keep rising; fields: early, late
    TOKENS = "tokens"  # max_total_tokens; fields: none
    STOPPED = "stopped"  # by the user, or because the process ends; fields: why
    NO_ANSWER = "no_answer"  # the request before the levels shows that no request can succeed; fields: message
    NOT_WRITTEN = "not_written"  # the run's folder could not be written; fields: message
    WORKERS_LOST = "workers_lost"  # no sending process is left; fields: none


_TEXTS: dict[StopReason, str] = {
    StopReason.TIME: "max_seconds={seconds:g} was reached",
    StopReason.FAILURES: "the first {requests} requests all failed (abort_after_failures)",
    StopReason.OVERLOAD: "requests in flight kept rising, from {early:.3g} to {late:.3g} (stop_on_overload)",
    StopReason.TOKENS: "max_total_tokens was reached",
    StopReason.STOPPED: "{why}",
    StopReason.NO_ANSWER: "nothing answers: {message}",
    StopReason.NOT_WRITTEN: "{message}",
    StopReason.WORKERS_LOST: "every worker was lost",
}


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop: its reason and its figures by name. Its text is `str(stop)`.

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
        """The stop that `saved` returned. ValueError if this version does not know the reason."""
        fields = dict(saved)
        return cls(StopReason(fields.pop("reason")), fields)
