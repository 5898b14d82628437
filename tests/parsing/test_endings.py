"""What a finish reason means: no reason yet, an end, or a failure."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.collector import Collector
from basetenkit.parsing.endings import failure_in, reason_in
from basetenkit.parsing.failures import Report


@pytest.mark.parametrize(
    "said", [None, "", " ", "null", "NULL", "None", "none", "nil", "<null>", {"type": None}, {}, 3, []]
)
def test_a_word_for_none_is_none(said: Any) -> None:
    assert reason_in(said) is None
    assert failure_in(said) is None


@pytest.mark.parametrize(
    "said",
    ["stop", "length", "tool_calls", "eos_token", "end_turn", "content_filter", "COMPLETE", "MAX_TOKENS", "SAFETY", "load",
     "stop_sequence", "pause_turn", "model_length", "completed", "incomplete", "recitation", "refusal"],
)  # fmt: skip
def test_an_end_is_no_failure(said: str) -> None:
    assert reason_in(said) == reason_in({"type": said, "length": 2}) == said
    assert failure_in(said) is None


@pytest.mark.parametrize(
    "said", ["abort", "Aborted", "cancelled", "canceled", "timeout", "timed_out", "USER_CANCEL", "clientDisconnected"]
)
def test_a_server_that_stopped_early_leaves_a_response_incomplete(said: str) -> None:
    report = failure_in(said)
    assert report is not None
    assert report.is_cut
    assert said in report.message


@pytest.mark.parametrize(
    "said", ["error", "ERROR", "network_error", "internalError", "failed", "insufficient_system_resource"]
)
def test_a_failure_is_an_error(said: str) -> None:
    report = failure_in(said)
    assert report is not None
    assert (report.is_bare, report.is_cut) == (True, False)
    assert said in report.message


def test_the_message_of_an_abort_is_the_errors() -> None:
    said = {"type": "abort", "message": "it does not fit", "status_code": 400, "err_type": "BadRequestError"}
    assert failure_in(said) == Report("it does not fit", "400")


def test_a_failure_with_a_message_counts_more_than_a_bare_reason() -> None:
    out = Collector(b"")
    out.set_finish_reason("error")
    out.take_failure(Report("the upstream hung up", "502"))
    out.set_finish_reason("abort")
    out.set_finish_reason("null")
    assert out.failed == Report("the upstream hung up", "502")
    assert out.finish_reason == "abort"
