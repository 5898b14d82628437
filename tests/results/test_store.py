from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from array import array
from pathlib import Path

import polars as pl
import pytest

from basetenkit.core.errors import StoreError
from basetenkit.core.types import Exchange, Failure, Outcome, Request
from basetenkit.results.manifest import Manifest, Metadata
from basetenkit.results.schema import CHUNK_SCHEMA, SCHEMA
from basetenkit.results.store import RunFolder, exchange_frame, exchange_from_row, write_whole


def rows(*ids: str) -> pl.DataFrame:
    return pl.DataFrame([{"request_id": name} for name in ids], schema=SCHEMA)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.write_run(Manifest(config={}, metadata=Metadata(), levels=[]))
    return folder


def test_parts_come_back_in_the_order_of_levels_and_seconds(folder: RunFolder) -> None:
    folder.write_part(1, 1, "requests", rows("c"))
    folder.write_part(0, 2, "requests", rows("b"))
    folder.write_part(0, 1, "requests", rows("a"))
    assert folder.scan("requests").collect()["request_id"].to_list() == ["a", "b", "c"]
    folder.compact(0)
    assert len(folder.parts("requests", 0)) == 1
    assert folder.scan("requests").collect()["request_id"].to_list() == ["a", "b", "c"]


def test_a_kill_between_the_two_steps_of_compacting_doubles_no_row(folder: RunFolder) -> None:
    for part, name in enumerate("ab", 1):
        folder.write_part(0, part, "requests", rows(name))
    kept = {p.name: p.read_bytes() for p in folder.parts("requests")}
    folder.compact(0)
    for name, data in kept.items():  # as a kill would leave it: the whole part is there, and so are its pieces
        (folder.level(0) / name).write_bytes(data)
    assert folder.scan("requests").collect()["request_id"].to_list() == ["a", "b"]


GROWTH = """
import resource, sys
from basetenkit.results.store import RunFolder
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before = peak()
RunFolder(sys.argv[1]).compact(0)
print(peak() - before)
"""


def test_putting_parts_together_holds_few_of_their_rows_at_once(folder: RunFolder) -> None:
    """Bodies of 256 MB in all, that no compression makes smaller."""
    parts, each, size = 40, 100, 64 << 10
    for part in range(parts):
        made = [Exchange(Request(f"{part}-{i}", b"{}", ""), body=bytearray(os.urandom(size))) for i in range(each)]
        folder.write_part(0, part, "exchanges", exchange_frame(made))
    done = subprocess.run([sys.executable, "-c", GROWTH, folder.path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < parts * each * size / 2
    frame = folder.scan("exchanges").select("request_id", pl.col("body").bin.size()).collect()
    assert frame["request_id"].to_list() == [f"{part}-{i}" for part in range(parts) for i in range(each)]
    assert set(frame["body"]) == {size}


def test_nothing_written_is_an_empty_frame_of_the_schema(folder: RunFolder) -> None:
    for kind, schema in (("requests", SCHEMA), ("chunks", CHUNK_SCHEMA)):
        frame = folder.scan(kind).collect()
        assert frame.height == 0
        assert dict(frame.schema) == schema


def test_a_part_of_an_older_schema_is_read_with_nulls(folder: RunFolder) -> None:
    folder.write_part(0, 1, "requests", rows("a").drop("upload_s"))
    folder.write_part(0, 2, "requests", rows("b"))
    frame = folder.scan("requests").collect()
    assert frame["upload_s"].to_list() == [None, None]
    assert list(frame.columns) == list(SCHEMA)


def test_a_broken_part_is_left_out_and_named(folder: RunFolder) -> None:
    folder.write_part(0, 1, "requests", rows("a"))
    bad = folder.level(0) / "requests-00002.parquet"
    bad.write_bytes(b"PAR1 and then nothing")
    assert folder.leave_out_broken() == [bad]
    assert folder.scan("requests").collect()["request_id"].to_list() == ["a"]


def test_a_level_done_again_sets_its_old_rows_aside(folder: RunFolder) -> None:
    for name in ("a", "b"):
        folder.write_part(0, 1, "requests", rows(name))
        folder.set_aside(0)
    assert folder.scan("requests").collect().height == 0
    assert sorted(p.name for p in (folder.path / "aside").iterdir()) == ["000-1", "000-2"]


def hold(path: Path, ready: object, release: object) -> None:
    with RunFolder(path).locked():
        ready.set()  # type: ignore[attr-defined]
        release.wait(30)  # type: ignore[attr-defined]


def test_a_second_writer_is_refused_and_a_dead_one_is_not_in_the_way(folder: RunFolder) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(folder.path, ready, release))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(StoreError, match="another run is writing"), folder.locked():
        pass
    holder.kill()
    holder.join()
    with folder.locked():
        assert (folder.path / "lock").exists()


def test_reading_says_what_is_wrong_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is not a run folder: it has no run\.json"):
        RunFolder(tmp_path).read_run()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(StoreError, match="it is not JSON"):
        RunFolder(tmp_path).read_run()
    (tmp_path / "run.json").write_text('{"schema": 999}')
    with pytest.raises(StoreError, match="schema 999, newer"):
        RunFolder(tmp_path).read_run()
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(StoreError, match="no schema version"):
        RunFolder(tmp_path).read_run()


def test_the_folder_of_a_run_that_was_killed_as_it_began_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".run.json.new").write_text("{")
    (tmp_path / "levels").mkdir()
    folder = RunFolder(tmp_path)
    folder.create()
    (tmp_path / "levels" / "mine.txt").write_text("kept")
    with pytest.raises(StoreError, match="is not a run folder"):
        folder.create()


def test_a_folder_with_other_files_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="is not a run folder"):
        RunFolder(tmp_path).create()
    with pytest.raises(StoreError, match="not empty"):
        RunFolder(tmp_path / "x").copy_to(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        RunFolder(tmp_path / "file" / "run").create()


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_whole(target, b"one", durable=True)
    write_whole(target, b"two", durable=False)
    assert target.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_an_exchange_comes_back_with_its_bytes_and_times_and_without_secrets() -> None:
    x = Exchange(
        Request("r", b'{"a":1}', "s"),
        sent_ns=1000,
        send_bound_ns=5,
        status=200,
        headers=[("content-type", "text/plain"), ("set-cookie", "session=hush")],
        body=b"\x00\xffab",
        reads=array("q", [2000, 1500, 0, 2, 3000, 2500, 1, 4]),
        failure=Failure(Outcome.TIMEOUT, "late"),
    )
    frame = exchange_frame([x])
    assert "hush" not in str(frame.to_dicts())
    y = exchange_from_row(frame.row(0, named=True))
    assert (y.status, y.body, y.reads, y.failure, y.arrivals) == (x.status, x.body, x.reads, x.failure, x.arrivals)
    assert y.headers == [("content-type", "text/plain"), ("set-cookie", "***")]
    assert y.arrivals == [(1e-6, 505e-9, 2), (2e-6, 5e-9, 4)]
