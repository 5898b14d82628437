from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.results.bucket_run import NOT_LOCKED, NOT_UPLOADED, BucketFolder
from basetenkit.storage import lock

from ..storage.bucket_server import KEY_ID, SECRET, Answer, Store
from ..storage.conftest import bucket_store
from ..storage.keeping import STAGES, config, killed, whole

__all__ = ["bucket_store"]
URL = "s3://bkt/runs/first"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        yield server


def objects(store: Store, under: str = "runs/first/") -> list[str]:
    return [name.removeprefix(under) for name in store.names() if name.startswith(under)]


def codes(run: bk.Run) -> list[str]:
    return [one.code for one in run.findings]


def sent(server: Any) -> int:
    return len(server.truth()["requests"])


def test_a_run_is_in_the_bucket_whole_and_loads_as_it_was(bucket_store: Store, server: Any, tmp_path: Path) -> None:
    run = bk.run_sync(config(server, capture="all"), save_to=URL)
    assert run.complete
    assert run.path is None
    names = objects(bucket_store)
    assert "run.json" in names
    assert "lock" not in names
    again = bk.load(URL)
    assert again.requests.equals(run.requests)
    assert again.chunks.collect().equals(run.chunks.collect())
    assert again.exchanges()
    assert again.left_out == []
    again.save(tmp_path / "copy")
    assert bk.load(tmp_path / "copy").requests.equals(run.requests)
    run.save("s3://bkt/copied")
    assert bk.load("s3://bkt/copied").summary.equals(run.summary)
    with pytest.raises(bk.errors.StoreError, match="s3://bkt/copied is not empty"):
        run.save("s3://bkt/copied")


