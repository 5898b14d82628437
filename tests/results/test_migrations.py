"""What version 1 saved as text alone, read as data. The texts are those that version 1 wrote."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from basetenkit.core.findings import Finding
from basetenkit.core.notes import note
from basetenkit.core.reasons import StopReason
from basetenkit.results.migrations import document, ended_by, noted, requests
from basetenkit.results.row_notes import saved
from basetenkit.results.schema import SCHEMA


@pytest.mark.parametrize(
    ("text", "reason", "fields"),
    [
        ("max_seconds=600 was reached", StopReason.TIME, {"seconds": 600.0}),
        ("max_seconds=0.5 was reached", StopReason.TIME, {"seconds": 0.5}),
        ("the first 50 requests all failed (give_up_after)", StopReason.FAILURES, {"requests": 50}),
        (
            "the endpoint fell behind: 12.5, then 1.2e+03 in flight (stop_behind)",
            StopReason.OVERLOAD,
            {"early": 12.5, "late": 1200.0},
        ),
        ("nothing answers: refused (port 9)", StopReason.NO_ANSWER, {"message": "refused (port 9)"}),
        (
            "the run folder runs/a cannot be written: No space left",
            StopReason.NOT_WRITTEN,
            {"message": "the run folder runs/a cannot be written: No space left"},
        ),
        ("every worker was lost", StopReason.WORKERS_LOST, {}),
        ("stop() was called", StopReason.STOPPED, {"why": "stop() was called"}),
        ("I say max_seconds=3 was reached", StopReason.STOPPED, {"why": "I say max_seconds=3 was reached"}),
    ],
)
def test_why_a_level_ended(text: str, reason: StopReason, fields: dict[str, Any]) -> None:
    stop = ended_by(text)
    assert (stop.reason, stop.fields) == (reason, fields)
    saved = {"schema": 1, "levels": [{"ended_by": text}, {"ended_by": None}, {}]}
    assert document(saved)["levels"] == [{"ended_by": stop.saved()}, {"ended_by": None}, {}]


def test_what_was_told_of_a_run() -> None:
    old = [
        {"what": "nothing_answers", "message": "refused.", "advice": "Check the port."},
        {"what": "capture_full", "n": 3},
        {"what": "clock_stepped", "step_s": 0.25},
        {"what": "data", "code": "data_unsent", "fields": {"sent": "a", "unsent": "b"}, "lost": True},
    ]
    saved = {"schema": 1, "config": {"capture_limit_mb": 7}, "metadata": {"events": old}, "levels": []}
    found = [Finding.of(event) for event in document(saved)["metadata"]["events"]]
    assert [f.code for f in found] == ["nothing_answers", "capture_full", "clock_stepped", "data_unsent"]
    assert "so no level was run: refused." in found[0].sentence
    assert found[0].cure.startswith("Check the port.")
    assert found[1].sentence == "The raw bytes of 3 exchanges were not saved: capture_limit_mb=7 was reached."
    assert "by 250 ms" in found[2].sentence


def test_what_this_version_saved_stays_as_it_is() -> None:
    saved = {"schema": 2, "levels": [{"ended_by": {"reason": "time", "seconds": 3.0}}]}
    assert document(saved) is saved


def test_the_notes_of_rows() -> None:
    """Of version 1 the words are kept as they were; what an analysis asks for is read out of them."""
    old = [
        "over_max_tokens: the server reported 60 where 20 was the most; used, because the text counts 61",
        "over_max_tokens: the server reported 60 where 20 was the most; not used",
        "first_message: 5 of 20 tokens came in the first message: TPOT is of the other tokens",
        "special_tokens: 2 token(s) of the response are marked as special: they are counted and are not in the text",
        "stray_line: the event stream has a line that is no field and no comment: over_max_tokens: 1\n2",
    ]
    rows = frame([{"warnings": old}, {"warnings": []}])
    now = frame([{"notes": [saved(note("bom"))]}])
    found = requests(pl.concat([rows, now])).collect()
    assert found["warnings"].to_list() == [old, [], [str(note("bom"))]]
    assert [[n["code"] for n in notes] for notes in found["notes"]] == [
        ["over_max_tokens", "over_max_tokens", "first_message", "special_tokens", "stray_line"],
        [],
        ["bom"],
    ]
    assert [noted(text).fields for text in old] == [
        {"value": 60, "limit": 20, "counted": 61},
        {"value": 60, "limit": 20},
        {"n": 5, "tokens": 20},
        {"n": 2},
        {},
    ]


def test_the_numbers_and_causes_of_rows() -> None:
    messages = {
        "this machine's own limit, not the endpoint's: no local port is free": "own_limit",
        "the host name 'h' cannot be resolved: Name or service not known": "unresolved",
        "no connection to h:9: Connection refused": "refused",
        "the TLS certificate of h:443 was not accepted: self-signed certificate": "tls_certificate",
        "the TLS handshake with h:80 failed: WRONG_VERSION_NUMBER": "tls_handshake",
        "no connection to h:9 within 30 s (connect_timeout_s)": None,
        "HTTP 400: the TLS certificate of h was not accepted": None,
    }
    old = [
        {"request_id": f"s-000-t2-{i:06d}", "error_message": said, "warnings": []} for i, said in enumerate(messages)
    ]
    found = requests(frame(old)).collect()
    assert found["number"].to_list() == list(range(len(messages)))
    assert found["error_cause"].to_list() == list(messages.values())
    message = "no connection to h:9: Connection refused"
    now = {"request_id": "s-000-000007", "number": 3, "error_message": message, "notes": []}
    assert requests(frame([now])).select("number", "error_cause").collect().row(0) == (3, None)


def frame(rows: list[dict[str, Any]]) -> pl.LazyFrame:
    return pl.LazyFrame(rows, schema=SCHEMA)
