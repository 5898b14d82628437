"""The notes of rows: their codes and figures survive a frame and a file, and their words are made of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from basetenkit.core.notes import note
from basetenkit.results.row_notes import figure, in_words, noted, packed, restored, unpacked
from basetenkit.results.schema import NOTES

ROWS = [
    [],
    [note("first_message", n=5, tokens=20), note("bom")],
    [note("stray_line", text='a "quoted", {braced} ä'), note("over_max_tokens", value=60, limit=20, counted=61)],
    [note("first_message", n=7, tokens=9)],
]


def frame() -> pl.DataFrame:
    return pl.DataFrame({"notes": unpacked([packed(notes) for notes in ROWS])})


def test_they_are_asked_by_code_and_figure_and_not_by_their_words() -> None:
    found = frame().select(
        noted("bom").alias("bom"),
        noted("first_message").alias("first"),
        figure("first_message", "n").alias("n"),
        figure("over_max_tokens", "value").alias("value"),
    )
    assert found.rows() == [
        (False, False, None, None),
        (True, True, 5, None),
        (False, False, None, 60),
        (False, True, 7, None),
    ]
    missing = pl.DataFrame({"notes": [None]}, schema={"notes": NOTES})
    assert missing.select(noted("bom").alias("x"), figure("bom", "n").alias("n")).row(0) == (False, None)


def test_their_words_are_those_of_the_notes_after_a_file_too(tmp_path: Path) -> None:
    frame().write_parquet(tmp_path / "rows.parquet")
    for rows in (frame(), pl.read_parquet(tmp_path / "rows.parquet")):
        assert rows.select(in_words())["warnings"].to_list() == [[str(n) for n in notes] for notes in ROWS]
        assert [restored(notes) for notes in rows["notes"]] == ROWS
    assert frame().clear().select(in_words())["warnings"].to_list() == []
