"""A comparison -> its report: the verdict, the chart, the tables and what must be read with them, as a page or as a workbook."""

from __future__ import annotations

import io
from typing import Any, Protocol, runtime_checkable

from ..analysis.compared import Compared
from ..analysis.comparison import Comparison
from ..core.errors import ConfigError
from ..core.tables import html_table
from . import charts
from .first_sheet import verdict_cell
from .page import PagePicture, Section, document, pictured
from .workbook import SAFE, frame_sheets


@runtime_checkable
class Drawable(Protocol):
    """What draws itself."""

    def chart(self) -> Any: ...


def page(found: Compared) -> bytes:
    """The report of a comparison as one HTML document in UTF-8."""
    sections = [Section(caption, table=html_table(rows)) for caption, rows in found.table_rows().items()]
    if sections and (picture := _picture(found)):
        sections.insert(1, Section("Chart", pictures=[picture]))
    sections.append(Section("To be read with it", table=html_table([{"": text} for text in found.words])))
    return document("B against A, compared with basetenkit", "", found.verdict.markup, sections)


def _picture(found: Compared) -> PagePicture | None:
    drawn = charts.comparison(found) if isinstance(found, Comparison) else None
    if drawn is None and isinstance(found, Drawable):
        drawn = found.chart()
    return None if drawn is None else pictured(drawn.to_dict())


def sheets(found: Compared) -> bytes:
    """The workbook of a comparison: Overview (the verdict, the tables, the words) and its frames."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, SAFE) as book:
        sheet = book.add_worksheet("Overview")
        at = verdict_cell(book, sheet, str(found.verdict))
        bold = book.add_format({"bold": True})
        for caption, rows in found.table_rows().items():
            sheet.write_string(at, 0, caption, bold)
            for column, name in enumerate(rows[0] if rows else ()):
                sheet.write_string(at + 1, column, name, bold)
                for i, row in enumerate(rows, 2):
                    sheet.write_string(at + i, column, str(row[name]))
                sheet.set_column(column, column, max(len(name), *(len(str(row[name])) for row in rows)) + 1)
            at += len(rows) + 3
        for text in found.words:
            sheet.write_string(at, 0, text)
            at += 1
        frame_sheets(book, found.frames())
    return out.getvalue()


def no_csv(found: Compared) -> bytes:
    """A comparison has no requests: ConfigError."""
    raise ConfigError("report: a comparison is written as .html or .xlsx; for CSV use found.frame.write_csv(path)")
