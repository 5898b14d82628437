"""The words of the embedded endpoint's texts, and how their tokens are counted.

Each output word is exactly one token of the embedded tokenizer, if that is installed, so that a client's own count of the
text agrees with the usage reported. Counting a long prompt takes a millisecond, in which no token could be written: a `WordCounts`
is counted when its number is needed, or before, in a pause of the schedule.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from .prefix_cache import blocks_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

T = TypeVar("T")
JsonObject: TypeAlias = dict[str, Any]  # a JSON document that was read or is to be written
TOKENIZER_FILE = Path(__file__).parent.parent / "workload" / "data" / "tokenizer.json"
SECONDS_A_CHARACTER = 0.4e-6
_WORDS = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an they which
one you were all her she there would their we him been has when who will more no if out so said what up its
about into than them can only other new some could time these two may then do first any my now such like our
over man me even most made after also did many
"""


@cache
def tokenizer() -> Tokenizer | None:
    """The embedded tokenizer, or None if it is not installed."""
    try:
        from tokenizers import Tokenizer as Loaded
    except ImportError:
        return None
    return Loaded.from_file(str(TOKENIZER_FILE)) if TOKENIZER_FILE.is_file() else None


def count(text: str) -> int:
    """Tokens of a text: by the embedded tokenizer, else its words."""
    t = tokenizer()
    return len(t.encode_batch_fast([text], add_special_tokens=False)[0]) if t is not None else len(text.split())


@cache
def vocabulary() -> tuple[str, ...]:
    """Words with a leading space that are one token each."""
    words = tuple(f" {w}" for w in _WORDS.split())
    return tuple(w for w in words if count(w) == 1) or words


class WordCounts:
    """The number of tokens of some texts, counted once, when it is first asked for. `effort`: seconds that may take; `cached`: how
    many of them a prefix cache held, None without one."""

    def __init__(self, *texts: str) -> None:
        self._texts: tuple[str, ...] = texts
        self._value: int | None = None
        self.cached: int | None = None
        self.effort = SECONDS_A_CHARACTER * sum(map(len, texts))

    def blocks(self, size: int) -> list[int]:
        """A hash for each whole block of `size` tokens of the texts, joined; counts them too."""
        joined = "\n".join(self._texts)
        t = tokenizer()
        ids: Sequence[int | str] = (
            joined.split() if t is None else t.encode_batch_fast([joined], add_special_tokens=False)[0].ids
        )
        self._value, self._texts = len(ids), ()
        return blocks_of(ids, size)

    @property
    def done(self) -> bool:
        """Whether it was counted."""
        return self._value is not None

    def __call__(self) -> int:
        if self._value is None:
            self._value, self._texts = sum(map(count, self._texts)), ()
        return self._value


def ring(draw: Callable[[], T], size: int = 1 << 14) -> list[T]:
    """Chance drawn ahead: a reply takes a run of it by a slice, where a draw a token would hold up the tokens of others."""
    return [draw() for _ in range(size)]


def run_of(drawn: list[T], start: int, n: int) -> list[T]:
    """`n` entries of a ring from `start` on, round and round."""
    turns = -(-(start + n) // len(drawn))
    return (drawn * turns if turns > 1 else drawn)[start : start + n]


def unit_vector(text: str, size: int) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    rng = random.Random(text)
    values = [rng.gauss(0, 1) for _ in range(size)]
    norm = math.sqrt(sum(v * v for v in values)) or 1.0
    return [v / norm for v in values]
