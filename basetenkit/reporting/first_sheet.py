"""The first sheet of the workbook: the verdict, one row per level, native charts of throughput and latency, and the
findings."""

from __future__ import annotations

from typing import Any

from ..analysis import figures
from ..analysis.verdict import verdict
from ..config.loads import LevelKey
from ..results.run_data import RunData
from .tables import overview_rows

NAME, WIDE = "Overview", 11  # columns that the verdict is written over
CHARTS = (("output_tokens_per_s", "Output tokens/s"), ("ttft_s_p50", "TTFT p50, s"), ("e2e_s_p50", "E2E p50, s"))


def first_sheet(book: Any, run: RunData) -> None:
    """Adds the sheet to a workbook of xlsxwriter. Cells of the table are texts with intervals, as everywhere; the charts are of the
    numbers on the right of it."""
    sheet = book.add_worksheet(NAME)
    bold, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    at = verdict_cell(book, sheet, str(verdict(run)))
    rows = overview_rows(run)
    for column, name in enumerate(rows[0] if rows else ()):
        sheet.write_string(at, column, name, bold)
        sheet.set_column(column, column, max(len(name), *(len(row[name]) for row in rows)) + 1)
        for i, row in enumerate(rows, 1):
            sheet.write_string(at + i, column, row[name])
    at += len(rows) + 2
    at = _charts(book, sheet, run, at, len(rows[0]) + 2 if rows else WIDE)
    for group in figures.findings(run).groups:
        sheet.write_string(at, 0, group.code, bold)
        sheet.merge_range(at, 1, at, WIDE, "", wrapped)
        sheet.write_string(at, 1, f"{group.where}: {group.text} {group.cure}".removeprefix(": "), wrapped)
        sheet.set_row(at, 32)
        at += 1


def verdict_cell(book: Any, sheet: Any, words: str) -> int:
    """Writes a verdict over the first columns of a sheet; returns the row below it."""
    large = book.add_format({"bold": True, "font_size": 14, "text_wrap": True, "valign": "top"})
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_row(0, 80)
    sheet.merge_range(0, 0, 0, WIDE, "", large)
    sheet.write_string(0, 0, words, large)
    return 2


def _charts(book: Any, sheet: Any, run: RunData, at: int, right: int) -> int:
    """A column chart of each of CHARTS that the run has; returns the row below them."""
    summary = figures.summary_wide(run)
    labels = [str(LevelKey.of(row)) for row in summary.iter_rows(named=True)]
    known = [(name, title) for name, title in CHARTS if (summary[name] > 0).any()]
    if not known:
        return at
    sheet.write_string(2, right, "level")
    for i, label in enumerate(labels, 3):
        sheet.write_string(i, right, label)
    for n, (name, title) in enumerate(known):
        column = right + 1 + n
        sheet.write_string(2, column, title)
        for i, value in enumerate(summary[name].to_list(), 3):
            if value is not None:
                sheet.write_number(i, column, value)
        chart = book.add_chart({"type": "column"})
        last = 2 + len(labels)
        series = {"name": title, "categories": [NAME, 3, right, last, right], "values": [NAME, 3, column, last, column]}
        chart.add_series(series)
        chart.set_title({"name": title})
        chart.set_legend({"none": True})
        sheet.insert_chart(at, 0, chart, {"x_offset": 10 + 490 * n, "y_offset": 5})
    return at + 16
