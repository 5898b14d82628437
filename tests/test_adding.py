"""CONTRIBUTING.md shows how to add a scenario, a chart and a finding: what it shows is taken from there and done."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.config import scenarios
from basetenkit.core.findings import RUN_FINDINGS
from basetenkit.results.schema import SCHEMA

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


@pytest.fixture
def kept_findings() -> Iterator[None]:
    before = dict(RUN_FINDINGS)
    yield
    RUN_FINDINGS.clear()
    RUN_FINDINGS.update(before)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        yield server


def run(server: Any, text: str) -> bk.Run:
    return bk.run_sync(
        bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=bk.Endpoint(url=server.url),
            scenarios=text,
            concurrency=2,
            max_requests=8,
        )
    )


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


@pytest.mark.usefixtures("kept_findings")
def test_the_finding_is_said_where_it_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = example("Adding a finding", monkeypatch)
    rows = pl.DataFrame({"retransmits": [0, 2, None]})
    (said,) = shown.of_the_network("D(1,1) at concurrency 1", rows)
    assert said.sentence == "D(1,1) at concurrency 1: 1 of 3 requests had segments sent again."
    assert list(shown.of_the_network("x", rows.filter(pl.col("retransmits") == 0))) == []