def test_the_same_call_sends_nothing_again_and_another_machine_goes_on(
    bucket_store: Store, server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = bk.run_sync(config(server), save_to=URL)
    before = sent(server)
    assert bk.run_sync(config(server), save_to=URL).requests.equals(first.requests)
    assert sent(server) == before
    document = json.loads(bucket_store.buckets["bkt"]["runs/first/run.json"].content)
    document["levels"][1]["done"] = False
    bucket_store.put("bkt", "runs/first/run.json", json.dumps(document).encode())
    monkeypatch.setenv("BASETENKIT_SPOOL", str(tmp_path / "another machine"))
    resumed = bk.run_sync(config(server), save_to=URL)
    level = pl.col("level") == 1
    assert resumed.requests.filter(level).equals(first.requests.filter(level))
    assert resumed.complete
    assert any(name.startswith("aside/") for name in objects(bucket_store))
    assert bk.load(URL).requests.equals(resumed.requests)
    with pytest.raises(bk.errors.StoreError, match="s3://bkt/runs/first contains another run: concurrency differ"):
        bk.run_sync(config(server, concurrency=3), save_to=URL)


def test_no_credential_is_in_what_is_left(bucket_store: Store, server: Any, tmp_path: Path) -> None:
    place = bk.Storage(URL, access_key_id=KEY_ID, secret_access_key=SECRET)
    bucket_store.fault = lambda method, name: Answer() if "levels/001" in name else None
    run = bk.run_sync(
        config(server), save_to=bk.Storage(URL, access_key_id=KEY_ID, secret_access_key=SECRET, retry_s=0)
    )
    assert NOT_UPLOADED in codes(run)
    shown = repr(run) + repr(run.findings) + json.dumps(run.metadata) + repr(place) + str(bk.plan(config(server)))
    kept = [path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    kept += [one.content for one in bucket_store.buckets["bkt"].values()]
    assert len(kept) > 5
    for secret in (KEY_ID, SECRET):
        assert secret not in shown
        assert not [one for one in kept if secret.encode() in one]


def test_a_store_that_fails_for_a_while_is_tried_again(bucket_store: Store, server: Any) -> None:
    failures = [Answer(503), Answer(cut=True), Answer(500, "InternalError"), Answer(503, after=True)] * 5
    bucket_store.fault = lambda method, name: (
        failures.pop() if failures and method == "PUT" and "levels/" in name else None
    )
    run = bk.run_sync(config(server), save_to=URL)
    assert not failures
    assert NOT_UPLOADED not in codes(run)
    assert bk.load(URL).requests.equals(run.requests)


def test_a_second_writer_is_refused_until_the_first_has_ended_or_was_not_heard_of(
    bucket_store: Store, server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    live = bk.start(config(server, max_requests=100_000), save_to=URL)
    with pytest.raises(
        bk.errors.StoreError, match="another run is writing to s3://bkt/runs/first; wait for it, or give another"
    ):
        bk.start(config(server, max_requests=100_000), save_to=URL)
    monkeypatch.setenv("BASETENKIT_SPOOL", str(tmp_path / "another machine"))
    with pytest.raises(
        bk.errors.StoreError, match=r"another run is writing to s3://bkt/runs/first: .*, process .*last seen"
    ):
        bk.start(config(server, max_requests=100_000), save_to=URL)
    live.stop()
    assert not live.result(60).complete
    bucket_store.clock = -timedelta(seconds=lock.LEASE_S + 60)
    bucket_store.put(
        "bkt", "runs/first/lock", json.dumps({"token": "x", "spool": "y", "host": "h", "process": 1}).encode()
    )
    bucket_store.clock = timedelta(hours=3)  # of the store; ages are taken by it alone
    bucket_store.buckets["bkt"]["runs/first/lock"].modified += timedelta(hours=3)
    second = bk.start(config(server, max_requests=100_000), save_to=URL)
    second.stop()
    second.result(60)
    assert "lock" not in objects(bucket_store)


def test_a_lock_whose_answer_was_lost_is_known_as_our_own(bucket_store: Store, server: Any) -> None:
    lost = [Answer(503, after=True)]
    bucket_store.fault = lambda method, name: (
        lost.pop() if lost and name.endswith("/lock") and method == "PUT" else None
    )
    assert bk.run_sync(config(server), save_to=URL).complete
    assert not lost


def test_a_store_without_conditional_writes_is_said(bucket_store: Store, server: Any) -> None:
    bucket_store.conditional = False
    assert NOT_LOCKED in codes(bk.run_sync(config(server), save_to=URL))
    assert NOT_LOCKED not in codes(bk.load(URL))


def test_a_writer_that_lost_its_lock_uploads_no_more(bucket_store: Store, server: Any, tmp_path: Path) -> None:
    folder = BucketFolder(bk.Storage(URL))
    folder.create()
    assert folder._mirror is not None
    bucket_store.put("bkt", "runs/first/lock", json.dumps({"token": "theirs", "host": "h"}).encode())
    assert folder._mirror._lock is not None
    with pytest.raises(lock.LockLost, match="another run has taken over s3://bkt/runs/first: h"):
        folder._mirror._lock.renew(force=True)
    folder.abandon()
    assert objects(bucket_store) == ["lock"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["thesis.txt"], r"has objects but is not a run \(thesis.txt\)"),
        (
            ["a/run.json", "b/run.json"],
            "has several runs and is none itself; give a name in it, e.g. s3://bkt/runs/first/first",
        ),
        (["levels/000/requests-00001.parquet"], "its upload has not ended; call again on the machine where it ran"),
    ],
)
def test_a_folder_of_something_else_is_left_alone(
    bucket_store: Store, server: Any, names: list[str], said: str
) -> None:
    for name in names:
        bucket_store.put("bkt", f"runs/first/{name}", b"mine")
    before = sent(server)
    with pytest.raises(bk.errors.StoreError, match=said):
        bk.run_sync(config(server), save_to=URL)
    with pytest.raises(bk.errors.StoreError, match=said):
        bk.load(URL)
    assert objects(bucket_store) == sorted(names)
    assert sent(server) == before


def test_a_bucket_that_cannot_be_used_is_told_before_anything_is_sent(
    bucket_store: Store, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sent(server)
    with pytest.raises(bk.errors.StoreError, match="s3://other/x: there is no such bucket"):
        bk.run_sync(config(server), save_to="s3://other/x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "WRONG")
    with pytest.raises(bk.errors.StoreError, match="refuses these credentials"):
        bk.run_sync(config(server), save_to=URL)
    assert sent(server) == before
    with pytest.raises(bk.errors.StoreError, match="refuses these credentials"):
        bk.load(URL)


def test_what_another_tool_cut_short_is_left_out_and_named(bucket_store: Store, server: Any) -> None:
    bk.run_sync(config(server), save_to=URL)
    (part,) = [name for name in objects(bucket_store) if name.startswith("levels/001/requests")]
    name = f"runs/first/{part}"
    bucket_store.put("bkt", name, bucket_store.buckets["bkt"][name].content[:100])
    run = bk.load(URL)
    assert run.left_out == [part]
    assert not run.complete
    assert set(run.requests["level"]) == {1.0}
    (whole,) = [name for name in objects(bucket_store) if name.startswith("levels/000/requests")]
    content = bytearray(bucket_store.buckets["bkt"][f"runs/first/{whole}"].content)
    end = int.from_bytes(content[-8:-4], "little") + 8  # the footer of Parquet stays
    content[4:-end] = bytes(len(content) - 4 - end)
    bucket_store.put("bkt", f"runs/first/{whole}", bytes(content))
    with pytest.raises(bk.errors.StoreError, match="the rows of the run are damaged and cannot be read") as told:
        _ = bk.load(URL).requests
    assert "\n" not in str(told.value)
    bucket_store.put("bkt", "runs/first/run.json", b'{"schema": 2')
    with pytest.raises(bk.errors.StoreError, match=r"s3://bkt/runs/first/run\.json is damaged: it is not JSON"):
        bk.load(URL)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_run_killed_at_any_stage_loads_and_goes_on_here_and_elsewhere(
    bucket_store: Store, server: Any, tmp_path: Path, scheme: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(f"{scheme}://bkt/runs/first", server, stage, monkeypatch, tmp_path, stage in STAGES[::2])


def test_google_cloud_storage_keeps_whole_runs(bucket_store: Store, server: Any, tmp_path: Path) -> None:
    whole("gs://bkt/runs", server, tmp_path)
    assert bucket_store.names()[0].startswith("runs/first/")
