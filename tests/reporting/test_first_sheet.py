"""The workbook opens on the answer, with charts of Excel's own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl

import basetenkit as bk

from ..analysis.frames import failures, rows
from ..analysis.saved import save
from .test_workbook import EVIL, read


def test_it_has_the_verdict_each_level_and_native_charts(tmp_path: Path) -> None:
    levels = [rows(40, level=float(n), request_id=[f"{n}-{i}" for i in range(40)]) for n in (1, 4)]
    run = bk.load(save(tmp_path / "run", pl.concat(levels), slo={"ttft_s": 0.3}))
    path = bk.report(run, tmp_path / "r.xlsx")
    sheet = read(path.read_bytes())["Overview"]
    assert sheet[0]["A"] == str(run.verdict)
    cells = [cell for row in sheet for cell in row.values()]
    assert {"concurrency 1", "concurrency 4", "goodput, %", "few_requests"} <= {x for x in cells if isinstance(x, str)}
    rates = run.summary["output_tokens_per_s"].to_list()
    assert [x for x in cells if x in rates] == rates
    book = zipfile.ZipFile(path)
    charts = [name for name in book.namelist() if name.startswith("xl/charts/chart")]
    assert len(charts) == 3
    assert all(b"Overview!" in book.read(name) for name in charts)


def test_a_run_without_a_figure_has_no_chart_and_no_formula(tmp_path: Path) -> None:
    run = bk.load(save(tmp_path / "run", failures(len(EVIL), error_message=EVIL)))
    path = bk.report(run, tmp_path / "r.xlsx")
    assert read(path.read_bytes())["Overview"][0]["A"] == str(run.verdict)
    assert not [name for name in zipfile.ZipFile(path).namelist() if "chart" in name]
