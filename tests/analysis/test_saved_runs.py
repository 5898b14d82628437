from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import basetenkit as bk
from basetenkit.analysis import saved_runs
from basetenkit.analysis.summary import summary_schema
from basetenkit.storage.bucket import Item

from ..storage.bucket_server import Answer, Store
from ..storage.conftest import bucket_store

__all__ = ["bucket_store"]
LEVEL_FIGURES = ["run", "level", "ttft_s_p50", "itl_s_p50", "sent", "ok"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three runs and of one that is none."""
    root = tmp_path_factory.mktemp("runs")
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        for number in range(3):
            config = bk.RunConfig(
                endpoint=bk.Endpoint(url=server.url, model="m"),
                scenarios="D(20,5)",
                concurrency=[1, 2],
                max_requests=10 + number,
                steady=False,
                preflight=False,
            )
            bk.run_sync(config, save_to=root / "day" / f"r{number}")
    (root / "notes").mkdir()
    (root / "notes" / "thesis.txt").write_text("mine")
    return root


def put(store: Store, root: Path) -> None:
    for file in root.rglob("*"):
        if file.is_file() and file.name != "lock":
            store.put("bkt", f"all/{file.relative_to(root).as_posix()}", file.read_bytes())


def listings(store: Store) -> int:
    return sum("list-type" in name for _, name in store.log)


def named(frame: pl.DataFrame, root: Any) -> pl.DataFrame:
    return frame.with_columns(run=pl.col("run").str.replace(str(root), "", literal=True).str.strip_prefix("/"))


def test_a_history_is_the_same_from_a_bucket_and_from_a_folder_and_takes_one_listing(
    bucket_store: Store, runs: Path
) -> None:
    put(bucket_store, runs)
    there = bk.history("s3://bkt/all")
    bucket_store.log.clear()
    frame = there.collect()
    assert listings(bucket_store) == 1
    here = bk.history(runs).collect()
    assert frame["run"].to_list()[:2] == ["s3://bkt/all/day/r0"] * 2
    dropped = ["problem"]
    assert named(frame, "s3://bkt/all").drop(dropped).equals(named(here, runs).drop(dropped))
    assert frame.filter(pl.col("problem").is_not_null())["run"].to_list() == ["s3://bkt/all/notes"]
    bucket_store.log.clear()
    assert there.collect().equals(frame)
    assert [name for method, name in bucket_store.log if method == "GET" and "list-type" not in name] == []


def test_a_run_leaves_its_figures_beside_its_rows(runs: Path) -> None:
    kept = json.loads((runs / "day" / "r0" / "summary.json").read_bytes())
    saved = pl.DataFrame(kept["rows"], schema=summary_schema())
    assert_frame_equal(saved, bk.load(runs / "day" / "r0").summary_wide)  # sums differ in their last digit


def test_only_what_is_asked_for_is_fetched(bucket_store: Store, runs: Path) -> None:
    put(bucket_store, runs)
    there = bk.history("s3://bkt/all")
    bucket_store.log.clear()
    there.select("run", "model").collect()
    gets = [name for method, name in bucket_store.log if method == "GET" and "list-type" not in name]
    assert sorted(gets) == [f"all/day/r{number}/run.json" for number in range(3)]
    bucket_store.log.clear()
    one = pl.col("max_requests") == 11
    assert there.filter(one).select("ttft_s_p50").collect().height == 2
    gets = [name for method, name in bucket_store.log if method == "GET" and "list-type" not in name]
    assert gets == ["all/day/r1/summary.json"]
    del bucket_store.buckets["bkt"]["all/day/r2/summary.json"]  # as of a run that an earlier version saved
    bucket_store.log.clear()
    there.filter(pl.col("max_requests") == 12).select("ttft_s_p50").collect()
    gets = [name for method, name in bucket_store.log if method == "GET" and "list-type" not in name]
    assert gets
    assert all(name.startswith("all/day/r2/levels/") and "/requests-" in name for name in gets)


def test_a_run_that_changes_in_the_bucket_is_seen_again(bucket_store: Store, runs: Path) -> None:
    put(bucket_store, runs)
    there = bk.history("s3://bkt/all").filter(pl.col("problem").is_null()).select(LEVEL_FIGURES)
    assert there.collect().height == 6
    for name in bucket_store.names():
        if name.startswith("all/day/r0/"):
            del bucket_store.buckets["bkt"][name]
    (cut,) = [name for name in bucket_store.names() if name.startswith("all/day/r1/levels/001/requests")]
    bucket_store.put("bkt", cut, b"PAR1 and no more")
    found = bk.history("s3://bkt/all").collect()
    assert found.filter(pl.col("problem").is_null())["run"].unique().to_list() == ["s3://bkt/all/day/r2"]
    (problem,) = found.filter(pl.col("run") == "s3://bkt/all/day/r1")["problem"].unique().to_list()
    assert problem == f"left out, for it cannot be read: {cut.removeprefix('all/day/r1/')}"


def test_everything_that_takes_runs_takes_their_addresses(bucket_store: Store, runs: Path, tmp_path: Path) -> None:
    put(bucket_store, runs)
    first, last = "s3://bkt/all/day/r0", bk.load("s3://bkt/all/day/r2")
    assert bk.trends("s3://bkt/all", "ttft_s_p50").points.height == 6
    assert bk.judge(last, baseline=first, history="s3://bkt/all").gates
    assert bk.compare(first, last).frame.height
    assert bk.report(first, tmp_path / "r.html").read_bytes().startswith(b"<!doctype html>")
    for name in ("r.html", "r.xlsx", "r.csv"):
        assert str(bk.report(first, f"s3://bkt/reports/{name}")) == f"s3://bkt/reports/{name}"
    assert bucket_store.buckets["bkt"]["reports/r.html"].content == (tmp_path / "r.html").read_bytes()
    assert bucket_store.buckets["bkt"]["reports/r.xlsx"].content.startswith(b"PK")
    with pytest.raises(bk.errors.StoreError, match=r"s3://other/r[.]html: there is no such bucket"):
        bk.report(first, "s3://other/r.html")


def test_a_history_that_is_not_there_or_cannot_be_read_is_one_sentence(bucket_store: Store, runs: Path) -> None:
    with pytest.raises(bk.errors.StoreError, match=r"there is nothing in s3://bkt/all; bk[.]history takes a folder"):
        bk.history("s3://bkt/all")
    with pytest.raises(bk.errors.StoreError, match="s3://other: there is no such bucket"):
        bk.history("s3://other")
    put(bucket_store, runs)
    bucket_store.fault = lambda *_: Answer(403, "AccessDenied")
    with pytest.raises(bk.errors.StoreError, match=r"s3://bkt/all: S3 refuses these credentials \(AccessDenied\)"):
        bk.history("s3://bkt/all")


def test_objects_are_grouped_by_the_run_that_they_are_of() -> None:
    at = datetime.now(UTC)
    names = [
        "readme",
        "a/run.json",
        "a/levels/000/x",
        "a/b/run.json",
        "c/levels/000/x",
        "c/aside/y",
        "d/e/f.txt",
        "d/g/run.json",
    ]
    found = saved_runs.by_run([Item(name, 1, None, at) for name in names])
    assert {name: sorted(items) for name, items in found.items()} == {
        "a": ["b/run.json", "levels/000/x", "run.json"],
        "c": ["aside/y", "levels/000/x"],
        "d/e": ["f.txt"],
        "d/g": ["run.json"],
    }
    alone = saved_runs.by_run([Item("run.json", 1, None, at), Item("levels/000/x", 1, None, at)])
    assert {name: sorted(items) for name, items in alone.items()} == {"": ["levels/000/x", "run.json"]}
