"""Several batch sizes in one run: each is a level, wherever levels are distinguished, against the embedded endpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.reporting.tables import overview_rows
from basetenkit.reporting.trends import trends

from .reporting.test_charts import data

SIZES = [1, 8, 32]
LEVELS = [f"E(16,{n})" for n in SIZES]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1, dimension=8) as server:
        yield server


def config(server: Any, **kw: Any) -> bk.RunConfig:
    fields: dict[str, Any] = {"task": "text-to-embeddings", "scenarios": "E(16)", "batch_size": SIZES, "concurrency": 1}
    fields |= {"max_requests": 5, "capture": "all"}
    return bk.RunConfig(
        steady=False, preflight=False, endpoint=bk.Endpoint(url=server.embeddings_url, model="m"), **(fields | kw)
    )


@pytest.fixture(scope="module")
def run(server: Any) -> bk.Run:
    return bk.run_sync(config(server, repeats=2, warmup_requests=1))


def sent(run: bk.Run) -> list[tuple[str, int]]:
    """(scenario of the row, inputs that its body really has) of each request."""
    return [
        (row["scenario"], len(json.loads(run.exchange(row["request_id"]).request.body)["input"]))
        for row in run.requests.iter_rows(named=True)
    ]


@pytest.mark.baseten("embeddings")
def test_each_size_is_a_level_whose_requests_have_so_many_inputs(run: bk.Run) -> None:
    assert sorted(set(sent(run)), key=lambda x: x[1]) == list(zip(LEVELS, SIZES, strict=True))
    assert run.requests.select((pl.col("scenario") == pl.format("E(16,{})", "batch_size")).all()).item()
    assert run.requests.select((pl.col("input_tokens_target") == 16 * pl.col("batch_size")).all()).item()
    assert run.summary_wide.select("scenario", "level", "ok").rows() == [(text, 1.0, 12) for text in LEVELS]
    assert run.fates.select("scenario", "planned", "sent", "never_sent").rows() == [(t, 12, 12, 0) for t in LEVELS]
    assert run.complete


def test_throughput_is_in_requests_inputs_and_tokens(run: bk.Run) -> None:
    rates = run.summary_wide.select("requests_per_s", "inputs_per_s", "input_tokens_per_s", "output_tokens_per_s")
    for (requests, inputs, tokens, none), size in zip(rates.rows(), SIZES, strict=True):
        assert inputs == pytest.approx(size * requests)
        assert tokens == pytest.approx(16 * inputs)
        assert none is None
    shown = overview_rows(run)
    assert [row["scenario"] for row in shown] == LEVELS
    assert all(row["inputs/s"] != "–" for row in shown)


def test_two_workers_share_each_size_out(server: Any) -> None:
    found = sent(bk.run_sync(config(server, workers=2, concurrency=2)))
    assert sorted(found, key=lambda x: x[1]) == [(t, n) for t, n in zip(LEVELS, SIZES, strict=True) for _ in range(5)]


def test_an_open_loop_goes_over_sizes_too(server: Any) -> None:
    run = bk.run_sync(config(server, concurrency=[], request_rate=[100.0]))
    assert run.summary_wide.select("scenario", "load", "ok").rows() == [(text, "request_rate", 5) for text in LEVELS]


@pytest.mark.parametrize(("text", "size"), [("E(16)", 8), ("E(16,8)", 1)])
def test_one_size_leaves_the_scenario_as_it_was_given(server: Any, text: str, size: int) -> None:
    assert set(sent(bk.run_sync(config(server, scenarios=text, batch_size=size)))) == {(text, 8)}


def test_entries_of_a_data_set_and_mixtures_come_in_batches_too(server: Any) -> None:
    frame = pl.DataFrame({"prompt": [f"entry {i}" for i in range(20)]})
    run = bk.run_sync(config(server, scenarios="dataset", dataset=frame, batch_size=[2, 3]))
    assert set(sent(run)) == {("dataset(2)", 2), ("dataset(3)", 3)}
    run = bk.run_sync(config(server, scenarios="1*E(16)+3*E(4)", batch_size=[1, 2]))
    assert set(sent(run)) == {("1*E(16,1)+3*E(4,1)", 1), ("1*E(16,2)+3*E(4,2)", 2)}
    run = bk.run_sync(config(server, scenarios="1*E(16,1)+1*E(16,4)", batch_size=1, max_requests=40))
    assert set(sent(run)) == {("1*E(16,1)+1*E(16,4)", 1), ("1*E(16,1)+1*E(16,4)", 4)}


def test_charts_tell_the_sizes_apart(run: bk.Run) -> None:
    for chart in (bk.charts.latency_ecdf(run, "e2e_s"), bk.charts.serving_curve(run, "e2e_s", 50, "inputs_per_s")):
        document = json.dumps(chart.to_dict())
        assert [text for text in LEVELS if text not in document] == []


def test_sizes_at_one_load_are_one_curve_in_their_order(run: bk.Run) -> None:
    for against in ("inputs_per_s", "total_tokens_per_s"):
        points = data(bk.charts.serving_curve(run, "e2e_s", 50, against), "curve").sort("order")
        assert points.select("curve", "name").rows() == [("E(16), concurrency 1", f"{n} a request") for n in SIZES]
        figures = run.summary_wide["inputs_per_s" if against == "inputs_per_s" else "input_tokens_per_s"]
        assert points[against].to_list() == pytest.approx(figures.to_list(), rel=1e-5)
    legend = json.dumps(bk.charts.latency_ecdf(run, "e2e_s").to_dict()["layer"])
    assert json.dumps([f"{text} at concurrency 1" for text in LEVELS]) in legend


def test_the_curve_of_embeddings_is_of_what_they_have(run: bk.Run) -> None:
    by_itself, told = bk.charts.serving_curve(run), bk.charts.serving_curve(run, "e2e_s", 50, "inputs_per_s")
    assert by_itself.to_dict()["title"] == told.to_dict()["title"]
    assert data(by_itself, "y")["inputs_per_s"].to_list() == data(told, "y")["inputs_per_s"].to_list()


def test_a_stopped_run_goes_on_with_the_sizes_that_are_missing(server: Any, tmp_path: Path) -> None:
    many = config(server, max_requests=100)
    live = bk.start(many, save_to=tmp_path / "r")
    while live.progress["levels_done"] < 1:
        time.sleep(0.01)
    live.stop()
    first = live.result(30)
    assert not first.complete
    second = bk.run_sync(many, save_to=tmp_path / "r")
    assert second.complete
    assert second.summary_wide.select("scenario", "ok").rows() == [(text, 100) for text in LEVELS]
    done = pl.col("scenario") == LEVELS[0]
    assert second.requests.filter(done)["request_id"].equals(first.requests.filter(done)["request_id"])
    with pytest.raises(StoreError, match="contains another run: batch_size differ"):
        bk.run_sync(config(server, max_requests=100, batch_size=[1, 8]), save_to=tmp_path / "r")


def test_runs_are_compared_size_by_size_and_never_one_with_another(server: Any, run: bk.Run, tmp_path: Path) -> None:
    run.save(tmp_path / "all")
    for name, size in (("two", [8, 16]), ("eight", 8), ("one", 1)):
        bk.run_sync(config(server, batch_size=size), save_to=tmp_path / name)
    found = bk.compare(tmp_path / "all", tmp_path / "two")
    assert (set(found.frame["scenario"]), found.only_b) == ({"E(16,8)"}, ["E(16,16) at concurrency 1"])
    assert "inputs_per_s" in found.frame["metric"].to_list()
    sizes = bk.history(tmp_path).select("scenario", "batch_size").collect().rows()
    assert sorted(sizes) == sorted(
        [*zip(LEVELS, SIZES, strict=True), ("E(16,8)", 8), ("E(16,16)", 16), ("E(16)", 8), ("E(16)", 1)]
    )
    series = trends(tmp_path, "e2e_s_p50").points["series"].unique().to_list()
    assert len(series) == 6


def test_a_command_goes_over_its_batch_sizes_and_its_folder_is_read_back(server: Any, tmp_path: Path) -> None:
    command = f"genai-bench benchmark --api-base {server.embeddings_url} --api-model-name m --task text-to-embeddings "
    command += "--traffic-scenario 'E(16)' --batch-size 1 --batch-size 8 --max-requests-per-run 4"
    run = bk.run_sync(bk.config_from_command(command))
    assert run.summary_wide.select("scenario", "level", "ok").rows() == [("E(16,1)", 1.0, 4), ("E(16,8)", 1.0, 4)]
    folder = bk.write_genai_bench(run, tmp_path / "x")
    names = sorted(p.name.split("_time_")[0] for p in folder.glob("E*.json"))
    assert names == [f"E16_text-to-embeddings_batch_size_{n}" for n in (1, 8)]
    for path in folder.glob("E*.json"):
        totals = json.loads(path.read_text())["aggregated_metrics"]
        assert (totals["scenario"], f"batch_size_{totals['batch_size']}_" in path.name) == ("E(16)", True)
    back = bk.read_genai_bench(folder)
    assert (back.config.scenarios, back.config.batch_size) == (["E(16)"], [1, 8])
    for name in ("scenario", "batch_size", "e2e_s", "input_tokens"):
        measured = run.requests.filter(pl.col("phase") == "measured")
        assert back.requests[name].to_list() == pytest.approx(measured[name].to_list()), name
    again = bk.write_genai_bench(back, tmp_path / "y")
    for path in folder.glob("E*.json"):
        first, second = (json.loads(p.read_text())["aggregated_metrics"] for p in (path, again / path.name))
        assert first["requests_per_second"] == second["requests_per_second"]


def test_genai_bench_goes_over_one_thing_so_two_are_not_written(server: Any, tmp_path: Path) -> None:
    run = bk.run_sync(config(server, concurrency=[1, 2], max_requests=2))
    with pytest.raises(ConfigError, match="genai-bench varies one of the two"):
        bk.write_genai_bench(run, tmp_path / "x")
    assert not (tmp_path / "x").exists()
