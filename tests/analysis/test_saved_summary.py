from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.saved_summary import SUMMARY_FILE, save_summary
from basetenkit.results.store import RunFolder

from .frames import chunks_of, rows
from .saved import save

FIGURES = ["e2e_s_p50", "e2e_s_p50_low", "itl_s_p50", "usd", "sent", "e2e_s_mean_how"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two runs, of which the first has its figures beside its rows."""
    frame = rows(40)
    price = bk.Price(usd_per_minute=0.1, source="a test")
    for name in ("a", "b"):
        save(tmp_path / name, frame, chunks_of(frame, [0.02] * 19), price=price.model_dump(mode="json"))
    save_summary(RunFolder(tmp_path / "a"))
    return tmp_path


def figures(root: Path, name: str) -> list[tuple[object, ...]]:
    found = bk.history(root).filter(pl.col("run").str.ends_with(name)).select(FIGURES).collect()
    return rounded(found)


def rounded(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    """The rows without the last digits, in which sums differ."""
    return frame.with_columns(pl.col(pl.Float64).round(9)).rows()


def test_figures_are_the_same_from_the_file_and_from_the_rows(root: Path) -> None:
    assert figures(root, "a") == figures(root, "b")
    assert figures(root, "a") == rounded(bk.load(root / "a").summary_wide.select(FIGURES))
    assert figures(root, "a")[0][0] == 0.5


def test_the_rows_are_not_read_where_the_file_is(root: Path) -> None:
    for part in root.rglob("*.parquet"):
        part.write_bytes(b"x" * part.stat().st_size)
    assert figures(root, "a")[0][0] == 0.5
    assert figures(root, "b")[0][0] is None


@pytest.mark.parametrize("change", ["rows", "levels", "limits", "file"])
def test_a_file_that_is_not_of_these_rows_is_not_used(root: Path, change: str) -> None:
    folder = root / "a"
    file = folder / SUMMARY_FILE
    found = json.loads(file.read_bytes())
    found["rows"][0]["e2e_s_p50"] = 77.0  # to see whose figures they are
    file.write_text(json.dumps(found))
    assert figures(root, "a")[0][0] == 77.0
    document = json.loads((folder / "run.json").read_bytes())
    if change == "rows":
        (part,) = (folder / "levels" / "000").glob("requests*")
        rows(41, e2e_s=0.9).write_parquet(part)
    elif change == "levels":
        document["levels"][0]["cut_s"] = 1000.0
    elif change == "limits":
        document["config"]["slo"] = {"e2e_s": 0.1}
    else:
        file.write_text(file.read_text()[:-1])
    (folder / "run.json").write_text(json.dumps(document))
    assert figures(root, "a")[0][0] in (0.5, 0.9)


def test_a_run_with_a_file_that_cannot_be_read_has_none(root: Path) -> None:
    (part,) = (root / "b" / "levels" / "000").glob("requests*")
    part.write_bytes(b"PAR1 and no more")
    save_summary(RunFolder(root / "b"))
    assert not (root / "b" / SUMMARY_FILE).exists()
    save_summary(RunFolder(root / "no-run"))
