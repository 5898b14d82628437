"""A saved run whose rows are known by hand, and its figures."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.results.window import RULE

from .analysis.frames import rows
from .analysis.saved import save


@pytest.fixture
def run(tmp_path: Path) -> bk.Run:
    frame = rows(40, level=4, ttft_s=[float(i) for i in range(40)], start_s=[i * 0.5 for i in range(40)])
    return bk.load(save(tmp_path / "run", frame))


def test_the_window_can_be_changed_and_every_figure_follows(run: bk.Run) -> None:
    other = run.with_window(skip_first=10, skip_last=20)
    assert run.summary_wide["in_window"].to_list() == [28]
    assert other.summary_wide["in_window"].to_list() == [10]
    assert other.summary_wide["ttft_s_mean"].to_list() == [14.5]
    assert other.requests.height == run.requests.height
    assert other.fates.equals(run.fates)


def test_metrics_are_the_summary_in_rows(run: bk.Run) -> None:
    ttft = run.metrics.filter(metric="ttft_s_p90").row(0, named=True)
    assert (ttft["level"], ttft["value"], ttft["n"]) == (
        4.0,
        run.summary_wide["ttft_s_p90"][0],
        run.summary_wide["in_window"][0],
    )
    assert run.with_window(skip_first=10, skip_last=20).metrics.filter(metric="ttft_s_p90")["n"].to_list() == [10]


def test_the_window_by_time_is_of_what_started_in_it(run: bk.Run) -> None:
    other = run.with_window(from_s=5, until_s=7.5)
    assert other.requests.filter("in_window")["start_s"].to_list() == [5.0, 5.5, 6.0, 6.5, 7.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, RULE),
        ({"skip_first": 3}, "without the first 3 requests of each level"),
        ({"skip_first": 0, "skip_last": 2}, "without the first 0 and the last 2 requests of each level"),
        ({"from_s": 2.5}, "what started from 2.5 s to its end of each level"),
        (
            {"skip_last": 1, "until_s": 9},
            "without the last 1 requests of each level, what started from 0 s to 9 s of each level",
        ),
    ],
)
def test_the_window_in_use_is_said(run: bk.Run, change: dict[str, Any], words: str) -> None:
    other = run.with_window(**change)
    assert other.metadata["window"] == words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"skip_first": -1}, "skip_first is -1; give 0 or more"),
        ({"from_s": float("nan")}, "from_s is nan; give 0 or more"),
        ({"from_s": 5, "until_s": 5}, "until_s is 5; give more than from_s, which is 5"),
    ],
)
def test_a_window_that_cannot_be_is_one_sentence(run: bk.Run, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run.with_window(**change)


def test_an_unsaved_run_and_its_other_window_keep_its_folder_while_either_lives() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        run = bk.run_sync(
            bk.RunConfig(
                steady=False, preflight=False, endpoint=endpoint, scenarios=["D(8,2)"], concurrency=[1], max_requests=3
            )
        )
    other = run.with_window(skip_first=1)
    assert other.summary_wide["in_window"].to_list() == [2]
    del other
    gc.collect()
    assert run.chunks.collect().height == 6
    other = run.with_window(skip_first=2)
    del run
    gc.collect()
    assert other.chunks.collect().height == 6


def test_the_ids_of_what_was_captured_are_those_that_can_be_asked_for() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        fields: dict[str, Any] = {"scenarios": ["D(8,2)"], "concurrency": [1], "max_requests": 3}
        run = bk.run_sync(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, capture="all", **fields))
    assert sorted(run.captured) == sorted(run.requests["request_id"])
    assert all(run.exchange(i).status == 200 for i in run.captured)
