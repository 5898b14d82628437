"""The rows of a data set by column, from any source, and the rows that cannot be sent.

Rows of JSON stay objects: in a frame, all values of a column must have one type, but a data set may have a text in one message
and a list of parts in the next.

A row that cannot be sent is left out and counted, with its number in the file, so all of them are reported at once.
"""

from __future__ import annotations

import json
import re
from ast import literal_eval
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
import polars as pl

from ..core.errors import DataError
from ..core.types import JsonObject

SHOWN = 5


@dataclass(frozen=True, eq=False)
class Table:
    """A data set's rows. `name`: how an error calls the whole; `unit`: how it calls one row, "row" or "line"; `numbers`:
    those of the rows in the file, if they are not 1, 2, 3; `bodies`: whether each row is the whole body of a request, but for
    its columns `apart`; `unread`: further columns of the data set, which were not read; `first_line`: the first line of a CSV if
    it is not known to be a header, and `header` whether it was taken as one."""

    name: str
    columns: tuple[str, ...]
    height: int
    column: Callable[[str], list[object]]
    unit: str = "row"
    numbers: Sequence[int] | None = None
    bodies: bool = False
    apart: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    first_line: str | None = None
    header: bool = True

    @classmethod
    def of_frame(
        cls,
        frame: pl.DataFrame,
        name: str,
        unread: Sequence[str] = (),
        *,
        first_line: str | None = None,
        header: bool = True,
    ) -> Table:
        values = lambda column: frame[column].to_list()  # noqa: E731
        names, more = tuple(frame.columns), tuple(unread)
        return cls(name, names, frame.height, values, unread=more, first_line=first_line, header=header)

    @classmethod
    def of_columns(cls, columns: dict[str, list[object]], name: str) -> Table:
        height = max(map(len, columns.values()), default=0)
        return cls(name, tuple(columns), height, lambda column: columns[column])

    @classmethod
    def of_rows(
        cls,
        rows: Sequence[dict[str, object]],
        name: str,
        unit: str = "row",
        numbers: Sequence[int] | None = None,
        *,
        bodies: bool = False,
        apart: tuple[str, ...] = (),
    ) -> Table:
        columns = tuple(str(key) for key in dict.fromkeys(key for row in rows for key in row))
        return cls(
            name, columns, len(rows), lambda column: [row.get(column) for row in rows], unit, numbers, bodies, apart
        )

    def rows(self) -> list[JsonObject]:
        """The rows as objects, without what is missing in each."""
        values = [self.column(name) for name in self.columns]
        return [
            {name: value for name, value in zip(self.columns, row, strict=True) if value is not None}
            for row in zip(*values, strict=True)
        ]

    def number(self, at: int) -> int:
        """The number of the row `at` (from 0) in its file."""
        return at + 1 if self.numbers is None else self.numbers[at]

    def which(self, places: Sequence[int]) -> str:
        """Some rows by their numbers: "row 3", "lines 2, 5 and 9", "rows 1, 2, 3, 4, 5 and 7 more"."""
        return which(self.unit, [self.number(at) for at in places])

    def named(self, *names: str) -> str | None:
        """The first column that is called like one of `names`, in any letter case and with any dividers."""
        known = {same(column): column for column in reversed(self.columns)}
        return next((known[name] for name in names if name in known), None)

    def need(self, column: str, field: str) -> None:
        """DataError if there is no such column. `field`: what names it."""
        if column not in self.columns:
            raise DataError(f"dataset: {self.name} has no column {column!r}; {field} can be one of {self.listed()}")

    def listed(self) -> str:
        """The columns' names, as many as a sentence takes."""
        more = len(self.columns) - 12
        return ", ".join(self.columns[:12]) + (f" and {more} more" if more > 0 else "")


class Unfit(Exception):
    """A row that cannot be sent. `why`: a clause, such as "nothing is asked". `fatal`: the row must not just be left out."""

    def __init__(self, why: str, *, fatal: bool = False) -> None:
        super().__init__(why)
        self.why, self.fatal = why, fatal


@dataclass(eq=False)
class LeftOut:
    """The rows of a table that cannot be sent, by why."""

    table: Table
    reasons: dict[str, list[int]] = field(default_factory=dict)
    fatal: set[str] = field(default_factory=set)

    def add(self, at: int, unfit: Unfit) -> None:
        self.reasons.setdefault(unfit.why, []).append(at)
        if unfit.fatal:
            self.fatal.add(unfit.why)

    def __len__(self) -> int:
        return sum(map(len, self.reasons.values()))

    def why(self, only: set[str] | None = None) -> str:
        """The reasons, each with the rows that it is true of."""
        chosen = {why: at for why, at in self.reasons.items() if only is None or why in only}
        return "; ".join(f"{why} ({self.table.which(at)})" for why, at in chosen.items())

    def check(self, where: str) -> None:
        """DataError if nothing is left, or if a row must not be left out. `where`: the column, in words."""
        if self.fatal:
            raise DataError(f"dataset: {where} cannot be sent: {self.why(self.fatal)}; take these rows out")
        if len(self) >= self.table.height:
            raise DataError(f"dataset: none of the {self.table.height} rows of {where} can be sent: {self.why()}")


def which(unit: str, numbers: Sequence[int]) -> str:
    shown = [str(n) for n in numbers[:SHOWN]]
    rest = len(numbers) - len(shown)
    last = f"{rest} more" if rest else shown.pop()
    return f"{unit}{'' if len(numbers) == 1 else 's'} " + (f"{', '.join(shown)} and {last}" if shown else last)


@lru_cache(maxsize=4096)
def same(name: str) -> str:
    """A name without letter case and dividers: `maxTokens`, `max_tokens` and `Max tokens` are the same."""
    return re.sub(r"[\W_]+", "", name).casefold()


def sound(value: object) -> None:
    """Unfit if a JSON value holds half an emoji, a NUL, or a value that JSON cannot hold."""
    try:
        data = orjson.dumps(value)
    except TypeError as error:
        half = "surrogate" in str(error)
        raise Unfit(
            "it has half an emoji (a lone surrogate)" if half else "it has a value that JSON cannot hold"
        ) from None
    if b"\\u0000" in data and any("\0" in text for text in texts_in(value)):
        raise Unfit("it has a NUL character")


def texts_in(value: object) -> list[str]:
    """All texts in a JSON value, at whatever depth."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [text for one in inner for text in texts_in(one)]


def opened(value: object) -> object:
    """The list or object that a text holds as JSON, or as Python writes it; any other value as it is."""
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    for read in (json.loads, literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, (list, dict)) else value
    return value


def without_none(value: object) -> Any:
    """A JSON value without the keys whose value is None, at whatever depth: a frame fills them in if a row has none."""
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items() if inner is not None}
    return [without_none(inner) for inner in value] if isinstance(value, list) else value
