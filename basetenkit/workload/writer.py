"""Writes texts with an exact number of tokens: a few random words, then whole sentences, the last one chosen so that the total
is right.

The sentences come from the corpus or from the texts of a data set. In the latter case the entries follow one another from a
random entry on, the first one follows the last one, and the last one is cut. The token count of a text is not always the sum of
the counts of its parts, so each text is encoded as a whole before it is used. If the count is wrong, the last part is chosen
again with the difference.

The random words come first because servers cache by prefix: texts that differ in their first token share no prefix. These words
come from the corpus also if there is a data set, which may have few entries. If no cut of an entry gives the right count, the
last one or two words come from the corpus, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol
from zlib import crc32

from .lexicon import ANCHOR, Lexicon
from .tokenizer import Tokenizer

OPENING_WORDS = 6
REPAIRS = 24
ATTEMPTS_A_HEAD = 4
REDRAWS = 8
SHORTER = 12
# Characters of an entry that are read per wanted token: text beyond them is not needed.
CHARACTERS_A_TOKEN, CHARACTERS_MORE = 16, 64


class Material(Protocol):
    """What the middle of a text is made of: the corpus's sentences (a Lexicon), or a data set's."""

    def reaches(self, tokens: int) -> bool: ...

    def body(self, tokens: int, rng: Random) -> tuple[list[str], list[int]]: ...

    def tail(self, tokens: int, rng: Random) -> list[str]: ...


class Quoted:
    """The texts of a data set as material. What each adds is measured when it is first drawn."""

    def __init__(self, texts: Sequence[str], measured: Lexicon, tokenizer: Tokenizer) -> None:
        self._texts, self._lexicon, self._tokenizer = texts, measured, tokenizer
        self._base = tokenizer.count(ANCHOR)
        self._sizes: dict[int, int] = {}
        self._next = 0

    def reaches(self, tokens: int) -> bool:
        """Whether words could fill so many tokens if no cut of an entry does."""
        return self._lexicon.reaches(tokens)

    def body(self, tokens: int, rng: Random) -> tuple[list[str], list[int]]:
        """Whole entries and their tokens, from a random one on, as long as they fit into `tokens`."""
        pieces, sizes = [], []
        at, total = int(rng.random() * len(self._texts)), len(self._texts)
        while (size := self._size(at)) <= tokens:
            pieces.append(self._texts[at].strip())
            sizes.append(size)
            tokens -= size
            at = (at + 1) % total
        self._next = at
        return pieces, sizes

    def tail(self, tokens: int, rng: Random) -> list[str]:
        """What follows the last `body`: the next entries, the last one cut, filled up with words if no cut is right."""
        pieces, sizes, at = [], [], self._next
        while tokens > 0:
            text = self._texts[at].strip()
            piece, size = next(self._cuts(text, tokens), ("", 0))
            if not size:
                break
            pieces.append(piece)
            sizes.append(size)
            tokens -= size
            if piece != text:
                break
            at = (at + 1) % len(self._texts)
        while pieces and not self._lexicon.reaches(tokens):
            last, size = pieces.pop(), sizes.pop()
            tokens += size
            shorter = self._cuts(last, size - 1)
            piece, size = next((x for x in shorter if self._lexicon.reaches(tokens - x[1])), ("", 0))
            if size:
                pieces.append(piece)
                tokens -= size
                break
        return [*pieces, *self._lexicon.tail(tokens, rng)]

    def _size(self, at: int) -> int:
        if at not in self._sizes:
            self._sizes[at] = self._adds(self._texts[at].strip())
        return self._sizes[at]

    def _adds(self, text: str) -> int:
        return max(self._tokenizer.count(f"{ANCHOR} {text}") - self._base, 1)

    def _cuts(self, text: str, most: int) -> Iterator[tuple[str, int]]:
        """The longest beginnings of `text` that add no more than `most`, the longest first, and what each adds."""
        near = text[: most * CHARACTERS_A_TOKEN + CHARACTERS_MORE]
        whole = f"{ANCHOR} {near}"
        ends, ids = self._tokenizer.ends(whole), self._tokenizer.encode(whole)
        for n in range(most, max(most - SHORTER, 0), -1):
            last = self._base + n
            if last >= len(ids):
                piece = near
            elif ends is None:
                piece = self._tokenizer.decode(ids[:last])[len(ANCHOR) + 1 :]
            else:
                piece = whole[len(ANCHOR) + 1 : ends[last - 1]]
            # A chat template may strip what it is given, so no text ends in a space.
            piece = piece.rstrip()
            if piece and (size := self._adds(piece)) <= most:
                yield piece, size


class Writer:
    """Writes texts to length, each with an opening unlike those before. `share`: as a Sampler has it; `rng` is its alone.
    `material`: what a text is made of behind its opening, the corpus unless given."""

    def __init__(
        self,
        measured: Lexicon,
        tokenizer: Tokenizer,
        rng: Random,
        share: tuple[int, int] = (0, 1),
        material: Material | None = None,
    ) -> None:
        self._lexicon, self._tokenizer, self._rng = measured, tokenizer, rng
        self._material: Material = material or measured
        self._part, self._parts = share
        self._openings: set[int] = set()

    def write(self, tokens: int, prefix: str = "", prefix_tokens: int = 0) -> tuple[str, int]:
        """A new text that begins with `prefix`, and its token count: `tokens`, or the nearest that could be reached."""
        before = [prefix] if prefix else []
        own = tokens - prefix_tokens
        pieces, sizes, rest = self._head(own, follows=bool(prefix))
        best, best_count = "", 0
        for attempt in range(REPAIRS):
            if attempt % ATTEMPTS_A_HEAD == ATTEMPTS_A_HEAD - 1:  # the words themselves may not add up
                pieces, sizes, rest = self._head(own, follows=bool(prefix))
            while len(pieces) > 1 and (rest < 0 or not self._material.reaches(rest)):
                pieces.pop()
                rest += sizes.pop()
            text = " ".join([*before, *pieces, *self._material.tail(rest, self._rng)])
            count = self._tokenizer.count(text)
            if not best or abs(count - tokens) < abs(best_count - tokens):
                best, best_count = text, count
            if count == tokens:
                break
            rest -= count - tokens
        return best, best_count

    def _head(self, tokens: int, *, follows: bool) -> tuple[list[str], list[int], int]:
        """The pieces of a text up to its tail, their sizes, and how many tokens are left for the tail."""
        pieces, sizes = self._opening(tokens, follows=follows)
        more, their_sizes = self._material.body(tokens - sum(sizes), self._rng)
        sizes += their_sizes
        return pieces + more, sizes, tokens - sum(sizes)

    def _opening(self, tokens: int, *, follows: bool) -> tuple[list[str], list[int]]:
        """The words a text begins with, unlike any before as far as so few tokens allow; `follows`: a prefix is before them."""
        lex, random = self._lexicon, self._rng.random
        first, first_tokens = (lex.words, lex.word_tokens) if follows else (lex.starts, lex.start_tokens)
        further = max(0, min(OPENING_WORDS - 1, (tokens - first_tokens) // lex.word_tokens))
        pieces: list[str] = []
        for _ in range(REDRAWS * self._parts):
            pieces = [first[int(random() * len(first))]]
            pieces += [lex.words[int(random() * len(lex.words))] for _ in range(further)]
            # Openings are shared out by their sum, so that two senders have none in common; a string's hash differs a process.
            mark = crc32(" ".join(pieces).encode())
            if mark % self._parts == self._part and mark not in self._openings:
                self._openings.add(mark)
                break
        return pieces, [first_tokens] + [lex.word_tokens] * further
