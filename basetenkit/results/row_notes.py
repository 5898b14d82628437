"""The notes of rows: stored as (code, fields), searched by code, and written as text only for people.

A row in memory has `Note` objects. A frame has a list of structs, `code` and `fields`, the latter as JSON: so that a note's
figures keep their types in a Parquet file, whatever their names are. `warnings`, which people read, is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import polars as pl

from ..core.notes import Note
from .schema import NOTES


def packed(notes: Sequence[Note]) -> str:
    """A row's notes as one JSON text, for `unpacked`: one object for the garbage collector, and none that it tracks."""
    if not notes:
        return "[]"
    return orjson.dumps([saved(note) for note in notes]).decode()


def saved(note: Note) -> dict[str, str]:
    """A note as a frame has it."""
    return {"code": note.code, "fields": orjson.dumps(dict(note.fields), default=str).decode()}


def restored(notes: Sequence[Mapping[str, str]]) -> list[Note]:
    """The notes of one row of a frame."""
    return [Note(each["code"], orjson.loads(each["fields"])) for each in notes]


def unpacked(texts: Sequence[str]) -> pl.Series:
    """The column `notes` of rows whose notes were `packed`."""
    return pl.Series("notes", texts, pl.String).str.json_decode(NOTES)


def noted(code: str) -> pl.Expr:
    """Whether a row has a note of this code."""
    return pl.col("notes").list.eval(_code().eq(code)).list.any().fill_null(False)


def figure(code: str, name: str) -> pl.Expr:
    """The whole number `name` of a row's note of this code, the largest if there are several; null without one."""
    value = pl.element().struct.field("fields").str.json_path_match(f"$.{name}").cast(pl.Int64, strict=False)
    return pl.col("notes").list.eval(pl.when(_code().eq(code)).then(value)).list.max()


def in_words(notes: pl.Expr | None = None) -> pl.Expr:
    """The column `warnings`: each note as "code: sentence"."""
    texts = pl.element().map_batches(_texts, return_dtype=pl.String)
    return (pl.col("notes") if notes is None else notes).list.eval(texts).alias("warnings")


def _texts(notes: pl.Series) -> pl.Series:
    """Each different note is put into words once."""
    known: dict[tuple[str, str], str] = {}
    pairs = list(zip(notes.struct.field("code"), notes.struct.field("fields"), strict=True))
    for pair in pairs:
        if pair not in known:
            known[pair] = str(Note(pair[0], orjson.loads(pair[1])))
    return pl.Series([known[pair] for pair in pairs], dtype=pl.String)


def _code() -> pl.Expr:
    return pl.element().struct.field("code")
