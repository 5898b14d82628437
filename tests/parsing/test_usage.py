"""Token counts: the reported values are kept, and plausible ones are used."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.usage import UsageCounts, merge, normalise, validate_usage


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


def counts(usage: dict[str, Any], limit: int | None = None, has_output: bool = True) -> tuple[UsageCounts, set[str]]:
    found, notes = validate_usage(usage, has_output=has_output, limit=limit)
    return found, {note.code for note in notes}


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
    assert counts({"completion_tokens": 0}, has_output=False) == (UsageCounts(completion=0), set())


def test_more_than_was_allowed() -> None:
    assert counts({"completion_tokens": 11}, limit=10) == (UsageCounts(), {"over_max_tokens"})
    assert counts({"completion_tokens": 10}, limit=10) == (UsageCounts(completion=10), set())


@pytest.mark.parametrize(
    ("counted", "is_confirmed"), [(60, True), (50, True), (20, False), (30, False), (90, False), (None, False)]
)
def test_a_count_above_the_limit_is_confirmed_by_the_texts_own(counted: int | None, is_confirmed: bool) -> None:
    found, notes = validate_usage({"completion_tokens": 60}, has_output=True, limit=20)
    assert [*map(str, notes)] == ["over_max_tokens: the server reported 60 tokens, more than the limit of 20; not used"]
    assert (found.completion, found.above) == (None, 60)
    assert found.is_confirmed_by(counted) is is_confirmed


@pytest.mark.parametrize(
    ("prompt", "completion", "total", "reasoning", "cached", "right", "notes"),
    [
        (20, 100, 120, 93, None, UsageCounts(20, 100, 93), set()),
        (20, 7, 120, 93, None, UsageCounts(20, 100, 93), {"count_beside"}),
        (20, 50, 100, 30, None, UsageCounts(20, 80, 30), {"count_beside"}),
        (20, 7, None, 93, None, UsageCounts(20), {"part_of_count"}),
        (20, 7, 27, 93, None, UsageCounts(20, 7), {"part_of_count"}),
        (4, 3, 2007, None, 2000, UsageCounts(2004, 3, None, 2000), {"count_beside"}),
        (4, 3, None, None, 2000, UsageCounts(None, 3), {"part_of_count"}),
        (4, 3, 7, None, 2000, UsageCounts(4, 3), {"part_of_count"}),
        (4, 3, 17, 5, 5, UsageCounts(9, 8, 5, 5), {"count_beside"}),
        (4, 3, 99, 1, 1, UsageCounts(4, 3, 1, 1), set()),
        (4, 3, 7, 3, 4, UsageCounts(4, 3, 3, 4), set()),
    ],
)  # fmt: skip
def test_a_part_and_its_whole(
    prompt: int, completion: int, total: int, reasoning: int, cached: int, right: UsageCounts, notes: set[str]
) -> None:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    assert counts(usage) == (right, notes)


def test_a_later_null_or_zero_replaces_no_count() -> None:
    said = merge({}, {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}})
    said = merge(said, {"prompt_tokens": 0, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0}})
    said = merge(said, {"completion_tokens": None, "prompt_tokens_details": None})
    assert said == {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}


def test_anthropics_cache_may_come_with_any_message() -> None:
    first, last = {"input_tokens": 4, "cache_read_input_tokens": 2000}, {"input_tokens": 4, "output_tokens": 3}
    for one, other in ((first, last), (last, first), (first, {"input_tokens": 0, "output_tokens": 3})):
        found = normalise(merge(merge({}, one), other))
        assert (found["prompt_tokens"], found["completion_tokens"]) == (2004, 3)
        assert found["prompt_tokens_details"] == {"cached_tokens": 2000}


def test_thinking_tokens_are_reasoning_tokens() -> None:
    said = normalise({"input_tokens": 4, "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 20}})
    assert counts(said) == (UsageCounts(4, 30, 20), set())


def test_details() -> None:
    usage = {
        "prompt_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens": 9,
        "completion_tokens_details": {"reasoning_tokens": 8},
    }
    assert counts(usage) == (UsageCounts(5, 9, 8, 4), set())
    assert counts({"prompt_tokens_details": 1, "completion_tokens_details": []}) == (UsageCounts(), set())
    assert counts({"cached_tokens": 2, "reasoning_tokens": 3}) == (UsageCounts(reasoning=3, cached=2), set())


def test_nothing_said() -> None:
    assert validate_usage(None, has_output=True, limit=1) == (UsageCounts(), [])
