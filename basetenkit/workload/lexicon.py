"""The corpus under one tokenizer: how many tokens each of its words and sentences adds to a text.

Each is measured once, after another word, because a tokenizer may treat the start of a text differently. With these counts a
text of a given length is built by sums; it is encoded only when it is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from . import corpus
from .tokenizer import Tokenizer

LEAST_POOL = 20
ANCHOR = "and"


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Words and sentences with their tokens, under one tokenizer.

    `starts`: words that can open a text, all of `start_tokens` tokens. `words`: those that follow with `word_tokens`
    each. `sentences`: (text, tokens). `by_tokens`: texts that add so many tokens. `longest`: the most in a `sentence`.
    `sums`: which counts, up to four times `longest`, can be put together from `by_tokens`.
    """

    starts: Sequence[str]
    start_tokens: int
    words: Sequence[str]
    word_tokens: int
    sentences: Sequence[tuple[str, int]]
    by_tokens: dict[int, list[str]]
    longest: int
    sums: frozenset[int]

    def reaches(self, tokens: int) -> bool:
        """Whether some texts add exactly so many tokens."""
        return tokens in self.sums or tokens > 3 * self.longest

    def body(self, tokens: int, rng: Random) -> tuple[list[str], list[int]]:
        """Sentences and their tokens, until fewer than `longest` are left of `tokens`."""
        pieces, sizes, random = [], [], rng.random
        sentences, total, longest = self.sentences, len(self.sentences), self.longest
        while tokens > longest:
            text, size = sentences[int(random() * total)]
            pieces.append(text)
            sizes.append(size)
            tokens -= size
        return pieces, sizes

    def tail(self, tokens: int, rng: Random) -> list[str]:
        """Texts that add `tokens` together, or as nearly as there are any, in as few pieces as can be."""
        tokens = next((n for n in range(tokens, 0, -1) if self.reaches(n)), 0)
        chosen = []
        while tokens > 0:
            sizes = range(min(tokens, self.longest), 0, -1)
            size = next(n for n in sizes if n in self.by_tokens and self.reaches(tokens - n))
            pool = self.by_tokens[size]
            chosen.append(pool[int(rng.random() * len(pool))])
            tokens -= size
        return chosen


def _sums(sizes: Sequence[int], most: int) -> frozenset[int]:
    """All sums of `sizes` (each as often as wanted) up to `most`."""
    found = {0}
    for total in range(1, most + 1):
        if any(total - size in found for size in sizes):
            found.add(total)
    return frozenset(found)


def _pools(texts: Sequence[str], tokens: Sequence[int], longest: int) -> dict[int, list[str]]:
    """The texts by what they add, up to `longest`. Pools of a few are left out, else prompts would share their ends."""
    pools: dict[int, list[str]] = {}
    for text, n in zip(texts, tokens, strict=True):
        if 0 < n <= longest:
            pools.setdefault(n, []).append(text)
    return {n: pool for n, pool in pools.items() if n <= 2 or len(pool) >= LEAST_POOL}


def _least(words: Sequence[str], tokens: Sequence[int]) -> tuple[list[str], int]:
    """The words of the fewest tokens, and how many those are."""
    least = max(min(tokens), 1)
    return [word for word, n in zip(words, tokens, strict=True) if n == least], least


def measure(tokenizer: Tokenizer, words: Sequence[str], lines: Sequence[str]) -> tuple[Sequence[int], Sequence[int]]:
    """(what each word and line adds to a text, how many tokens each word alone has)."""
    base = tokenizer.count(ANCHOR)
    added = [n - base for n in tokenizer.counts([f"{ANCHOR} {text}" for text in (*words, *lines)])]
    return added, tokenizer.counts(words)


@lru_cache(maxsize=8)
def lexicon(tokenizer: Tokenizer) -> Lexicon:
    """The corpus measured with `tokenizer`; takes half a second, once, unless the tokenizer ships with its counts."""
    words, lines = corpus.words(), corpus.lines()
    if tokenizer.is_slow:
        words, lines = words[:1000], lines[::11]
    tokenizer.learn(" ".join((*words, *lines)))
    tokenizer.learn("\n".join(words))  # as a text begins with them
    added, alone = corpus.counts() if tokenizer.is_embedded else measure(tokenizer, words, lines)
    of_words, of_lines = added[: len(words)], added[len(words) :]
    # The longest quarter is left out, so that a tail can be long without being one of a few rare sentences.
    longest = sorted(of_lines)[len(of_lines) * 3 // 4]
    by_tokens = _pools((*words, *lines), added, longest)
    starts, start_tokens = _least(words, alone)
    follow, word_tokens = _least(words, of_words)
    sentences = [(text, n) for text, n in zip(lines, of_lines, strict=True) if 0 < n <= longest]
    sums = _sums(sorted(by_tokens), 4 * longest)
    return Lexicon(starts, start_tokens, follow, word_tokens, sentences, by_tokens, longest, sums)
