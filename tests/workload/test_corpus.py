from __future__ import annotations

from pathlib import Path

from basetenkit.workload import corpus
from basetenkit.workload.tokenizer import load_tokenizer


def test_there_are_many_different_plain_sentences() -> None:
    lines = corpus.lines()
    assert len(lines) == len(set(lines)) == 22_000
    assert all(line.isascii() and line.isprintable() and line == line.strip() for line in lines)
    assert all(line[0].isupper() and line[-1] in ".?!" for line in lines)


def test_it_tokenizes_like_ordinary_prose() -> None:
    lines = corpus.lines()
    tokens = sum(load_tokenizer(None).counts([f" {line}" for line in lines]))
    assert 1.2 <= tokens / sum(len(line.split()) for line in lines) <= 1.4


def test_words_are_lower_case_and_all_different() -> None:
    words = corpus.words()
    assert len(words) == len(set(words)) > 3000
    assert all(word.isalpha() and word.islower() and 3 <= len(word) <= 10 for word in words)
    assert words[0] == "the"


def test_the_files_that_ship_are_small() -> None:
    folder = Path(corpus.__file__).parent / "data"
    assert (folder / "corpus.txt.gz").stat().st_size < 1_500_000
    assert (folder / "tokenizer.json").stat().st_size < 2_000_000
