from __future__ import annotations

import os
from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.storage.bucket import Bucket
from basetenkit.storage.troubles import BucketError

from .bucket_server import Answer, Store


def place(store: Store, scheme: str, **more: object) -> bk.Storage:
    if scheme == "s3":
        return bk.Storage("s3://bkt/a/b", **more)  # type: ignore[arg-type]
    key = os.environ["GOOGLE_SERVICE_ACCOUNT"]
    return bk.Storage("gs://bkt/a/b", endpoint=store.url, credentials_file=key, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_objects_are_written_read_listed_and_deleted(bucket_store: Store, scheme: str, tmp_path: Path) -> None:
    bucket = Bucket(place(bucket_store, scheme))
    file = tmp_path / "large"
    file.write_bytes(bytes(range(256)) * 50_000)  # in parts
    bucket.put("x/large", file)
    bucket.put("y", b"small")
    assert bucket.get("x/large") == file.read_bytes()
    assert bucket.get("nothing") is None
    assert bucket.head("nothing") is None
    assert sorted((one.name, one.size) for one in bucket.listed()) == [("x/large", 12_800_000), ("y", 5)]
    assert [one.name for one in bucket.listed("x")] == ["x/large"]
    bucket.delete(["y", "nothing"])
    assert bucket_store.names() == ["a/b/x/large"]


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_of_two_who_create_or_replace_an_object_one_is_refused(bucket_store: Store, scheme: str) -> None:
    bucket = Bucket(place(bucket_store, scheme))
    bucket.create("lock", b"1")
    with pytest.raises(FileExistsError):
        bucket.create("lock", b"2")
    seen = bucket.head("lock")
    assert seen is not None
    bucket.replace("lock", b"3", seen)
    with pytest.raises(FileExistsError):
        bucket.replace("lock", b"4", seen)
    assert bucket.get("lock") == b"3"


def test_a_bucket_that_is_not_there_is_named(bucket_store: Store) -> None:
    bucket = Bucket(bk.Storage("s3://other/x"))
    for ask in (lambda: bucket.put("x", b"1"), lambda: bucket.get("x"), bucket.listed, lambda: bucket.create("x", b"")):
        with pytest.raises(BucketError, match="s3://other/x: there is no such bucket"):
            ask()


def test_what_fails_twice_is_tried_again(bucket_store: Store) -> None:
    failures = [Answer(503), Answer(cut=True)]
    bucket_store.fault = lambda *_: failures.pop() if failures else None
    Bucket(place(bucket_store, "s3")).put("x", b"1")
    assert bucket_store.names() == ["a/b/x"]
    assert not failures


def test_parts_that_are_fetched_appear_whole_and_those_gone_are_named(bucket_store: Store, tmp_path: Path) -> None:
    bucket = Bucket(place(bucket_store, "s3"))
    for number in range(50):
        bucket.put(f"levels/{number}", str(number).encode())
    gone = bucket.fetch([f"levels/{number}" for number in range(51)], tmp_path)
    assert gone == ["levels/50"]
    assert [(tmp_path / "levels" / str(number)).read_text() for number in range(50)] == [str(n) for n in range(50)]
