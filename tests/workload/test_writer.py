"""Texts to length out of a data set's own: exact, opened by words of their own, the same bytes by the same seed."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from basetenkit.workload.lexicon import lexicon
from basetenkit.workload.tokenizer import Tokenizer, load_tokenizer
from basetenkit.workload.writer import OPENING_WORDS, Quoted, Writer

from .test_sampler import trained

ONE = ["  Das Schiff fährt übers Meer – weit, weit hinaus.\n\n\n\tUnd kehrt nicht zurück…  "]
FEW = [
    "def f(x):\n    return x  # née\n",
    "日本語の文章です。そして続く。",
    "A😀B 👩‍👩‍👧 C",
    "x",
    "1234567890" * 40,
    "word " * 400,
]
KINDS = {"one": ONE, "few": FEW, "many": [f"Entry {i} says {i * 7919} and nothing more." for i in range(300)]}


def writer(texts: list[str], tokenizer: Tokenizer, seed: int = 1, share: tuple[int, int] = (0, 1)) -> Writer:
    measured = lexicon(tokenizer)
    return Writer(measured, tokenizer, Random(seed), share, Quoted(texts, measured, tokenizer))


def python_only(folder: Path) -> Tokenizer:
    """A tokenizer that transformers has only in Python, and so without the ends of tokens: its tokens are bytes."""
    from transformers import ByT5Tokenizer

    ByT5Tokenizer().save_pretrained(folder)
    return load_tokenizer(str(folder))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["bpe", "unigram", "wordpiece", "whole", "embedded"])
def test_a_data_sets_texts_have_exactly_the_tokens_asked_for(
    family: str, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / family
    folder.mkdir(exist_ok=True)
    tokenizer = load_tokenizer(None) if family == "embedded" else trained(family, str(folder))
    source = writer(KINDS[kind], tokenizer)
    lengths = [*range(1, 40), *range(40, 400, 11), 1500]
    written = [(n, *source.write(n)) for n in lengths]
    assert [(n, n) for n, _, _ in written] == [(said, tokenizer.count(text)) for _, text, said in written]
    assert all(text == text.strip() for _, text, _ in written)
    openings = [" ".join(text.split()[:OPENING_WORDS]) for n, text, _ in written if n > 20]
    assert len(set(openings)) == len(openings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["bytes", "byt5"])
def test_where_words_are_of_several_tokens_each_a_cut_that_they_can_fill_is_found(
    family: str, kind: str, tmp_path: Path
) -> None:
    tokenizer = python_only(tmp_path) if family == "byt5" else trained(family, str(tmp_path))
    assert tokenizer.is_slow is (family == "byt5")
    source = writer(KINDS[kind], tokenizer)
    for n in [*range(20, 300, 7), 2000]:
        text, said = source.write(n)
        assert said == n == tokenizer.count(text)


def test_what_follows_the_opening_is_the_data_sets_from_a_random_entry_on_and_over_again() -> None:
    texts = [f"<{i}> the entry of number {i}." for i in range(5)]
    source = writer(texts, load_tokenizer(None))
    firsts = set()
    for _ in range(40):
        text, _ = source.write(200)
        body = text.split(" ", OPENING_WORDS)[OPENING_WORDS]
        first = int(body[1])
        firsts.add(first)
        order = " ".join(texts[(first + i) % 5] for i in range(40))
        shared = next(i for i, (a, b) in enumerate(zip(body, order, strict=False)) if a != b or i == len(body) - 1)
        assert len(body) - shared < 40, "but for a last word or two all of it is the data set's"
    assert firsts == set(range(5))


def test_a_long_entry_is_cut_and_the_opening_is_still_new() -> None:
    entry = " ".join(f"w{i}" for i in range(30_000))
    source = writer([entry], load_tokenizer(None))
    texts = [source.write(100) for _ in range(50)]
    assert {count for _, count in texts} == {100}
    assert all(entry.startswith(text.split(" ", OPENING_WORDS)[OPENING_WORDS][:100]) for text, _ in texts)
    assert len({" ".join(text.split()[:OPENING_WORDS]) for text, _ in texts}) == 50


def test_the_same_seed_writes_the_same_and_another_shares_no_opening() -> None:
    def written(**apart: object) -> list[str]:
        source = writer(FEW, load_tokenizer(None), **apart)  # type: ignore[arg-type]
        return [source.write(60)[0] for _ in range(40)]

    def openings(texts: list[str]) -> set[str]:
        return {" ".join(text.split()[:OPENING_WORDS]) for text in texts}

    assert written() == written()
    assert not openings(written()) & openings(written(seed=2))
    assert not openings(written(share=(0, 2))) & openings(written(share=(1, 2)))


def test_a_prefix_stands_before_the_opening_and_counts() -> None:
    source = writer(ONE, load_tokenizer(None))
    prefix, reached = source.write(50)
    text, count = source.write(reached + 30, prefix, reached)
    assert text.startswith(prefix + " ")
    assert count == reached + 30
