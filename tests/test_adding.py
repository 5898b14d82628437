"""CONTRIBUTING.md shows how to add a part of each kind: the tests take each example from there and perform it."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import orjson
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.config import scenarios
from basetenkit.config.scenarios import FORMS
from basetenkit.config.tasks import TASKS
from basetenkit.core.findings import RUN_FINDINGS
from basetenkit.core.reasons import StopReason
from basetenkit.execution.executors import EXECUTORS
from basetenkit.interop.importers import IMPORTERS, open_run
from basetenkit.loadgen.stop_conditions import EACH_SECOND
from basetenkit.results.schema import SCHEMA
from basetenkit.workload.payload import BUILDERS

from .making import number

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def example(title: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The section's code, as a module."""
    section = GUIDE.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    (source,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    module = types.ModuleType("shown")
    monkeypatch.setitem(sys.modules, "shown", module)
    exec(compile(source, title, "exec"), module.__dict__)
    return module


@pytest.fixture(autouse=True)
def kept_registries() -> Iterator[None]:
    """What an example adds is gone after its test."""
    tables: tuple[dict[str, Any], ...] = RUN_FINDINGS, TASKS, BUILDERS
    lists: tuple[list[Any], ...] = EACH_SECOND, EXECUTORS, IMPORTERS
    before, tasks = [*map(dict, tables)], FORMS["D"].tasks
    listed = [*map(list, lists)]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)
    for one, those in zip(lists, listed, strict=True):
        one[:] = those
    FORMS["D"].tasks = tasks


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        yield server


def run(server: Any, text: str, **fields: Any) -> bk.Run:
    usual: dict[str, Any] = {"endpoint": bk.Endpoint(url=server.url), "concurrency": 2, "max_requests": 8}
    return bk.run_sync(bk.RunConfig(steady=False, preflight=False, scenarios=text, **(usual | fields)))


def test_the_scenario_is_read_drawn_and_run(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = example("Adding a scenario", monkeypatch)
    monkeypatch.setitem(scenarios.FORMS, "G", shown.Geometric)
    it = scenarios.parse_scenario("G(200, 50)")
    assert it == shown.Geometric(200, 50)
    assert scenarios.parse_scenario(str(it)) == it
    rng = Random(1)
    lengths = [number(it.sample(rng).input_tokens) for _ in range(4000)]
    assert 185 < sum(lengths) / len(lengths) < 215
    rows = run(server, "G(20,5)").requests
    assert (rows["outcome"] == "ok").all()
    assert rows["output_tokens_target"].n_unique() > 1


def test_the_chart_draws_what_was_counted_and_says_where_nothing_is(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = example("Adding a chart", monkeypatch)
    drawn = shown.answers_by_size(run(server, "D(10,4)")).to_dict()
    (data,) = drawn["datasets"].values()
    assert [(row["output_tokens"], row["n"]) for row in data] == [(4, 8)]
    nothing = shown.answers_by_size(pl.DataFrame(schema=SCHEMA)).to_dict()
    assert "No successful request" in str(nothing)


def test_the_finding_is_said_where_it_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = example("Adding a finding", monkeypatch)
    rows = pl.DataFrame({"retransmits": [0, 2, None]})
    (said,) = shown.of_the_network("D(1,1) at concurrency 1", rows)
    assert said.sentence == "D(1,1) at concurrency 1: 1 of 3 requests had segments sent again."
    assert list(shown.of_the_network("x", rows.filter(pl.col("retransmits") == 0))) == []


def test_the_stop_condition_ends_the_level_that_it_is_for(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = example("Adding a stop condition", monkeypatch)
    with bk.emulator.serve(ttft_ms=60_000) as slow:
        fields = {"concurrency": [], "request_rate": 100, "max_requests": 2000}
        stopped = run(slow, "D(10,4)", endpoint=bk.Endpoint(url=slow.url), **fields)
    (entry,) = stopped.manifest.levels
    assert entry.ended_by is not None
    assert entry.ended_by.reason is StopReason.OVERLOAD
    assert entry.ended_by.fields["late"] > shown.most_in_flight(stopped.config, entry.plan.load).limit
    assert set(stopped.requests["outcome"]) == {"cancelled"}
    assert run(server, "D(10,4)").manifest.levels[0].ended_by is None  # a closed loop does not have the condition


def test_the_executor_sends_the_levels_in_its_own_way(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = example("Adding an executor", monkeypatch)
    spaced = run(server, "D(10,4)", concurrency=[1, 2])
    for entry in spaced.manifest.levels:
        first = spaced.requests.filter(pl.col("level") == entry.level)["started_at"].min()
        assert isinstance(first, datetime)
        assert entry.started_at is not None
        assert first.timestamp() - entry.started_at >= shown.PAUSE_S
    assert (spaced.requests["outcome"] == "ok").all()
    assert spaced.requests.height == 16
    assert run(server, "D(10,4)", workers=1).requests.height == 8  # these have their own executor


def test_the_importer_reads_its_file_and_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    example("Adding an importer", monkeypatch)
    theirs, other = tmp_path / "times.csv", tmp_path / "other.csv"
    lines = [f"{i},{0.1 + i / 100},{0.5 + i / 100},40" for i in range(20)]
    theirs.write_text("\n".join(["start,ttft,latency,tokens", *lines]))
    other.write_text("a,b\n1,2\n")
    read = open_run(theirs)
    (row,) = read.summary_wide.to_dicts()
    assert row["e2e_s_mean"] == pytest.approx(0.595)
    assert read.requests["output_tokens"].to_list() == [40] * 20
    assert read.requests["ttft_error_s"].null_count() == 20
    assert read.manifest.metadata.timed_by == "stopwatch"
    read.save(tmp_path / "kept")
    assert bk.load(tmp_path / "kept").requests.height == 20
    with pytest.raises(bk.errors.StoreError, match=r"other\.csv"):
        open_run(other)


def test_the_task_sends_its_payload_to_its_path(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    example("Adding a task", monkeypatch)
    fields = {"endpoint": bk.Endpoint(url=server.base_url), "task": "text-to-infill", "capture": "all"}
    with pytest.warns(UserWarning, match="/v1/completions"):
        filled = run(server, "D(40,5)", **fields)
    assert (filled.requests["outcome"] == "ok").all()
    assert (filled.requests["output_tokens"] == 5).all()
    sent = orjson.loads(filled.exchange(filled.captured[0]).request.body)
    assert sent.keys() == {"prompt", "suffix", "max_tokens", "stream"}
    assert len(sent["suffix"]) - len(sent["prompt"]) in (0, 1)
    with pytest.raises(bk.errors.ConfigError, match=r"'text-to-embeddings' or 'text-to-infill'"):
        bk.RunConfig(endpoint=server.url, task="text-to-poems")
    assert bk.preflight(bk.Endpoint(url=f"{server.base_url}/v1/completions"), task="text-to-infill").ok
