"""How many tokens the corpus's words and sentences add under a tokenizer, and the prompts that are put together from them."""

from __future__ import annotations

from random import Random

import pytest

from basetenkit.workload.lexicon import lexicon
from basetenkit.workload.tokenizer import load_tokenizer
from basetenkit.workload.writer import OPENING_WORDS, Writer


def test_the_lexicon_says_what_its_texts_add() -> None:
    tokenizer = load_tokenizer(None)
    lex = lexicon(tokenizer)
    assert {tokenizer.count(word) for word in lex.starts} == {lex.start_tokens} == {1}
    assert {tokenizer.count(f" {word}") for word in lex.words} == {lex.word_tokens} == {1}
    assert len(lex.starts) * len(lex.words) ** (OPENING_WORDS - 1) > 2**60
    for tokens, pool in lex.by_tokens.items():
        assert tokenizer.counts([f" {text}" for text in pool[:5]]) == [tokens] * len(pool[:5])


@pytest.mark.parametrize("tokens", [1, 2, 17, 100, 5000])
def test_body_and_tail_add_up(tokens: int) -> None:
    lex, tokenizer = lexicon(load_tokenizer(None)), load_tokenizer(None)
    pieces, sizes = lex.body(tokens, Random(1))
    rest = tokens - sum(sizes)
    assert 0 <= rest <= lex.longest
    text = " ".join(["and", *pieces, *lex.tail(rest, Random(1))])
    assert tokenizer.count(text) == tokenizer.count("and") + tokens


def test_no_piece_of_a_prompt_is_new_to_the_tokenizer() -> None:
    tokenizer = load_tokenizer(None)
    pieces = tokenizer._backend._pieces  # type: ignore[attr-defined]
    pieces._known.clear()  # other tests share it
    writer = Writer(lexicon.__wrapped__(tokenizer), tokenizer, Random(2))
    before = dict(pieces._known)
    assert before
    for _ in range(200):
        writer.write(60)
    assert pieces._known == before
