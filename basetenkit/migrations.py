"""What earlier versions saved -> what this one reads. Applied when a run folder is read; the folder's files stay as they are.

Version 1 kept some facts as sentences alone. This is the one place where a sentence of ours is read again, by the patterns
that version 1 wrote: they are history, and do not change with today's texts.
"""

from __future__ import annotations

import re
from typing import Any

from .reasons import Stop, StopReason

_ENDED_BY: tuple[tuple[StopReason, str, type], ...] = (
    (StopReason.TIME, r"max_seconds=(?P<seconds>\S+) was reached", float),
    (StopReason.FAILURES, r"the first (?P<requests>\d+) requests all failed \(give_up_after\)", int),
    (
        StopReason.OVERLOAD,
        r"the endpoint fell behind: (?P<early>\S+), then (?P<late>\S+) in flight \(stop_behind\)",
        float,
    ),
    (StopReason.NO_ANSWER, r"nothing answers: (?P<message>.*)", str),
    (StopReason.NOT_WRITTEN, r"(?P<message>the run folder .* cannot be written.*)", str),
    (StopReason.WORKERS_LOST, r"every worker was lost", str),
)


def document(saved: dict[str, Any]) -> dict[str, Any]:
    """The content of a run.json of any earlier version, as this version writes it. `saved` may be changed."""
    if saved["schema"] >= 2:
        return saved
    for level in saved.get("levels", []):
        if isinstance(level.get("ended_by"), str):
            level["ended_by"] = ended_by(level["ended_by"]).saved()
    about = saved.get("metadata", {})
    limit = saved.get("config", {}).get("capture_limit_mb")
    about["events"] = [_event(event, limit) for event in about.get("events", [])]
    return saved | {"schema": 2}


def ended_by(text: str) -> Stop:
    """The stop that version 1 wrote as this text; a text of the user's own is why they stopped it."""
    for reason, pattern, kind in _ENDED_BY:
        if found := re.fullmatch(pattern, text, re.DOTALL):
            return Stop(reason, {name: kind(value) for name, value in found.groupdict().items()})
    return Stop(StopReason.STOPPED, {"why": text})


def _event(event: dict[str, Any], capture_limit_mb: Any) -> dict[str, Any]:
    """An event of version 1 as a finding's code and fields."""
    if "fields" in event:
        return {name: value for name, value in event.items() if name != "what"}
    fields = {name: value for name, value in event.items() if name != "what"}
    if event["what"] == "capture_full":
        fields["limit"] = capture_limit_mb
    elif event["what"] == "clock_stepped":
        fields = {"step_ms": event["step_s"] * 1e3}
    elif "message" in event:
        fields["message"] = event["message"].rstrip(".")
    return {"code": event["what"], "fields": fields}
