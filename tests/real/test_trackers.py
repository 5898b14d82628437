"""Runs in the trackers themselves: a real MLflow server, and Weights & Biases offline."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from tests.real import servers

pytestmark = pytest.mark.real
KEY = "pl4nted-key"
LOG = """
import basetenkit as bk
bk.log_run(sys.argv[1], to=sys.argv[2], name="first")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> bk.Run:
    folder = tmp_path_factory.mktemp("runs") / "first"
    with bk.emulator.serve(ttft_ms=2, itl_ms=0.5) as server:
        endpoint = bk.Endpoint(url=server.url, model="m", api_key=KEY)
        load: dict[str, Any] = {"scenarios": "D(20,5)", "concurrency": [1, 2], "max_requests": 60, "steady": False}
        return bk.run_sync(bk.RunConfig(endpoint=endpoint, **load), save_to=folder)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.mlflow(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


def asked(url: str, **body: Any) -> Any:
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(urllib.request.Request(url, data, {"content-type": "application/json"})) as response:
        return json.load(response)


def test_mlflow_has_parameters_figures_with_intervals_and_the_report(run: bk.Run, mlflow: str) -> None:
    done = servers.beside("trackers", LOG, str(run.path), "mlflow", MLFLOW_TRACKING_URI=mlflow)
    assert done.returncode == 0, done.stderr
    (found,) = asked(f"{mlflow}/api/2.0/mlflow/runs/search", experiment_ids=["0"])["runs"]
    data = found["data"]
    assert found["info"]["run_name"] == "first"
    assert found["info"]["status"] == "FINISHED"
    params = {one["key"]: one["value"] for one in data["params"]}
    assert (params["endpoint.model"], params["concurrency"]) == ("m", "[1, 2]")
    figure = run.metrics.filter(level=2.0).drop_nulls(["low", "high"]).row(0, named=True)
    kept = {one["key"]: one["value"] for one in data["metrics"]}
    level = f"D_20_5_at_concurrency_2/{figure['metric']}"
    assert [kept[f"{level}{end}"] for end in ("", "_low", "_high")] == [figure[k] for k in ("value", "low", "high")]
    listed = asked(f"{mlflow}/api/2.0/mlflow/artifacts/list?run_id={found['info']['run_id']}")["files"]
    sizes = {one["path"]: int(one["file_size"]) for one in listed}
    assert sizes["report.html"] > 10_000
    assert sizes["serving_curve.html"] > 1_000
    assert KEY not in json.dumps(found)


def test_an_mlflow_server_that_does_not_answer_is_one_sentence(run: bk.Run) -> None:
    nobody = f"http://127.0.0.1:{servers.free_port()}"
    env = {"MLFLOW_TRACKING_URI": nobody, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = servers.beside("trackers", LOG, str(run.path), "mlflow", **env)
    assert done.returncode != 0
    assert "basetenkit.core.errors.StoreError: mlflow did not take the run first (" in done.stderr


def test_weights_and_biases_offline_has_the_figures_and_the_files(run: bk.Run, tmp_path: Path) -> None:
    done = servers.beside("trackers", LOG, str(run.path), "wandb", WANDB_MODE="offline", WANDB_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    (kept,) = tmp_path.rglob("run-*.wandb")
    content = kept.read_bytes()
    figure = run.metrics.filter(level=2.0).drop_nulls(["low", "high"]).row(0, named=True)
    for text in (f"D_20_5_at_concurrency_2/{figure['metric']}_low", "endpoint.model", "report.html"):
        assert text.encode() in content
    assert KEY.encode() not in content
    assert sys.modules.get("wandb") is None
