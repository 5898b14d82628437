"""Each test has its own store, the variables of the environment that lead to it, and a spool that goes with the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bucket_server import Store, bucket_server


@pytest.fixture
def bucket_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-such-file"))
    monkeypatch.setenv("BASETENKIT_SPOOL", str(tmp_path / "spool"))
    with bucket_server() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store
