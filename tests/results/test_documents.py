from __future__ import annotations

from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.results.documents import read_document, write_document

from ..storage.bucket_server import Answer, Store
from ..storage.conftest import bucket_store

__all__ = ["bucket_store"]


@pytest.mark.parametrize("kind", ["here", "bucket"])
def test_a_document_is_written_read_and_replaced(bucket_store: Store, tmp_path: Path, kind: str) -> None:
    place = (tmp_path if kind == "here" else bk.Storage("s3://bkt/deep")) / "folder" / "state.json"
    assert read_document(place) is None
    for content in (b"first", b"second"):
        write_document(place, content)
        assert read_document(place) == content
    assert bucket_store.names() == ([] if kind == "here" else ["deep/folder/state.json"])


def test_what_cannot_be_written_or_read_is_one_sentence(bucket_store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(bk.errors.StoreError, match=r"state[.]json cannot be written: "):
        write_document(tmp_path / "file" / "state.json", b"")
    with pytest.raises(bk.errors.StoreError, match="cannot be read: Is a directory"):
        read_document(tmp_path)
    bucket_store.fault = lambda *_: Answer(403, "AccessDenied")
    for ask in (read_document, lambda place: write_document(place, b"")):
        with pytest.raises(bk.errors.StoreError, match="s3://bkt/x: S3 refuses these credentials"):
            ask(bk.Storage("s3://bkt/x"))
