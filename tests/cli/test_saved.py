"""The commands for saved runs at result folders of genai-bench, by their own words and by genai-bench's."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.cli.saved import OF_SEVERAL
from tests.interop.genai_bench.making import request, write

from .commands import here

NAME = "D20_5_text-to-text_num_concurrency_2_time_3s.json"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    write(tmp_path / "results", NAME, [request(0.2 + i / 100, 1.0 + i / 50, 5) for i in range(8)])
    return tmp_path / "results"


def test_report_and_compare_of_their_folder(theirs: Path, tmp_path: Path) -> None:
    done = here("report", theirs, tmp_path / "r.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert "D(20,5)" in (tmp_path / "r.html").read_text()
    found = json.loads(here("compare", theirs, theirs, "--json").stdout)
    assert {row["ratio"] for row in found["frame"] if row["metric"] == "ttft_s_p50"} == {1.0}


def test_excel_by_their_flags(theirs: Path) -> None:
    done = here(
        "excel",
        "--experiment-folder",
        theirs,
        "--excel-name",
        "sheet",
        "--metric-percentile",
        "p90",
        "--metrics-time-unit",
        "ms",
    )
    assert (done.returncode, done.stdout) == (0, f"wrote {theirs / 'sheet.xlsx'}\n")
    assert "--metric-percentile, --metrics-time-unit: accepted without effect, the workbook has" in done.stderr
    assert zipfile.is_zipfile(theirs / "sheet.xlsx")


def test_excel_by_our_words(theirs: Path, tmp_path: Path) -> None:
    done = here("excel", theirs, tmp_path / "own.xlsx", "--json")
    assert json.loads(done.stdout) == {"written": str(tmp_path / "own.xlsx")}


def test_plot_by_their_flags(theirs: Path) -> None:
    words = (
        "--experiments-folder",
        theirs,
        "--group-key",
        "traffic_scenario",
        "--preset",
        "2x4_default",
        "--kind",
        "json",
    )
    done = here("plot", *words)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in theirs.glob("*.json")} >= set(bk.charts.__all__) - OF_SEVERAL
    assert "--group-key, --preset: accepted without effect" in done.stderr


def test_plot_of_a_folder_that_holds_several(theirs: Path, tmp_path: Path) -> None:
    theirs.rename(tmp_path / "all-1")
    write(tmp_path / "all-2", NAME, [request(0.2, 1.0, 5)])
    done = here("plot", "--experiments-folder", tmp_path, "--group-key", "none", "--kind", "json", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for one in ("all-1", "all-2"):
        assert (tmp_path / one / "serving_curve.json").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["excel"], "excel: give one folder, as excel FOLDER or as --experiment-folder FOLDER"),
        (["excel", "FOLDER"], "excel: give the file to write; its name ends in .xlsx"),
        (["excel", "FOLDER", "x.pdf"], "'x.pdf' should end in .xlsx"),
        (["plot", "FOLDER"], "plot: give the folder for the charts"),
        (["plot", "FOLDER", "out", "--experiments-folder", "FOLDER"], "plot: give one folder"),
        (["report", "EMPTY", "r.html"], "is not a run folder"),
    ],
)
def test_what_is_missing_is_told(words: list[str], sentence: str, theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = here(*({"FOLDER": theirs, "EMPTY": tmp_path / "empty"}.get(word, word) for word in words))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
