"""The emulator's prefix cache: blocks of prompts that a replica has computed, the least recently used leave first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence


def blocks_of(tokens: Sequence[int | str], size: int) -> list[int]:
    """A hash for each whole block of `size` tokens, of the block and of all before it."""
    found, before = [], 0
    for start in range(0, len(tokens) - size + 1, size):
        before = hash((before, *tokens[start : start + size]))
        found.append(before)
    return found


class PrefixCache:
    """Keeps the hashes of `most` blocks; 0: none."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def hits(self, blocks: Sequence[int]) -> int:
        """How many blocks from the first one on are kept."""
        for k, block in enumerate(blocks):
            if block not in self._kept:
                return k
        return len(blocks)

    def add(self, blocks: Sequence[int]) -> None:
        """Keeps these blocks. The last ones of a prompt count as less recently used, so that its beginning stays longest."""
        if not self._most:
            return
        for block in reversed(blocks):
            self._kept[block] = None
            self._kept.move_to_end(block)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
