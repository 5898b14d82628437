"""Whether the first line of a CSV names its columns, or is itself a row.

A CSV does not say if it has a header line. A file of one column that has none would lose its first prompt to the header, so the
first line is looked at: a name of a known column, or one that the configuration names, is a header; a sentence, a number or a
value that comes again below is a row; of any other single word or phrase it cannot be known, and a finding says what was done.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Literal

from . import conversations, row_fields
from .prompt_columns import OTHERS, PROMPT, QUESTIONS, is_number
from .table import same

Header = Literal["names", "row", "unknown"]
_NAMES = {
    same(name) for name in (PROMPT, QUESTIONS, *conversations.COLUMNS, *(name for names in OTHERS for name in names))
}
_MOST_WORDS, _MOST_CHARACTERS = 5, 60
_SENTENCE = re.compile(r"[.?!…。？！:;,](\s|$)|\n")


def header_of(names: Sequence[str], values: Sequence[str | None], chosen: Collection[str]) -> Header:
    """What the first line of a CSV is.

    Parameters
    ----------
    names
        The fields of the first line.
    values
        The values below the first of them, as far as they were looked at.
    chosen
        The columns that the configuration names.
    """
    if any(name in chosen or same(name) in _NAMES or row_fields.is_known(name) for name in names):
        return "names"
    if any(map(_is_text, names)) or (len(names) == 1 and names[0] in values):
        return "row"
    return "unknown"


def _is_text(field: str) -> bool:
    """Whether a field of the first line is a sentence or a number, and no name of a column."""
    text = field.strip()
    return bool(text) and (
        len(text) > _MOST_CHARACTERS
        or len(text.split()) > _MOST_WORDS
        or is_number(text)
        or bool(_SENTENCE.search(text))
    )
