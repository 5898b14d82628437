"""Runs in Azure Blob Storage, against azurite, which checks keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from tests.real import servers
from tests.storage.conftest import no_credentials
from tests.storage.keeping import STAGES, killed, whole

pytestmark = pytest.mark.real
ACCOUNT, KEY = "tester", base64.b64encode(b"known to this test alone" * 2).decode()


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        yield server


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.azurite(tmp_path_factory.mktemp("azurite"), ACCOUNT, KEY) as url:
        make_container(url, "box")
        yield url


def make_container(url: str, name: str) -> None:
    date, version = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"), "2021-12-02"
    headers = f"x-ms-date:{date}\nx-ms-version:{version}\n"
    text = f"PUT{chr(10) * 12}{headers}/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    signed = {"Authorization": f"SharedKey {ACCOUNT}:{signature}", "x-ms-date": date, "x-ms-version": version}
    asked = urllib.request.Request(f"{url}/{name}?restype=container", method="PUT", headers=signed)
    urllib.request.urlopen(asked).close()


@pytest.fixture
def root(azurite: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A new address, with its credentials in the environment."""
    no_credentials(monkeypatch, tmp_path)
    said = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={azurite};"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", said)
    return f"az://box/{abs(hash(request.node.name)):x}"


def test_a_run_is_kept_read_and_locked(root: str, server: Any, tmp_path: Path) -> None:
    whole(root, server, tmp_path)


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_at_any_stage_loads_and_goes_on(
    root: str, server: Any, stage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    killed(f"{root}/first", server, stage, monkeypatch, tmp_path, stage in STAGES[::2])


def test_what_azure_refuses_is_one_sentence_without_the_key(root: str, azurite: str) -> None:
    with pytest.raises(bk.errors.StoreError, match="az://other/x: there is no such bucket"):
        bk.load("az://other/x")
    wrong = base64.b64encode(b"planted" * 8).decode()
    place = bk.Storage(f"{root}/first", account_name=ACCOUNT, account_key=wrong, endpoint=azurite)
    with pytest.raises(bk.errors.StoreError, match="Azure Blob Storage refuses these credentials") as told:
        bk.load(place)
    assert wrong not in str(told.value)
