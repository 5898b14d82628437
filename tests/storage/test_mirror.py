from __future__ import annotations

from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.storage.bucket import Bucket
from basetenkit.storage.mirror import Ledger, Mirror, files_of

from .bucket_server import Answer, Store


def mirror(folder: Path, retry_s: float = 0.0) -> Mirror:
    return Mirror(
        Bucket(bk.Storage("s3://bkt/r", retry_s=retry_s)), folder, "last", lambda name: "whole" in name, ("lock",)
    )


def write(folder: Path, *names: str) -> None:
    for name in names:
        file = folder.joinpath(*name.split("/"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)


def changes(store: Store) -> list[tuple[str, str]]:
    return [(method, name.removeprefix("r/")) for method, name in store.log if method in ("PUT", "DELETE")]


def test_a_pass_puts_what_replaces_others_first_then_deletes_and_says_last_what_is_there(
    bucket_store: Store, tmp_path: Path
) -> None:
    write(tmp_path, "a/1", "a/2", "last", "lock", ".hidden", "a/.new")
    assert mirror(tmp_path).finish() is None
    assert changes(bucket_store) == [("PUT", "a/1"), ("PUT", "a/2"), ("PUT", "last")]
    bucket_store.log.clear()
    (tmp_path / "a" / "1").unlink()
    (tmp_path / "a" / "2").unlink()
    write(tmp_path, "a/whole", "b/1", "last")
    assert mirror(tmp_path).finish() is None
    wanted = [("PUT", "a/whole"), ("DELETE", "a/1"), ("DELETE", "a/2"), ("PUT", "b/1"), ("PUT", "last")]
    assert changes(bucket_store) == wanted
    assert bucket_store.names() == ["r/a/whole", "r/b/1", "r/last"]


def test_what_is_there_is_not_uploaded_again(bucket_store: Store, tmp_path: Path) -> None:
    write(tmp_path, "a", "last")
    mirror(tmp_path).finish()
    bucket_store.log.clear()
    assert mirror(tmp_path).finish() is None
    assert changes(bucket_store) == []


@pytest.mark.parametrize("failing", ["a", "b", "last"])
def test_the_last_file_is_not_put_while_another_is_missing(bucket_store: Store, tmp_path: Path, failing: str) -> None:
    write(tmp_path, "a", "b", "last")
    bucket_store.fault = lambda method, name: Answer(500, "InternalError") if name.endswith(f"/{failing}") else None
    left = mirror(tmp_path).finish()
    assert left is not None
    assert left.files == 3 - ["a", "b", "last"].index(failing)
    assert "InternalError" in left.message
    assert "r/last" not in bucket_store.names()
    bucket_store.fault = lambda *_: None
    assert mirror(tmp_path).finish() is None
    assert bucket_store.names() == ["r/a", "r/b", "r/last"]


def test_a_note_that_is_damaged_is_as_none(tmp_path: Path) -> None:
    (tmp_path / ".uploaded").write_text('{"stamps": {"a"')
    assert Ledger(tmp_path).stamps == {}


def test_the_files_of_a_folder_have_names_as_in_a_bucket(tmp_path: Path) -> None:
    write(tmp_path, "a/b/c", "d", ".e", ".f/g", "lock")
    assert list(files_of(tmp_path, ("lock",))) == ["d", "a/b/c"]
