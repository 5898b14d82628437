"""Counts the tokens of ASCII text by its pieces. Byte-level BPE tokenizers (Llama 3, Qwen, the embedded one) split a text by a
pattern and merge only within a piece, so the count of a text is the sum of the counts of its pieces, and most pieces are known
already.

The library counts each piece once, and every text with other pieces. Counting a text with known pieces takes a fifth of the
time. This is used only for tokenizers of which every part is known to work like this.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.normalizers import Normalizer
    from tokenizers.pre_tokenizers import PreTokenizer

MOST_PIECES, LONGEST = 100_000, 64
_ALLOWED = re.compile(r"\\p\{[LN]\}|\\[sSrnd]|\[\^(?!\[)|[^\\$^\[]|\[(?![\[^])")
_DIFFERENT = re.compile(r"&&|[+*?]\+|\{[\d,]+\}\+|\(\?[^:i=!]|\(\?i[^:]")


class Pieces:
    """Counts texts by their pieces; `count` is the library's: texts -> tokens of each."""

    def __init__(
        self, split: re.Pattern[str], openers: Sequence[str], count: Callable[[Sequence[str]], list[int]]
    ) -> None:
        self._split, self._openers, self._count = split.findall, openers, count
        self._known: dict[str, int] = {}

    def length(self, text: str) -> int:
        """How many tokens `text` has."""
        if not text.isascii() or any(opener in text for opener in self._openers):
            return self._count([text])[0]
        pieces = self._split(text)
        if "".join(pieces) == text:  # what the pattern leaves out is a piece to the library
            with contextlib.suppress(KeyError):
                return sum(map(self._known.__getitem__, pieces))
            self._learn(set(pieces) - self._known.keys())
            with contextlib.suppress(KeyError):
                return sum(map(self._known.__getitem__, pieces))
        return self._count([text])[0]

    def _learn(self, pieces: set[str]) -> None:
        """Cache the counts of those `pieces` that are short and unchanged when encoded alone."""
        new = [piece for piece in pieces if len(piece) <= LONGEST and self._split(piece) == [piece]]
        if len(self._known) + len(new) > MOST_PIECES:
            self._known.clear()
        self._known.update(zip(new, self._count(new), strict=True))


def pieces_of(inner: Tokenizer, count: Callable[[Sequence[str]], list[int]]) -> Pieces | None:
    """Pieces for a `tokenizers.Tokenizer`; None if its parts are not all known to keep to them."""
    from tokenizers.models import BPE

    if (
        not isinstance(inner.model, BPE)
        or inner.model.dropout
        or _state(inner.normalizer) not in (None, {"type": "NFC"})
    ):
        return None
    split = _split_of(_state(inner.pre_tokenizer))
    added = inner.get_added_tokens_decoder().values()
    openers = {token.content[:1] for token in added if not token.special}  # the special ones are text to us
    if split is None or not inner.encode_special_tokens or "" in openers:
        return None
    return Pieces(split, sorted(openers), count)


def _state(part: Normalizer | PreTokenizer | None) -> object:
    """What a part of a tokenizer says of itself; None if there is none, "" if it is unknown."""
    try:
        return None if part is None else json.loads(part.__getstate__())
    except (TypeError, ValueError):
        return ""


def _split_of(state: object) -> re.Pattern[str] | None:
    """The pattern of "split by a pattern, then take bytes", for ASCII text; None if it is anything else."""
    if not isinstance(state, dict) or state.get("type") != "Sequence":
        return None
    match state["pretokenizers"]:
        case [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ]:
            return in_ascii(pattern)
    return None


def in_ascii(pattern: str) -> re.Pattern[str] | None:
    """A tokenizer's pattern (Oniguruma) as one of `re` that means the same in ASCII text; None if that is not certain."""
    if _DIFFERENT.search(pattern) or "".join(_ALLOWED.findall(pattern)) != pattern:
        return None
    made, within = [], False
    for token in _ALLOWED.findall(pattern):
        within = token.startswith("[") or (within and token != "]")
        plain = {r"\p{L}": "A-Za-z", r"\p{N}": "0-9"}.get(token)
        made.append(token if plain is None else plain if within else f"[{plain}]")
    try:
        compiled = re.compile("".join(made), re.ASCII)
    except re.error:
        return None
    return None if compiled.groups else compiled
