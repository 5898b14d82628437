from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import StoreError
from basetenkit.results.run_data import RunData
from basetenkit.results.schema import SCHEMA
from basetenkit.results.window import Window

from ..analysis.frames import chunks_of, manifest_of, rows
from ..analysis.saved import save


def in_memory() -> bk.Run:
    frame = pl.concat(
        [rows(20, level=1.0), rows(20, level=2.0).with_columns(pl.format("b{}", "request_id").alias("request_id"))]
    )
    return bk.Run.of_frames(manifest_of(frame), frame, chunks_of(frame, [0.02, 0.03]))


def test_frames_in_memory_and_their_folder_are_the_same_run(tmp_path: Path) -> None:
    run = in_memory()
    run.save(tmp_path / "r")
    again = bk.load(tmp_path / "r")
    assert again.requests.drop("warnings").equals(run.requests.drop("warnings"))
    assert again.chunks.collect().equals(run.chunks.collect())
    assert again.summary.equals(run.summary)
    assert again.manifest.as_dict() == run.manifest.as_dict()
    assert again.complete
    again.save(tmp_path / "r")  # its own folder is left as it is
    with pytest.raises(StoreError, match="not empty"):
        run.save(tmp_path / "r")


def test_rows_of_no_level_are_saved_too(tmp_path: Path) -> None:
    measured, asked = rows(3), rows(1, phase="preflight").with_columns(request_id=pl.lit("p"))
    run = bk.Run.of_frames(manifest_of(measured), pl.concat([measured, asked]))
    run.save(tmp_path / "r")
    assert bk.load(tmp_path / "r").requests["phase"].to_list() == ["measured"] * 3 + ["preflight"]


def test_columns_that_a_frame_lacks_are_null() -> None:
    frame = rows(3)
    run = RunData.of_frames(manifest_of(frame), frame.drop("rtt_s", "in_window"))
    assert run.requests.columns == list(SCHEMA)
    assert run.requests["rtt_s"].null_count() == 3
    assert run.requests["in_window"].all()
    assert run.chunks.collect().height == 0


def test_the_rows_are_the_requests_without_their_texts() -> None:
    run = in_memory()
    before = run.rows
    assert not {"text", "warnings"} & set(before.columns)
    assert before.equals(run.requests.drop("text", "warnings"))
    assert run.rows is before


def test_another_window_is_another_run_of_the_same_data() -> None:
    run = in_memory()
    cut = run.with_window(skip_first=5)
    assert isinstance(cut, bk.Run)
    assert cut.window == Window(skip_first=5)
    assert (run.requests["in_window"].sum(), cut.requests["in_window"].sum()) == (17 + 14, 15 + 15)


def test_a_window_of_none_leaves_the_marks_as_they_are() -> None:
    frame = rows(4).with_columns(in_window=pl.Series([True, False, False, True]))
    assert RunData.of_frames(manifest_of(frame), frame, window=None).requests["in_window"].sum() == 2


def test_nothing_but_the_manifest_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    folder = save(tmp_path / "r", rows(5))
    run = RunData.load(folder)
    for part in folder.rglob("*.parquet"):
        part.write_bytes(b"nothing")
    assert run.config.max_requests == 5
    assert run.left_out == [str(part.relative_to(folder)) for part in sorted(folder.rglob("*.parquet"))]
    assert run.requests.height == 0


def test_raw_bytes_that_were_not_kept_are_a_key_error() -> None:
    run = in_memory()
    assert run.captured == []
    with pytest.raises(KeyError, match="no raw bytes of 'r000000' were kept"):
        run.exchange("r000000")
