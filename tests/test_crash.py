"""The rest of a run after its process is killed, its disk is full, its folder is read-only or its files are broken."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.results.manifest import SCHEMA_VERSION

LEVELS = [2, 4]
HEADER = """
import os, pathlib, resource, time
import basetenkit as bk
def config(url, **kw):
    fields = {"scenarios": "D(10,60)", "concurrency": [2, 4], "max_requests": 30, "warmup_requests": 0}
    return bk.RunConfig(steady=False, preflight=False, endpoint=bk.Endpoint(url=url, model="m"), **(fields | kw))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=10, itl_ms=1) as server:
        yield server


def config(server: Any, **kw: Any) -> bk.RunConfig:
    fields: dict[str, Any] = {"scenarios": "D(10,60)", "concurrency": LEVELS, "max_requests": 30}
    return bk.RunConfig(steady=False, preflight=False, endpoint=bk.Endpoint(url=server.url, model="m"), **(fields | kw))


def script(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HEADER + code], stderr=subprocess.PIPE, text=True)


def parts(folder: Path, level: int) -> list[Path]:
    return sorted((folder / "levels" / f"{level:03d}").glob("requests-*.parquet"))


def test_killed_in_the_second_level_the_same_call_does_only_what_is_missing(server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    process = script(
        f"bk.run_sync(config({server.url!r}, concurrency=[16, 4], max_requests=150), save_to={str(folder)!r})"
    )
    while not parts(folder, 1):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed = bk.load(folder)
    assert not killed.complete
    assert "1 of 2 level(s) are not done" in str(killed.findings[0])
    before = killed.requests.filter(pl.col("level") == 16)
    assert before.height == 150
    assert killed.requests["request_id"].is_unique().all()
    server.truth(reset=True)
    again = bk.run_sync(config(server, concurrency=[16, 4], max_requests=150), save_to=folder)
    assert again.complete
    assert len(server.truth()["requests"]) == 150
    assert again.requests.height == 300
    assert again.requests.filter(pl.col("level") == 16).equals(before)
    assert again.metadata["salt"] == killed.metadata["salt"]
    assert len(list((folder / "aside").iterdir())) == 1


def test_the_spool_is_seconds_behind_at_most(server: Any, tmp_path: Path) -> None:
    server.truth(reset=True)
    process = script(f"bk.run_sync(config({server.url!r}, max_requests=100000), save_to={str(tmp_path / 'r')!r})")
    while len(parts(tmp_path / "r", 0)) < 5:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    at = time.monotonic_ns()
    process.kill()
    process.communicate()
    kept = set(bk.load(tmp_path / "r").requests["request_id"])
    written = [r for r in server.truth()["requests"] if r.get("last_write_ns")]
    over = [r for r in written if r["last_write_ns"][1] < at - 3_000_000_000]
    assert len(over) > 10
    assert {r["request_id"] for r in over} <= kept


def test_a_full_disk_ends_the_run_with_one_sentence_and_keeps_what_was_written(server: Any, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: from then on every write fails, in the middle of a file."""
    folder = tmp_path / "r"
    process = script(f"""
live = bk.start(config({server.url!r}, max_requests=100000), save_to={str(folder)!r})
while not list(pathlib.Path({str(folder)!r}).glob("levels/000/requests-*")):
    time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
live.result(60)
""")
    _, said = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "StoreError: the run folder" in said
    assert "cannot be written" in said
    run = bk.load(folder)
    assert not run.complete
    assert run.requests.height > 0
    assert set(run.requests["outcome"]) == {"ok"}


def test_a_read_only_folder_is_told_before_anything_is_sent_and_can_be_read(server: Any, tmp_path: Path) -> None:
    saved, locked = tmp_path / "saved", tmp_path / "locked"
    bk.run_sync(config(server, concurrency=[1], max_requests=2), save_to=saved)
    locked.mkdir()
    locked.chmod(0o555)
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.getuid() and "pytest-of" in str(path):
            path.chmod(0o755)
    for path in saved.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    server.truth(reset=True)
    process = script(f"""
c = config({server.url!r}, concurrency=[1], max_requests=2)
from basetenkit.session import load, start
from basetenkit.workload.tokenizer import load_tokenizer
load_tokenizer("embedded")
if os.geteuid() == 0:  # nothing is read-only to root
    os.seteuid(65534)
assert load({str(saved)!r}).requests.height == 2
start(c, save_to={str(locked / "r")!r})
""")
    _, said = process.communicate(timeout=60)
    assert "StoreError: the run folder" in said
    assert "cannot be made: Permission denied" in said
    assert server.truth()["requests"] == []


@pytest.mark.parametrize("kind", ["requests", "chunks", "exchanges"])
def test_a_file_cut_short_is_left_out_and_its_level_done_again(server: Any, tmp_path: Path, kind: str) -> None:
    c = config(server, max_requests=4, capture="all")
    whole = bk.run_sync(c, save_to=tmp_path / "r")
    (bad,) = (tmp_path / "r" / "levels" / "001").glob(f"{kind}-*.parquet")
    bad.write_bytes(bad.read_bytes()[:-20])
    run = bk.load(tmp_path / "r")
    assert not run.complete
    assert f"1 file(s) could not be read (levels/001/{bad.name})" in str(run.findings[0])
    assert run.requests.height == (4 if kind == "requests" else 8)
    assert run.summary.height >= 1
    server.truth(reset=True)
    again = bk.run_sync(c, save_to=tmp_path / "r")
    sent = len(server.truth()["requests"])
    assert sent == (
        0 if kind == "exchanges" else 4
    )  # raw bytes are beside the figures: no level is done again for them
    assert again.complete == (kind != "exchanges")
    assert again.requests.height == 8
    assert again.requests.filter(pl.col("level") == 2).equals(whole.requests.filter(pl.col("level") == 2))


def test_every_file_says_its_schema(server: Any, tmp_path: Path) -> None:
    bk.run_sync(config(server, max_requests=3, capture="all"), save_to=tmp_path / "r")
    files = list((tmp_path / "r").rglob("*.parquet"))
    assert len(files) == 6
    assert {pl.read_parquet_metadata(p)["basetenkit_schema"] for p in files} == {str(SCHEMA_VERSION)}
    assert f'"schema": {SCHEMA_VERSION}' in (tmp_path / "r" / "run.json").read_text()
    assert not list((tmp_path / "r").rglob(".*.new"))


def test_two_runs_into_one_folder_refuse_each_other(server: Any, tmp_path: Path) -> None:
    c = config(server, max_requests=100_000)
    first = bk.start(c, save_to=tmp_path / "r")
    while not first.progress["finished"]:
        time.sleep(0.01)
    with pytest.raises(StoreError, match="another run is writing"):
        bk.run_sync(c, save_to=tmp_path / "r")
    process = script(f"bk.run_sync(config({server.url!r}, max_requests=100000), save_to={str(tmp_path / 'r')!r})")
    assert "another run is writing" in process.communicate(timeout=60)[1]
    first.stop()
    run = first.result(30)
    assert run.requests.height == sum(x["sent"] for x in run.metadata["levels"])


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_run_that_was_not_to_be_kept_leaves_nothing_where_it_fails(server: Any, temporary: Path) -> None:
    made = bk.RunConfig(
        steady=False, preflight=False, endpoint=bk.Endpoint(url=server.url), scenarios="D(10,5)", max_requests=100_000
    )
    live: bk.LiveRun | None = bk.start(made)
    assert live is not None
    (folder,) = temporary.glob("basetenkit-*")
    while not live.progress["finished"]:
        time.sleep(0.01)
    shutil.rmtree(folder / "levels")
    (folder / "levels").write_text("in the way")
    live.stop()
    with pytest.raises(StoreError, match="cannot be written") as caught:
        live.result(30)
    assert live.requests.height > 0, "what finished can be read as long as the run is held"
    live._thread.join()
    del caught, live
    gc.collect()
    assert not folder.exists()


def test_a_plan_that_is_refused_leaves_nothing(server: Any, temporary: Path) -> None:
    made = config(server, scenarios="D(10,1000)", max_requests=10**9, max_seconds=86_400.0, repeats=1000)
    with pytest.raises(ConfigError, match="needs about"):
        bk.start(made)
    assert not list(temporary.glob("basetenkit-*"))
