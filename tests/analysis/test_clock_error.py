"""The clock's bound: per metric, in each interval, and one number wherever it is shown."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.clock_error import (
    bounded,
    clock_errors,
    error_name,
    with_content_errors,
    within_the_clock,
)
from basetenkit.analysis.metrics import METRICS, percentile
from basetenkit.analysis.summary import summarise
from basetenkit.cli.ending import show_end
from basetenkit.core.tables import digits
from basetenkit.core.types import Estimate
from basetenkit.reporting import charts
from basetenkit.reporting.html import page
from basetenkit.reporting.tables import latencies, tokens
from basetenkit.reporting.workbook import sheets

from ..making import number
from ..reporting.test_tables import lines
from ..reporting.test_workbook import read
from .frames import chunks_of, failures, rows
from .saved import save

N = 120


@pytest.fixture
def run(tmp_path: Path) -> bk.Run:
    """A level with a warm-up, failures and bounds of many sizes, so that each population and each rule gives its own number."""
    rng = np.random.default_rng(6)
    ttft = rng.uniform(0.1, 0.2, N)
    noisy = {
        "ttft_s": ttft,
        "e2e_s": ttft + 0.4,
        "ttft_error_s": rng.uniform(0.0, 0.03, N),
        "e2e_error_s": rng.uniform(0, 0.05, N),
    }
    early = {"ttft_error_s": 0.5, "e2e_error_s": 0.5, "phase": "warmup", "start_s": np.arange(-5.0, 0.0)}
    frame = pl.concat([rows(5, **early), rows(N, **noisy), failures(5, start_s=np.arange(5) + N + 0.5)])
    return bk.load(save(tmp_path / "run", frame, max_requests=N + 5, warmup_requests=5))


def test_the_clocks_error_is_one_number_on_every_surface(run: bk.Run, capsys: pytest.CaptureFixture[str]) -> None:
    kept = run.requests.filter(pl.col("in_window") & (pl.col("outcome") == "ok"))
    right = {}
    for metric in ("ttft", "e2e"):
        errors = kept[f"{metric}_error_s"].sort()
        right[metric] = float(errors[math.ceil(0.99 * errors.len()) - 1]) * 1e3
    summary = run.summary_wide.row(0, named=True)
    shown = latencies(run)
    titles = ("Time to first token", "End-to-end")
    table = {title: line.split()[-1] for line in lines(shown) for title in titles if f" {title}" in line}
    said = {f.sentence.split("error of ")[1][:4].strip(): f.sentence for f in run.findings if f.code == "clock_bound"}
    document = page(run).decode()
    cells = read(sheets(run))
    names = list(run.summary_wide.columns)
    config = {row.get("A"): row.get("B") for row in cells["Config"]}
    show_end(run, Path("run"), [])
    printed = capsys.readouterr().out
    for metric, title, row in (("ttft", "TTFT", titles[0]), ("e2e", "E2E", titles[1])):
        ms = right[metric]
        assert summary[f"{metric}_error_p99_s"] * 1e3 == pytest.approx(ms)
        assert table[row] == digits(ms)
        assert f"(p99 {digits(ms)} ms)" in said[title]
        assert f"{title} at most" in document
        assert f"{digits(ms)} ms (99th percentile)" in document
        chart = charts.latency_ecdf(run, f"{metric}_s").to_dict()
        assert f"at most {digits(ms)} ms (99th percentile)" in str(chart["title"])
        assert run.metadata["clock"][f"{metric}_error_p99_s"] * 1e3 == pytest.approx(ms)
        assert number(config[f"clock.{metric}_error_p99_s"]) * 1e3 == pytest.approx(ms)
        column = _letters(names.index(f"{metric}_error_p99_s"))
        assert cells["Summary"][1][column] * 1e3 == pytest.approx(ms)
    assert digits(right["ttft"]) in printed


def _letters(index: int) -> str:
    """0 -> A, 26 -> AA."""
    out = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        out = chr(65 + rest) + out
    return out


def test_a_quantile_and_its_interval_are_one_number_on_every_surface(run: bk.Run) -> None:
    summary = run.summary_wide.row(0, named=True)
    spread = run.spread.filter(pl.col("metric") == "ttft_s").row(0, named=True)
    drawn = charts.latency_ecdf(run, "ttft_s").to_dict()
    marks = {m["p"]: m for data in drawn["datasets"].values() for m in data if "mark_share" in m}
    (line,) = [x for x in lines(latencies(run)) if "Time to first token" in x]
    for p in (50, 90, 99):
        name = f"ttft_s_p{p}"
        assert spread[f"p{p}"] == summary[name]
        assert marks[f"p{p}"]["x"] == pytest.approx(summary[name] * 1e3)
        assert marks[f"p{p}"]["low"] == pytest.approx(summary[f"{name}_low"] * 1e3)
    assert spread["mean"] == summary["ttft_s_mean"]
    assert f" {summary['ttft_s_p50'] * 1e3:.0f} (" in line


def test_tokens_are_one_number_on_every_surface(run: bk.Run) -> None:
    (line,) = [x for x in lines(tokens(run)) if " output " in x]
    cells = read(sheets(run))["Tokens"]
    (row,) = [r for r in cells if r.get("D") == "output"]
    reported = int(
        run.requests.filter((pl.col("outcome") == "ok") & (pl.col("phase") == "measured"))["output_tokens_server"].sum()
    )
    assert re.search(rf"\b{reported}\b", line.replace(",", ""))
    assert reported in row.values()


def test_a_repeated_level_has_one_interval_in_table_and_chart(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    parts = [rows(60, repeat=k, ttft_s=rng.uniform(0.1, 0.2, 60) + 0.05 * k, ttft_error_s=0.0) for k in range(5)]
    found = bk.load(save(tmp_path / "run", pl.concat(parts), repeats=5))
    drawn = charts.latency_ecdf(found, "ttft_s").to_dict()
    marks = {m["p"]: m for data in drawn["datasets"].values() for m in data if "mark_share" in m}
    assert marks["p50"]["low"] == pytest.approx(found.summary_wide["ttft_s_p50_low"][0] * 1e3)


def test_what_is_not_streamed_has_a_bound_and_its_finding(tmp_path: Path) -> None:
    frame = rows(N, ttft_s=None, tpot_s=None, ttft_error_s=None, e2e_error_s=0.1, wire_format="embedding")
    found = bk.load(save(tmp_path / "run", frame))
    assert [f.sentence for f in found.findings if f.code == "clock_bound"] == [
        "D(100,20) at concurrency 1: the clock's proven error of E2E (p99 100 ms) is 20% of its median."
    ]
    assert found.summary_wide["e2e_error_p99_s"][0] == 0.1
    assert "E2E at most 100 ms" in page(found).decode()


def test_a_latency_from_its_due_time_has_the_bound_of_the_one_from_the_send() -> None:
    assert (bounded("ttft_due_s"), bounded("e2e_due_s"), bounded("itl_s")) == ("ttft_s", "e2e_s", None)
    assert error_name("ttft_s") == "ttft_error_p99_s"


def test_a_speed_that_the_clock_does_not_limit_has_no_top() -> None:
    """The bound is wider than the stream: its tokens may have come all at once."""
    frame = rows(40, in_window=True, ttft_error_s=0.0, e2e_error_s=0.45)

    def median(seen: pl.DataFrame) -> list[Estimate]:
        return [percentile(seen["x"].to_numpy(), seen["cut"].to_numpy(), 50)]

    (speed,) = within_the_clock(METRICS["output_inference_speed"], frame, median)
    assert speed.value == pytest.approx(19 / 0.4)
    assert speed.high is None
    assert speed.low == pytest.approx(19 / 0.4)
    assert clock_errors(frame)["tpot_error_p99_s"] == pytest.approx(0.45 / 19)


def test_the_bound_of_content_after_reasoning_is_that_of_its_own_chunk() -> None:
    """Every second response begins with 0.2 s of reasoning, and its content's chunk is known to 50 ms."""
    late = [i % 2 == 1 for i in range(60)]
    frame = rows(60, in_window=True, ttft_s=0.1, ttft_error_s=0.01, first_content_s=[0.3 if x else 0.1 for x in late])
    chunks = chunks_of(frame, [0.2, 0.1]).with_columns(error_s=pl.when(pl.col("index") == 1).then(0.05).otherwise(0.01))
    at = {x: chunks.filter(pl.col("index") == x)["arrival_s"][0] for x in (0, 1)}
    frame = frame.with_columns(first_content_s=pl.Series([at[1] if x else at[0] for x in late]), ttft_s=at[0])
    found = with_content_errors(frame, chunks.lazy())
    assert found["request_id"].equals(frame["request_id"])
    assert found["first_content_error_s"].to_list() == [0.05 if x else 0.01 for x in late]
    without = with_content_errors(frame, None)
    assert without["first_content_error_s"].to_list() == [None if x else 0.01 for x in late]
    lows = [summarise(frame, known)["first_content_s_p90_low"][0] for known in (None, chunks.lazy())]
    assert lows == pytest.approx([at[1] - 0.0, at[1] - 0.05])
