"""What a chat template adds, from gaps between counted and reported tokens that are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from basetenkit.analysis.chat_template import template_tokens


def found(gaps: list[int], messages: list[int] | int = 1) -> list[int]:
    counts = [messages] * len(gaps) if isinstance(messages, int) else messages
    tokens: list[int] = template_tokens(np.array(gaps), np.array(counts)).tolist()
    return tokens


def test_the_same_in_each_request_is_the_template_and_a_stray_request_is_not() -> None:
    assert found([13] * 8 + [15, 10]) == [13] * 10
    assert found([13] * 4) == [0] * 4
    assert found([-3] * 9) == [0] * 9


@pytest.mark.parametrize(("base", "each"), [(3, 4), (0, 7), (25, 1)])
def test_a_line_in_the_number_of_messages_is_found_exactly(base: int, each: int) -> None:
    messages = [1, 3, 5, 7, 2, 4] * 3
    gaps = [base + each * m for m in messages]
    assert found(gaps, messages) == gaps


def test_a_line_survives_a_tokenizer_that_is_off_by_one() -> None:
    rng = np.random.default_rng(2)
    messages = rng.integers(1, 16, 200)
    line = 20 + 4 * messages
    got = template_tokens(line + rng.integers(-1, 2, 200), messages)
    assert np.abs(got - line).max() <= 1


@pytest.mark.parametrize("seed", range(20))
def test_gaps_without_a_line_are_no_template(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert found(rng.integers(0, 40, 60).tolist(), rng.integers(1, 9, 60).tolist()) == [0] * 60


def test_what_is_added_from_some_turn_on_is_not_the_templates() -> None:
    messages = [1, 3, 5, 7, 9, 11] * 4
    gaps = [3 + 4 * m + (60 if m > 7 else 0) for m in messages]
    assert found(gaps, messages) == [3 + 4 * m for m in messages]
