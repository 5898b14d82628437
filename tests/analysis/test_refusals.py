"""What a refusal names: a field by its whole name, and no word of a sentence that happens to be one."""

from __future__ import annotations

import pytest

from basetenkit.analysis.refusals import names, not_ready


@pytest.mark.parametrize(
    ("message", "field", "named"),
    [
        ("use 'max_completion_tokens'", "max_tokens", False),
        ("max_tokens is wrong", "max_tokens", True),
        ("this model is overloaded", "model", False),
        ("`model` is wrong", "model", True),
        ("model: Field required", "model", True),
        ("in the messages, 4900", "messages", False),
        ("top_k is odd", "k", False),
    ],
)
def test_a_field_is_named_by_its_whole_name(message: str, field: str, named: bool) -> None:
    assert (names(message, field) is not None) is named


@pytest.mark.parametrize("outcome", ["ok", "timeout", "connection_error"])
def test_only_what_the_server_reported_can_say_that_it_is_not_ready(outcome: str) -> None:
    row = {"outcome": outcome, "error_message": "the model is loading"}
    assert not not_ready(row)
    assert not_ready(row | {"outcome": "http_error"})
