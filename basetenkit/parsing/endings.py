"""What a finish reason means: no reason yet, an end, or a failure of the server.

Servers spell all three as one string, or as SGLang's object with a type. A response whose reason names a failure ended
because the server stopped serving it, so it must never count as a success, whatever else the stream contains.
"""

from __future__ import annotations

import re

from basetenkit.parsing.failures import Report, report_in_body
from basetenkit.parsing.lenient import clean

_MOST = 200  # characters of a reason that are kept
# Words by which servers spell "no reason yet"; in any case.
_NONE = frozenset({"", "null", "none", "nil", "undefined", "not_finished", "unfinished", "finish_reason_unspecified"})
# A reason with one of these words names a failure that the server reports ...
_FAILED = frozenset({
    "error", "errored", "errors", "fail", "failed", "failure", "exception", "crash", "crashed", "insufficient",
    "unavailable", "overloaded", "oom",
})  # fmt: skip
# ... and one with one of these says that the server stopped early.
_STOPPED = frozenset({
    "abort", "aborted", "cancel", "canceled", "cancelled", "cancellation", "timeout", "timed", "interrupted", "disconnect",
    "disconnected", "preempted", "killed", "terminated",
})  # fmt: skip
_WORD = re.compile(r"[a-z]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def reason_in(said: object) -> str | None:
    """The finish reason as a string, from a string or from an object with a type; None if it is a word for none."""
    if isinstance(said, dict):
        said = said.get("type")
    if not isinstance(said, str) or said.strip().strip("\"'<>").lower() in _NONE:
        return None
    return clean(said)[:_MOST]


def failure_in(said: object) -> Report | None:
    """The failure that a finish reason names, or None. `said`: a string, or an object with a type and a message."""
    reason = reason_in(said)
    if reason is None:
        return None
    words = set(_WORD.findall(_HUMP.sub(" ", reason).lower()))
    if not words & (_FAILED | _STOPPED):
        return None
    if isinstance(said, dict) and said.get("message"):
        return report_in_body({key: value for key, value in said.items() if key != "type"})
    sentence = f'the server ended the response with finish_reason "{reason}"'
    return Report(sentence, is_bare=True, is_cut=not words & _FAILED)
