"""The folder of a saved run wherever a Run serves, and metrics under their short names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.token_reconciliation import causes_table, paid_table
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.reporting import tables

CHARTS = [name for name in bk.charts.__all__ if name not in ("comparison", "trend")]
TABLES = ["overview", "latencies", "service", "tokens", "findings_table"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("given") / "run"
    with bk.emulator.serve(ttft_ms=2, itl_ms=1) as server:
        config = bk.RunConfig(
            endpoint=bk.Endpoint(server.url, model="m"), scenarios="D(8,4)", concurrency="1 2", max_requests=12
        )
        bk.run_sync(config.with_(slo={"ttft": "10 s"}), save_to=path)
    return path


def drawn(chart: Any) -> list[str]:
    """What a chart draws, in an order of our own; of one that has nothing to draw, its sentence."""
    document = chart.to_dict()
    rows = [row for data in document.get("datasets", {}).values() for row in data]
    return sorted(json.dumps(row, sort_keys=True) for row in rows) or [json.dumps(document["data"])]


@pytest.mark.parametrize("name", CHARTS)
def test_each_chart_of_a_folder_is_that_of_its_run(name: str, folder: Path) -> None:
    chart = getattr(bk.charts, name)
    of_run = drawn(chart(bk.load(folder)))
    assert of_run
    assert drawn(chart(folder)) == drawn(chart(str(folder))) == of_run


@pytest.mark.parametrize("table", [*(getattr(tables, name) for name in TABLES), causes_table, paid_table])
def test_each_table_of_a_folder_is_that_of_its_run(table: Callable[[Any], Any], folder: Path) -> None:
    assert repr(table(folder)) == repr(table(str(folder))) == repr(table(bk.load(folder)))


def test_what_else_takes_a_run_takes_its_folder(folder: Path, tmp_path: Path) -> None:
    run = bk.load(folder)
    assert bk.report(folder, tmp_path / "r.html").stat().st_size > 1000
    assert bk.check_gates(folder, baseline=str(folder)) == bk.check_gates(run, baseline=run)
    assert bk.compare(folder, run).frame.height
    assert tables.samples(folder).equals(tables.samples(run))


def test_what_is_no_run_is_refused(folder: Path, tmp_path: Path) -> None:
    for wrong in (None, 5j, [folder], {"a": 1}):
        with pytest.raises(ConfigError, match=r"^latency_ecdf takes a Run, not \w+; or the folder"):
            bk.charts.latency_ecdf(wrong)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="is not a run folder"):
        tables.overview(tmp_path)
    for frame in (bk.load(folder).summary, pl.DataFrame({"a": [1]})):
        with pytest.raises(ConfigError, match="has no rows of requests"):
            bk.charts.latency_ecdf(frame)


@pytest.mark.parametrize("metric", ["ttft", "ttft_s", "TTFT", "e2e", "tpot"])
def test_a_metric_may_have_its_short_name(metric: str, folder: Path) -> None:
    whole = f"{metric.lower().removesuffix('_s')}_s"
    for chart in (bk.charts.latency_ecdf, bk.charts.latency_histogram, bk.charts.serving_curve):
        assert drawn(chart(folder, metric=metric)) == drawn(chart(folder, metric=whole))


def test_trends_know_short_names(folder: Path) -> None:
    for said, metric in (
        ("ttft_p95", "ttft_s_p95"),
        ("E2E_mean", "e2e_s_mean"),
        ("error_rate", "error_rate"),
    ):
        assert bk.trends(folder, said).metric == metric
    assert bk.charts.trend(folder, "ttft_p95").to_dict()


def test_a_metric_that_is_none_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^latency_ecdf: metric='tttft' is not a figure of the summary; e\.g\. ttft_s"
    ):
        bk.charts.latency_ecdf(folder, "tttft")
    with pytest.raises(
        ConfigError, match=r"^trends: metric='ttft_p42' is not a figure of the summary; e\.g\. ttft_s_p"
    ):
        bk.trends(folder, "ttft_p42")
