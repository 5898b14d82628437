from __future__ import annotations

from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.storage.spool import identity, spool_of


def test_each_address_has_one_spool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BASETENKIT_SPOOL", str(tmp_path))
    places = [
        bk.Storage("s3://b/x"),
        bk.Storage("s3://b/x-"),
        bk.Storage("gs://b/x"),
        bk.Storage("s3://b/x", endpoint="https://e"),
    ]
    spools = [spool_of(place) for place in places]
    assert len(set(spools)) == len(places)
    assert spools[0] == spool_of(bk.Storage("s3://b/x/"))
    assert all(spool.parent == tmp_path and spool.name.startswith("b-x-") for spool in spools)
    assert spool_of(bk.Storage("s3://b/x", spool=tmp_path / "here")).parent == tmp_path / "here"


def test_a_spool_has_a_name_that_no_other_has(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    assert identity(tmp_path / "a") == identity(tmp_path / "a") != identity(tmp_path / "b")
