"""Token counts: what was said is kept, what can be is believed."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.usage import Counts, believe, normalise


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"prompt_tokens": 1, "input_tokens": 9}, {"prompt_tokens": 1, "input_tokens": 9}),
        ({"input_tokens": 1, "output_tokens": 2}, {"prompt_tokens": 1, "completion_tokens": 2}),
        ({"prompt_eval_count": 1, "eval_count": 2}, {"prompt_tokens": 1, "completion_tokens": 2}),
        ({"tokens_predicted": 2}, {"completion_tokens": 2}),
        (
            {"input_tokens": 1, "cache_creation_input_tokens": 4},
            {
                "prompt_tokens": 5,
                "cache_creation_input_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
        ),
    ],
)
def test_openai_names(said: dict[str, Any], usage: dict[str, Any]) -> None:
    assert normalise(said) == usage


def counts(usage: dict[str, Any], limit: int | None = None, has_output: bool = True) -> tuple[Counts, set[str]]:
    found, notes = believe(usage, has_output=has_output, limit=limit)
    return found, {note.partition(":")[0] for note in notes}


@pytest.mark.parametrize(
    ("value", "believed", "note"),
    [
        (12, 12, None),
        (12.0, 12, None),
        ("12", 12, "usage_text"),
        (" 7 ", 7, "usage_text"),
        (None, None, None),
        (0, None, "usage_unusable"),
        (-1, None, "usage_unusable"),
        (1.5, None, "usage_unusable"),
        (True, None, "usage_unusable"),
        ("many", None, "usage_unusable"),
        ("9" * 30, None, "usage_unusable"),
        ([], None, "usage_unusable"),
        (10**12, None, "usage_unusable"),
        (float("nan"), None, "usage_unusable"),
        (float("inf"), None, "usage_unusable"),
        ({"a": [1]}, None, "usage_unusable"),
    ],
)
def test_a_count_is_believed_or_not(value: Any, believed: int | None, note: str | None) -> None:
    found, notes = counts({"completion_tokens": value})
    assert found.completion == believed
    assert notes == ({note} if note else set())


def test_no_output_tokens_are_right_where_there_is_no_output() -> None:
    assert counts({"completion_tokens": 0}, has_output=False) == (Counts(completion=0), set())


def test_more_than_was_allowed() -> None:
    assert counts({"completion_tokens": 11}, limit=10) == (Counts(), {"over_max_tokens"})
    assert counts({"completion_tokens": 10}, limit=10) == (Counts(completion=10), set())


def test_details() -> None:
    usage = {
        "prompt_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens": 9,
        "completion_tokens_details": {"reasoning_tokens": 8},
    }
    assert counts(usage) == (Counts(5, 9, 8, 4), set())
    assert counts({"prompt_tokens_details": 1, "completion_tokens_details": []}) == (Counts(), set())
    assert counts({"cached_tokens": 2, "reasoning_tokens": 3}) == (Counts(reasoning=3, cached=2), set())


def test_nothing_said() -> None:
    assert believe(None, has_output=True, limit=1) == (Counts(), [])
