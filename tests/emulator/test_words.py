"""Words and their number: what the embedded endpoint reports is what its own tokenizer counts."""

from __future__ import annotations

import math
import random

import pytest

from basetenkit.emulator.words import WordCounts, count, ring, run_of, unit_vector, vocabulary
from basetenkit.workload.tokenizer import load_tokenizer


def test_each_word_is_one_token_also_in_a_row() -> None:
    assert len(vocabulary()) > 50
    rng = random.Random(3)
    text = "".join(rng.choices(vocabulary(), k=2000))
    assert count(text) == 2000


def test_counts_are_those_of_the_tokenizer_that_ships() -> None:
    text = "Counting is done once, for Zürich and for 12,345 others. 😀\n\n  def f(x): return x"
    assert count(text) == load_tokenizer("embedded").count(text)


def test_a_tally_adds_its_texts_and_counts_when_it_is_asked() -> None:
    tally = WordCounts("one two", " the" * 500)
    before = tally.done
    assert not before
    assert tally.effort > WordCounts("one two").effort > 0
    assert tally() == count("one two") + 500
    assert tally.done
    assert tally() == count("one two") + 500


@pytest.mark.parametrize(("start", "n"), [(0, 3), (2, 3), (3, 9), (1, 0), (0, 4)])
def test_a_run_goes_round_the_ring(start: int, n: int) -> None:
    drawn = [10, 11, 12, 13]
    assert run_of(drawn, start, n) == [10 + (start + i) % 4 for i in range(n)]
    assert drawn == [10, 11, 12, 13]


def test_a_ring_is_drawn_in_order() -> None:
    numbers = iter(range(100))
    assert ring(lambda: next(numbers), 5) == [0, 1, 2, 3, 4]


def test_vectors_have_length_one_and_depend_on_the_text_alone() -> None:
    a, again, b = unit_vector("a", 16), unit_vector("a", 16), unit_vector("b", 16)
    assert a == again != b
    assert math.sqrt(sum(v * v for v in a)) == pytest.approx(1)
