"""The workbook as Excel reads it: the file's own XML, cell by cell."""

from __future__ import annotations

import io
import math
import re
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl

import basetenkit as bk
from basetenkit.reporting.workbook import CELL_MAX, flat, sheets, text, unmeasured

from ..analysis.frames import failures, rows
from ..analysis.saved import save

NS = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
EVIL = ["=cmd|'/C calc'!A0", "@SUM(1)", "+1+1", "-2+3", "http://127.0.0.1/x", "=HYPERLINK(1)", "007", "<b>&\x00\x0b"]


def read(content: bytes) -> dict[str, list[dict[str, Any]]]:
    """Sheet -> its rows; a row is column letter -> str, float or bool, as the cell's own type says."""
    book = zipfile.ZipFile(io.BytesIO(content))
    shared = []
    if "xl/sharedStrings.xml" in book.namelist():
        items = ElementTree.fromstring(book.read("xl/sharedStrings.xml")).iterfind("x:si", NS)
        shared = ["".join(t.text or "" for t in item.iterfind(".//x:t", NS)) for item in items]
    names = ElementTree.fromstring(book.read("xl/workbook.xml")).iterfind("x:sheets/x:sheet", NS)
    out = {}
    for index, sheet in enumerate(names, 1):
        tree = ElementTree.fromstring(book.read(f"xl/worksheets/sheet{index}.xml"))
        assert tree.findall(".//x:f", NS) == []
        assert tree.findall(".//x:hyperlink", NS) == []
        out[sheet.attrib["name"]] = [
            {re.sub(r"\d", "", c.attrib["r"]): value(c, shared) for c in row.iterfind("x:c", NS)}
            for row in tree.iterfind("x:sheetData/x:row", NS)
        ]
    return out


def value(cell: ElementTree.Element, shared: list[str]) -> Any:
    raw = cell.findtext("x:v", namespaces=NS)
    kind = cell.attrib.get("t", "n")
    assert kind in ("n", "s", "b")
    return shared[int(raw or 0)] if kind == "s" else raw == "1" if kind == "b" else float(raw or "nan")


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A sheet's rows by the titles in its first one; empty cells are left out."""
    return [{rows[0][letter]: cell for letter, cell in row.items()} for row in rows[1:]]


def workbook(path: Path, frame: pl.DataFrame, **kw: Any) -> dict[str, list[dict[str, Any]]]:
    return read(sheets(bk.load(save(path, frame)), **kw))


def test_the_sheets_have_the_runs_own_figures_as_numbers(tmp_path: Path) -> None:
    frame = rows(12, started_at=[datetime(2026, 11, 25, 3, 30)] * 12, warnings=[["a: b", "c: d"]] * 12)
    run = bk.load(save(tmp_path / "run", frame))
    book = read(sheets(run))
    assert list(book) == ["Overview", "Summary", "Metrics", "Requests", "Fates", "Findings", "Tokens", "Config"]
    requests = table(book["Requests"])
    assert len(requests) == 12
    assert requests[3]["ttft_s"] == 0.1
    assert requests[3]["in_window"] in (True, False)
    assert requests[3]["warnings"] == "a: b\nc: d"
    assert math.isclose(requests[3]["started_at"], 46351 + 3.5 / 24)
    assert list(book["Requests"][0].values()) == run.requests.columns
    (summary,) = table(book["Summary"])
    assert summary["ttft_s_p50"] == run.summary_wide["ttft_s_p50"][0]
    assert table(book["Tokens"])[1] == run_tokens(run)
    assert table(book["Fates"])[0]["sent"] == 12


def run_tokens(run: bk.Run) -> dict[str, Any]:
    from basetenkit.analysis.token_reconciliation import token_table

    return {k: v for k, v in token_table(run.requests).row(1, named=True).items() if v is not None}


def test_what_a_server_said_is_a_string_and_no_formula(tmp_path: Path) -> None:
    n = len(EVIL)
    book = workbook(tmp_path / "run", failures(n, error_message=EVIL, text=EVIL))
    got = [row["error_message"] for row in table(book["Requests"])]
    assert got[:-1] == EVIL[:-1]
    assert got[-1].startswith("<b>&")
    assert all(isinstance(x, str) for x in got)


def test_a_run_of_errors_says_what_it_lacks(tmp_path: Path) -> None:
    book = workbook(tmp_path / "run", failures(12))
    first = table(book["Config"])[0]
    assert first["name"] == "not measured in any request"
    assert "ttft_s" in first["value"].split(", ")
    assert "all_failed" in [f["code"] for f in table(book["Findings"])]
    assert "ttft_s" not in table(book["Requests"])[0]


def test_numbers_that_excel_cannot_hold_are_text(tmp_path: Path) -> None:
    frame = rows(4, rtt_s=[math.nan, math.inf, -math.inf, 0.5], image_bytes=[2**60, 2**53, 1, None])
    got = table(workbook(tmp_path / "run", frame)["Requests"])
    assert [row["rtt_s"] for row in got] == ["nan", "inf", "-inf", 0.5]
    assert [row.get("image_bytes") for row in got] == [str(2**60), 2.0**53, 1.0, None]


def test_a_text_longer_than_a_cell_is_cut_and_says_so(tmp_path: Path) -> None:
    long = ["a" * 40_000, "😀" * 20_000, "a" * CELL_MAX, ""]
    got = [row["text"] for row in table(workbook(tmp_path / "run", rows(4, text=long))["Requests"])]
    assert got[0].endswith("(cut: a cell holds no more)")
    assert got[1].endswith("(cut: a cell holds no more)")
    assert len(got[1].encode("utf-16-le")) // 2 <= CELL_MAX
    assert got[2:] == long[2:]


def test_rows_beyond_the_sheets_end_are_counted(tmp_path: Path) -> None:
    book = workbook(tmp_path / "run", rows(20), most=10)
    assert len(book["Requests"]) == 10
    assert book["Requests"][-1] == {"A": "(cut: 12 more rows do not fit; run.requests has them)"}


def test_a_sheet_of_nothing_says_so(tmp_path: Path) -> None:
    run = bk.load(save(tmp_path / "run", rows(0)))
    assert read(sheets(run))["Requests"][1] == {"A": "(nothing)"}


def test_settings_are_flattened_and_texts_made_of_anything() -> None:
    found = dict(flat({"a": {"b": [1, 2]}, "c": [{"d": None}], "e": {}, "f": True}))
    assert found == {"a.b": "[1, 2]", "c.0.d": None, "f": True}
    assert text(["x", 1]) == "x\n1"
    assert text("\ud800") == "?"
    assert unmeasured(pl.DataFrame({"a": [None, None], "b": [1, None]})) == ["a"]
    assert unmeasured(pl.DataFrame(schema={"a": pl.Int64})) == []
