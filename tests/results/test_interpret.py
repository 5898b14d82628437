"""What an exchange's bytes mean, with what the endpoint and the request say."""

from __future__ import annotations

from array import array
from typing import Any

import basetenkit as bk
from basetenkit.core.types import Exchange, Failure, Outcome, Request
from basetenkit.results.interpret import interpret

from ..making import URL


def test_reading_uses_what_the_endpoint_and_the_request_say() -> None:
    body = b'{"out": {"said": "echo: hello"}}'
    request = Request("r", b"{}", "s", prompt="echo: ", output_tokens_target=5)
    x = Exchange(request, status=200, body=body, reads=array("q", [1, 1, 1, len(body)]), sent_ns=0)
    endpoint = bk.Endpoint(url=URL, stream=False, response_path="out.said")
    assert interpret(x, endpoint).text == "hello"
    assert any(w.startswith("echo") for w in interpret(x, endpoint).warnings)
    assert not any(w.startswith("not_streamed") for w in interpret(x, endpoint).warnings)
    assert any(
        w.startswith("not_streamed") for w in interpret(x, bk.Endpoint(url=URL, response_path="out.said")).warnings
    )


def test_the_transports_verdict_is_the_outcome() -> None:
    failure = Failure(Outcome.TIMEOUT, "no byte within 3 s (first_byte_timeout_s)")
    parsed = interpret(Exchange(Request("r", b"", ""), failure=failure), bk.Endpoint(url=URL))
    assert (parsed.outcome, parsed.error_message) == (Outcome.TIMEOUT, failure.message)


def test_a_response_that_cannot_be_read_is_a_row_that_says_so() -> None:
    broken: Any = [("content-type",)]  # no pair: as a defect of ours might leave it
    x = Exchange(Request("r", b"", ""), status=200, headers=broken, body=b"{}", sent_ns=0)
    parsed = interpret(x, bk.Endpoint(url=URL))
    assert parsed.outcome is Outcome.MALFORMED
    assert "basetenkit failed to read this response (ValueError" in (parsed.error_message or "")
