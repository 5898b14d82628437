from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import basetenkit as bk
from basetenkit.cli.app import app

from ..storage.bucket_server import Answer, Store
from ..storage.conftest import bucket_store

__all__ = ["bucket_store"]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        yield server


def command(server: Any) -> list[str]:
    load = [
        "--api-model-name",
        "m",
        "--num-concurrency",
        "2",
        "--traffic-scenario",
        "D(20,5)",
        "--max-requests-per-run",
        "10",
    ]
    return ["benchmark", "--api-base", server.url, *load]


def test_the_commands_take_the_addresses_of_buckets(bucket_store: Store, server: Any, tmp_path: Path) -> None:
    run = CliRunner().invoke(app, [*command(server), "--save-to", "s3://bkt/runs/a", "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["folder"] == "s3://bkt/runs/a"
    named = ["--experiment-base-dir", "s3://bkt/runs", "--experiment-folder-name", "b", "--quiet"]
    assert CliRunner().invoke(app, [*command(server), *named]).exit_code == 0
    assert bk.load("s3://bkt/runs/b").complete
    compared = CliRunner().invoke(app, ["compare", "s3://bkt/runs/a", "s3://bkt/runs/b", "--json"])
    assert json.loads(compared.stdout)["frame"]
    target = str(tmp_path / "r.html")
    wrote = CliRunner().invoke(app, ["report", "s3://bkt/runs/a", target, "--json"])
    assert json.loads(wrote.stdout)["written"] == target
    assert (
        CliRunner().invoke(app, ["plot", "s3://bkt/runs/a", str(tmp_path / "charts"), "--kind", "json"]).exit_code == 0
    )
    assert (tmp_path / "charts" / "waterfall.json").is_file()


def test_a_run_that_could_not_be_uploaded_fails_the_command_and_says_where_it_is(
    bucket_store: Store, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("basetenkit.storage.address.RETRY_S", 0.0)
    bucket_store.fault = lambda method, name: Answer(403, "AccessDenied") if "levels/" in name else None
    run = CliRunner().invoke(app, [*command(server), "--save-to", "s3://bkt/runs/a"])
    assert run.exit_code == 1
    assert "not in s3://bkt/runs/a: s3://bkt/runs/a: S3 refuses these credentials" in run.output
    assert str(tmp_path / "spool") in run.output
