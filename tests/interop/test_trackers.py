from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.interop.trackers import RunRecord

KEY = "pl4nted-key"


@pytest.fixture(scope="module")
def run() -> Iterator[bk.Run]:
    with bk.emulator.serve(ttft_ms=2, itl_ms=0.5) as server:
        config = bk.RunConfig(
            endpoint=bk.Endpoint(url=server.url, model="m", api_key=KEY),
            scenarios="D(20,5)",
            concurrency=[1, 2],
            max_requests=60,
            request_params={"temperature": 0.7},
            steady=False,
        )
        yield bk.run_sync(config)


def test_a_callable_gets_parameters_figures_with_intervals_and_files(run: bk.Run) -> None:
    seen: list[tuple[RunRecord, list[bytes]]] = []
    bk.log_run(run, to=lambda record: seen.append((record, [file.read_bytes() for file in record.files])), name="first")
    ((record, contents),) = seen
    assert record.name == "first"
    assert record.params["endpoint.model"] == "m"
    assert record.params["concurrency"] == "[1, 2]"
    bounded = run.metrics.filter(level=2.0).drop_nulls(["low", "high"])
    figure = bounded.row(0, named=True)
    level = f"D_20_5_at_concurrency_2/{figure['metric']}"
    assert record.metrics[level] == figure["value"]
    assert (record.metrics[f"{level}_low"], record.metrics[f"{level}_high"]) == (figure["low"], figure["high"])
    assert {file.name for file in record.files} >= {"report.html", "serving_curve.html"}
    assert all(content.lower().startswith(b"\n<!doctype html>") or b"<html" in content for content in contents)
    assert not [file for file in record.files if file.exists()]
    assert KEY not in json.dumps([record.params, record.metrics])
    assert not [content for content in contents if KEY.encode() in content]


@pytest.mark.parametrize(
    ("to", "options", "said"),
    [
        ("neptune", {}, "to='neptune' is not one of mlflow, wandb"),
        ("wandb", {}, "the package wandb is not installed: pip install wandb"),
        (print, {"project": "x"}, "options are for a tracker"),
    ],
)
def test_what_cannot_be_logged_to_is_one_sentence(run: bk.Run, to: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(bk.errors.ConfigError, match=said):
        bk.log_run(run, to=to, **options)
