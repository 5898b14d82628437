"""Which column of a data set holds its prompts or its conversations, and their texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from ..core.errors import DataError
from . import conversations
from .speakers import text_of
from .table import LeftOut, Table, Unfit, opened, same, sound

PROMPT, QUESTIONS = "prompt", "turns"
# Further names of a column of prompts, the likeliest first; of one row of them only one may be there.
OTHERS = (
    ("instruction",),
    ("prompts", "question", "query", "userprompt", "userinput", "usermessage", "problem"),
    ("text", "inputs"),
    ("content", "input"),
)
_ADDED = ("input", "context")  # to an instruction, as Alpaca's sets have it
_OF_BODIES = ("contents", "input")
_SHAPES = (
    r"[+-]?\d[\d.,'_\s]*([eE][+-]?\d+)?\s*%?",
    r"[+-]?\.\d+([eE][+-]?\d+)?",
    r"\[[\d\s.,eE+-]*\]",
    r"(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})?[T ,]*(\d{1,2}:\d\d(:\d\d([.,]\d+)?)?)?\s*([AaPp]\.?[Mm]\.?|Z|UTC|[+-]\d\d:?\d\d)?",
    r"nan|none|null|true|false|inf",
)
_NO_TEXT = re.compile("|".join(f"(?:{shape})" for shape in _SHAPES), re.IGNORECASE)
_LOOKED_AT = 1000


def is_number(value: object) -> bool:
    """Whether a value is a number, a date or a time, and no text of a prompt, also if it is written as a text."""
    if isinstance(value, str):
        return _NO_TEXT.fullmatch(value.strip()) is not None
    return not isinstance(value, (list, dict, bytes))


def holds_messages(values: Sequence[object]) -> bool:
    """Whether a column holds lists of messages, as lists or as JSON."""
    first = next((found for value in values if (found := opened(value)) not in (None, "", [])), None)
    return isinstance(first, list) and any(
        isinstance(item, dict) and any(key in item for key in ("role", "from", "speaker", "author", "sender"))
        for item in first
    )


def questions_column(table: Table) -> str | None:
    """The column of lists of questions, as MT-bench has them, if there is no column of prompts."""
    column = None if table.named(PROMPT) else table.named(QUESTIONS)
    values = () if column is None else table.column(column)
    first = next((found for value in values if (found := opened(value)) not in (None, "", [])), None)
    return column if isinstance(first, list) and all(isinstance(item, str) for item in first) else None


def as_questions(value: object) -> object:
    """A list of texts as messages of a user; any other value as it is."""
    found = opened(value)
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return [{"role": "user", "content": item} for item in found]
    return found


def messages_column(table: Table) -> str | None:
    """The column of conversations, if there is no column of prompts."""
    if (prompt := table.named(PROMPT)) is not None and not table.bodies:
        return prompt if holds_messages(table.column(prompt)) else None
    names = (*conversations.COLUMNS, *(_OF_BODIES if table.bodies else ()))
    found = [column for name in names if (column := table.named(name)) is not None]
    found = [column for column in found if holds_messages(table.column(column)) or not any(table.column(column))]
    return found[0] if found else None


def prompt_column(table: Table) -> str:
    """The column of prompts. DataError if it is not known which."""
    if (found := table.named(PROMPT)) is not None:
        return found
    if len(table.columns) == 1:
        return table.columns[0]
    if not any(_has_texts(table, column) for column in table.columns):
        raise DataError(
            f"dataset: {table.name} has no column of texts: {table.listed()} hold only numbers, dates or times; such lengths "
            "are sent by a scenario, e.g. 'N(480,240)/(300,150)'"
        )
    for names in OTHERS:
        there = [c for c in table.columns if same(c) in names and _has_texts(table, c)]
        if len(there) == 1:
            return there[0]
        if there:
            break
    if table.first_line is not None and table.header:
        raise DataError(
            f"dataset: the first line of {table.name}, {table.first_line[:80]!r}, reads as a row and not as a header, so it is "
            f"not known which column holds prompts; put a header line above it that names one {PROMPT!r}, or give prompt_column"
        )
    raise DataError(
        f"dataset: {table.name} has no column {PROMPT!r}; rename one, or give prompt_column (it has {table.listed()})"
    )


def _has_texts(table: Table, column: str) -> bool:
    values = (value for value in table.column(column) if value not in (None, ""))
    return any(isinstance(value, str) and not is_number(value) for value in islice(values, _LOOKED_AT))


def added_column(table: Table, prompts: str) -> str | None:
    """The column that goes on behind an instruction, in a set of Alpaca's form."""
    return table.named(*_ADDED) if same(prompts) == "instruction" else None


def texts(table: Table, column: str, left: LeftOut) -> list[str | None]:
    """The prompts of a column; None for a row that is left out. DataError if it holds no prompts but numbers."""
    values = table.column(column)
    given = [value for value in values if value is not None and value != ""]
    if given and all(map(is_number, given)):
        shown = ", ".join(str(value)[:40] for value in given[:2])
        raise DataError(
            f"dataset: column {column!r} of {table.name} holds only numbers, dates or times ({shown}) and no prompts; name a "
            "column of texts. For prompts of a length use a scenario such as 'N(480,240)/(300,150)'"
        )
    more = added_column(table, column)
    added = [None] * len(values) if more is None else table.column(more)
    found: list[str | None] = []
    for at, (value, behind) in enumerate(zip(values, added, strict=True)):
        try:
            found.append(_prompt(value, behind))
        except Unfit as unfit:
            left.add(at, unfit)
            found.append(None)
    return found


def _prompt(value: object, behind: object) -> str:
    if not (value is None or isinstance(value, (str, list, dict))):
        kind = (
            "true or false" if isinstance(value, bool) else "a number" if isinstance(value, (int, float)) else "no text"
        )
        raise Unfit(f"its prompt is {kind}")
    if isinstance(value, list) and len(value) > 1 and all(isinstance(one, (str, int)) for one in value):
        raise Unfit("its prompt is a list of several texts or of token ids")
    text = text_of(value)
    if not text.strip():
        raise Unfit("nothing is asked")
    if isinstance(behind, str) and behind.strip():
        text = f"{text}\n\n{behind}"
    sound(text)
    return text
