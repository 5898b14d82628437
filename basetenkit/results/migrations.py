"""Runs saved by earlier versions -> the current schema. Applied when a run folder is read; the folder's files stay as they are.

Version 1 kept some facts as sentences alone. This is the one place where a sentence of ours is read again, by the patterns
that version 1 wrote: they are history, and do not change with today's texts.
"""

from __future__ import annotations

import re
from functools import lru_cache

import polars as pl

from ..config.run_config import RENAMED
from ..core.notes import Note
from ..core.reasons import Stop, StopReason
from ..core.types import Cause, JsonObject
from .row_notes import in_words, saved
from .schema import NOTES

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


def document(old: JsonObject) -> JsonObject:
    """The content of a run.json of any earlier version, as this version writes it. `old` may be changed."""
    if old["schema"] >= 2:
        return old
    if isinstance(old.get("config"), dict):
        old["config"] = {RENAMED.get(name, name): value for name, value in old["config"].items()}
    for level in old.get("levels", []):
        if isinstance(level.get("ended_by"), str):
            level["ended_by"] = ended_by(level["ended_by"]).saved()
    about = old.get("metadata", {})
    limit = old.get("config", {}).get("capture_limit_mb")
    about["events"] = [_event(event, limit) for event in about.get("events", [])]
    return old | {"schema": 2}


def ended_by(text: str) -> Stop:
    """The stop that version 1 wrote as this text; a text of the user's own is why they stopped it."""
    for reason, pattern, kind in _ENDED_BY:
        if found := re.fullmatch(pattern, text, re.DOTALL):
            return Stop(reason, {name: kind(value) for name, value in found.groupdict().items()})
    return Stop(StopReason.STOPPED, {"why": text})


def _event(event: JsonObject, capture_limit_mb: object) -> JsonObject:
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


# The figures of notes that an analysis asks for. Of the others the code is enough: their words are kept as they were.
_NOTED: dict[str, str] = {
    "over_max_tokens": r"the server reported (?P<value>\d+) where (?P<limit>\d+) was the most; "
    r"(?:not used|used, because the text counts (?P<counted>\d+))",
    "first_message": r"(?P<n>\d+) of (?P<tokens>\d+) tokens came in the first message.*",
    "special_tokens": r"(?P<n>\d+) token\(s\) of the response.*",
}

_CAUSES = {
    Cause.OWN_LIMIT: r"^this machine's own limit, not the endpoint's: ",
    Cause.TLS_CERTIFICATE: r"^the TLS certificate of .* was not accepted|^its TLS certificate was not accepted",
    Cause.TLS_HANDSHAKE: r"^the TLS handshake (?:with .* )?failed",
    Cause.UNRESOLVED: r"^the host name .* cannot be resolved",
    Cause.REFUSED: r"^no connection to .*: Connection refused|^the proxy refused",
}


def requests(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of any version. Those of version 1 get their notes, numbers and causes from the words and ids that it kept; all
    others get their words."""
    texts = pl.col("warnings").fill_null([])
    old = texts.list.eval(pl.element().map_batches(_notes, return_dtype=NOTES.inner))
    wordless = pl.when(pl.col("warnings").is_null()).then(pl.col("notes"))
    is_old, message = pl.col("notes").is_null(), pl.col("error_message")
    cause = pl.coalesce(pl.when(message.str.contains(text)).then(pl.lit(name.value)) for name, text in _CAUSES.items())
    return rows.with_columns(
        notes=pl.coalesce("notes", old),
        warnings=pl.coalesce("warnings", in_words(wordless)),
        number=pl.when(is_old).then(pl.col("request_id").str.extract(r"-(\d+)$").cast(pl.Int64)).otherwise("number"),
        error_cause=pl.when(is_old).then(cause).otherwise("error_cause"),
    )


def _notes(texts: pl.Series) -> pl.Series:
    return pl.Series([saved(noted(text)) for text in texts], dtype=NOTES.inner)


@lru_cache(4096)
def noted(text: str) -> Note:
    """The note that version 1 wrote as this text."""
    code, _, sentence = text.partition(": ")
    found = re.fullmatch(_NOTED.get(code, ""), sentence, re.DOTALL)
    return Note(code, {name: int(n) for name, n in found.groupdict().items() if n} if found else {})
