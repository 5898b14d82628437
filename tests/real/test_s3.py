"""Runs in S3, against moto's S3."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import basetenkit as bk
from basetenkit.cli.app import app
from tests.interop.genai_bench.test_uploads import COMMANDS, small
from tests.real import servers
from tests.storage.conftest import no_credentials
from tests.storage.keeping import STAGES, killed, whole

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        yield server


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture
def bucket(moto: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of a new bucket, to which the environment leads."""
    no_credentials(monkeypatch, tmp_path)
    given = {"ENDPOINT_URL": moto, "ACCESS_KEY_ID": "AKIATEST", "SECRET_ACCESS_KEY": "test", "REGION": "us-east-1"}
    for name, value in given.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    name = f"bucket-{abs(hash(request.node.name)):x}"
    urllib.request.urlopen(urllib.request.Request(f"{moto}/{name}", method="PUT")).close()
    return name


def test_a_run_is_kept_read_and_locked(bucket: str, server: Any, tmp_path: Path) -> None:
    whole(f"s3://{bucket}/team/runs", server, tmp_path)


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_at_any_stage_loads_and_goes_on(
    bucket: str, server: Any, stage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    killed(f"s3://{bucket}/runs/first", server, stage, monkeypatch, tmp_path, stage in STAGES[::2])


def test_a_missing_bucket_is_one_sentence(bucket: str, server: Any) -> None:
    with pytest.raises(bk.errors.StoreError, match="s3://no-such-bucket/x: there is no such bucket"):
        bk.load("s3://no-such-bucket/x")
    with pytest.raises(bk.errors.StoreError, match=f"there is nothing in s3://{bucket}/runs"):
        bk.history(f"s3://{bucket}/runs")


@COMMANDS
def test_the_command_lines_of_basetens_page_upload_their_run(
    bucket: str, server: Any, tmp_path: Path, command: str, path: str
) -> None:
    upload = f"--upload-results --storage-provider aws --storage-bucket {bucket} --storage-prefix team/runs"
    done = CliRunner().invoke(app, small(command, getattr(server, path), tmp_path, upload))
    assert done.exit_code == 0, done.output
    run = bk.load(f"s3://{bucket}/team/runs/first")
    assert run.complete
    assert run.rows.filter(run.rows["outcome"] == "ok").height >= 4
