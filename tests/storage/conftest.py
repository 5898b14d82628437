"""Each test has its own store, the variables of the environment that lead to it, and a spool that goes with the test."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bucket_server import Store, bucket_server


def google_account(folder: Path, url: str) -> Path:
    """The file of a service account that leads to a server that asks for no token."""
    file = folder.with_name(f"{folder.name}-account.json")  # beside what a test keeps
    account = {"gcs_base_url": url, "disable_oauth": True}
    file.write_text(json.dumps(account | dict.fromkeys(("client_email", "private_key", "private_key_id"), "")))
    return file


def no_credentials(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Takes from the environment what leads to a store, and puts the spool below `folder`."""
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(folder / "no-such-file"))
    monkeypatch.setenv("BASETENKIT_SPOOL", str(folder / "spool"))


@pytest.fixture
def bucket_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    no_credentials(monkeypatch, tmp_path)
    with bucket_server() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(google_account(tmp_path, store.url)))
        yield store
