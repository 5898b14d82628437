"""The end of a run in a terminal: a table that fits, and a histogram of characters."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

import basetenkit as bk
from basetenkit.cli import ending
from basetenkit.cli.console import grid, width_of
from basetenkit.cli.ending import blocks, show_end
from basetenkit.reporting.tables import overview_rows

from ..analysis.frames import rows
from ..analysis.saved import save


@pytest.mark.parametrize("width", [60, 80, 120, 250])
def test_the_table_at_the_end_breaks_no_number(
    tmp_path: Path, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = [rows(40, level=float(n), request_id=[f"{n}-{i}" for i in range(40)]) for n in (1, 2, 4, 8, 16, 32)]
    run = bk.load(save(tmp_path / "run", pl.concat(levels), slo={"ttft_s": 0.3}))
    monkeypatch.setattr(ending, "console", lambda: Console(width=width, markup=False, highlight=False))
    show_end(run, tmp_path / "run", [])
    shown = capsys.readouterr().out
    for row in overview_rows(run):
        assert row["load"] in shown
        assert row["SLO"][0] in shown
        assert row["output tokens/s"].split(" (")[0] in shown.split()


def test_blocks_and_grids() -> None:
    assert blocks([0, 1, 4, 8]) == " ▁▄█"
    assert blocks([0, 0]) == "  "
    assert blocks([1, 1000])[0] != " "
    out = io.StringIO()
    names, cells = ["a", "bb"], [["1", "22 (11–33)"], ["4444", "5"]]
    Console(file=out, width=40).print(grid(names, cells))
    assert max(map(len, out.getvalue().splitlines())) == width_of(names, cells)
