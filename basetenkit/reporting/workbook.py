"""A run -> an Excel workbook: the sheets of genai-bench's report in our columns, numbers as numbers; or its requests as CSV.

A string that looks like a formula or a link stays a string, because a server may have sent it. Values that do not fit into
Excel are cut, with a note (long texts, rows beyond the sheet's end), or are written as text (NaN, very large integers).
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from ..analysis import figures
from ..analysis.token_reconciliation import token_table
from ..results.run_data import RunData
from .first_sheet import first_sheet

CELL_MAX, ROWS_MAX = 32_767, 1_048_576  # Excel's own limits
EXACT = 2**53  # Excel's numbers are doubles
SAFE = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "remove_timezone": True,
}
_FORMULA = r"^[=+\-@\t\r\n]"
DATE = "yyyy-mm-dd hh:mm:ss.000"


def sheets(run: RunData, most: int = ROWS_MAX) -> bytes:
    """The workbook: Overview (the verdict, a row per level, charts, findings), Summary, Metrics, Requests, Fates, Findings, Tokens,
    Config. Times are UTC; null is an empty cell; a table with more than `most` rows is cut, and its last row says by how many."""
    import xlsxwriter

    about = list(flat(figures.metadata(run)))
    lacking = unmeasured(run.requests)
    if lacking:
        about.insert(0, ("not measured in any request", ", ".join(lacking)))
    findings = [(f.code, f.sentence, f.cure) for f in figures.findings(run)]
    tables: dict[str, tuple[Sequence[str], Iterator[Sequence[object]]]] = {
        "Summary": _of(figures.summary_wide(run)),
        "Metrics": _of(figures.spread(run)),
        "Requests": _of(run.requests),
        "Fates": _of(figures.fates(run)),
        "Findings": (("code", "sentence", "cure"), iter(findings)),
        "Tokens": _of(token_table(run.requests)),
        "Config": (("name", "value"), iter(about)),
    }
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, SAFE) as book:
        first_sheet(book, run)
        _sheets(book, tables, most)
    return out.getvalue()


def frame_sheets(book: Any, frames: Mapping[str, pl.DataFrame]) -> None:
    """Adds a sheet for each frame to a workbook of xlsxwriter."""
    _sheets(book, {name: _of(frame) for name, frame in frames.items()}, ROWS_MAX)


def _sheets(book: Any, tables: Mapping[str, tuple[Sequence[str], Iterator[Sequence[object]]]], most: int) -> None:
    bold, date = book.add_format({"bold": True}), book.add_format({"num_format": DATE})
    for name, (titles, rows) in tables.items():
        _sheet(book.add_worksheet(name), titles, rows, bold, date, most)


def comma_separated(run: RunData) -> bytes:
    """The requests as CSV in UTF-8, warnings joined. A text that a spreadsheet would take for a formula, as it begins with one of
    = + - @ or a tab or line end, has an apostrophe before it; null is an empty cell."""
    rows = run.requests.drop("notes").with_columns(pl.col("warnings").list.join(" | "))
    texts = pl.col(pl.String)
    guarded = pl.when(texts.str.contains(_FORMULA)).then(pl.lit("'") + texts).otherwise(texts).name.keep()
    written: str = rows.with_columns(guarded).write_csv()
    return written.encode("utf-8", "replace")


def unmeasured(rows: pl.DataFrame) -> list[str]:
    """The columns of which no row has a value."""
    return [name for name in rows.columns if rows.height and rows[name].null_count() == rows.height]


def flat(value: object, name: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as (dotted name, value); lists of plain values as JSON."""
    plain = isinstance(value, list) and not any(isinstance(x, Mapping) for x in value)
    if isinstance(value, Mapping):
        inside = list(value.items())
    elif isinstance(value, list | tuple) and not plain:
        inside = list(enumerate(value))
    else:
        yield name, json.dumps(value, ensure_ascii=False, default=str) if plain else _dated(name, value)
        return
    for key, part in inside:
        yield from flat(part, f"{name}.{key}" if name else str(key))


def _dated(name: str, value: object) -> object:
    """A moment (s since 1970, in a field whose name ends in `_at`) as a date; any other value as it is."""
    return datetime.fromtimestamp(value, UTC) if name.endswith("_at") and isinstance(value, float) else value


def _of(frame: pl.DataFrame) -> tuple[Sequence[str], Iterator[Sequence[object]]]:
    return frame.columns, frame.iter_rows()


def _sheet(sheet: Any, titles: Sequence[str], rows: Iterator[Sequence[Any]], bold: Any, date: Any, most: int) -> None:
    for column, title in enumerate(titles):
        sheet.write_string(0, column, title, bold)
        sheet.set_column(column, column, min(max(len(title) + 2, 12), 40))
    sheet.freeze_panes(1, 0)
    at = 0
    for at, row in enumerate(rows, 1):
        if at >= most - 1:
            left = 1 + sum(1 for _ in rows)
            sheet.write_string(at, 0, f"(cut: {left:,} more rows do not fit; run.requests has them)")
            return
        for column, value in enumerate(row):
            _cell(sheet, at, column, value, date)
    if not at:
        sheet.write_string(1, 0, "(nothing)")


def _cell(sheet: Any, row: int, column: int, value: Any, date: Any) -> None:
    """One value by its own kind; null leaves the cell empty."""
    if value is None:
        return
    write: Callable[..., Any] = sheet.write_string
    more: tuple[object, ...] = ()
    if isinstance(value, bool):
        write = sheet.write_boolean
    elif isinstance(value, datetime):
        write, value, more = sheet.write_datetime, value.astimezone(UTC) if value.tzinfo else value, (date,)
    elif isinstance(value, int | float) and math.isfinite(value) and (isinstance(value, float) or abs(value) <= EXACT):
        write = sheet.write_number
    else:
        value = text(value)
    write(row, column, value, *more)


def text(value: object) -> str:
    """A value as the text of one cell: lists line by line, cut where Excel would drop the whole cell."""
    whole = "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    whole = whole.encode("utf-8", "replace").decode()
    # Excel counts UTF-16 units, of which a character outside the basic plane takes two
    long = len(whole) if whole.isascii() else len(whole.encode("utf-16-le")) // 2
    return whole if long <= CELL_MAX else whole[: CELL_MAX // 2 - 20] + "… (cut: a cell holds no more)"
