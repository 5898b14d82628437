from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.reporting.trends import trends

from ..analysis.frames import failures, rows
from ..analysis.saved import save

DAY = 86400.0


def folder_of(path: Path, ttft: list[float]) -> Path:
    """A history of daily runs, each of 40 requests whose TTFT is within a hundredth of the given value."""
    for day, value in enumerate(ttft):
        noise = np.random.default_rng(day).normal(1, 0.01, 40)
        save(path / f"day-{day:02d}", rows(40, ttft_s=value * noise), at=1.7e9 + day * DAY)
    return path


def test_a_history_with_a_step_and_an_outlier(tmp_path: Path) -> None:
    course = [0.1] * 12 + [0.15] * 10
    course[5] = 0.3
    found = trends(folder_of(tmp_path, course))
    told = {(row["kind"], Path(row["run"]).name) for row in found.events.iter_rows(named=True)}
    assert told == {("step", "day-12"), ("outlier", "day-05")}
    step_row = found.events.filter(pl.col("kind") == "step").row(0, named=True)
    assert step_row["ratio"] == pytest.approx(1.5, rel=0.02)
    assert found.points.height == 22
    assert found.points["part"].to_list() == [0] * 12 + [1] * 10
    text = repr(found)
    assert "time to first token p50: what happened" in text
    assert "day-12" in text
    drawn = found.chart().to_json()
    assert '"outlier": true' in drawn
    assert "Time to first token p50, ms" in drawn
    assert len(drawn) < 60_000
    [following] = found.next.iter_rows(named=True)
    assert following["n"] == 10
    assert 0.14 < following["low"] < 0.15 < following["high"] < 0.16


def test_a_drift_is_told_from_its_first_to_its_last_run(tmp_path: Path) -> None:
    found = trends(folder_of(tmp_path, list(0.1 * np.exp(0.02 * np.arange(20)))), "ttft_s_mean")
    row = found.events.filter(pl.col("kind") == "drift").row(0, named=True)
    assert row["low"] < np.exp(0.02 * 19) < row["high"]
    assert row["ratio"] == pytest.approx(np.exp(0.02 * 19), rel=0.05)


def test_a_run_whose_own_interval_reaches_back_does_not_stand_out(tmp_path: Path) -> None:
    folder_of(tmp_path, [0.1] * 10)
    wide = np.where(np.arange(40) % 20 < 9, 0.09, np.random.default_rng(5).uniform(0.1, 5, 40))
    save(tmp_path / "wide", rows(40, ttft_s=wide), at=1.7e9 + 10 * DAY)
    found = trends(tmp_path, "ttft_s_p50")
    assert found.points.row(-1, named=True)["value"] > 0.2
    assert not found.points["outlier"].any()


def test_what_cannot_be_used_is_left_out_and_counted(tmp_path: Path) -> None:
    folder_of(tmp_path, [0.1] * 3)
    save(tmp_path / "failed", failures(40), at=1.7e9 + 5 * DAY)
    (tmp_path / "notes").mkdir()
    found = trends(tmp_path)
    assert found.points.height == 3
    assert "D(100,20) at concurrency 1: 3 run(s) are too few to look for steps or drift; 10 at least." in found.words
    assert "1 of 5 rows are left out: not complete, or not readable." in found.words
    assert any(
        word.startswith("1 complete run(s) have no such figure: if their requests failed") for word in found.words
    )
    assert "(nothing)" in repr(found)


def test_runs_that_take_after_each_other_are_said_to(tmp_path: Path) -> None:
    waves = list(0.1 * (1 + 0.1 * np.sin(np.arange(24) / 1.5)))
    [said] = [word for word in trends(folder_of(tmp_path / "a", waves)).words if "autocorrelation" in word]
    assert said.startswith("D(100,20) at concurrency 1: a run takes after the one before it (lag-1 autocorrelation 0.")
    assert not any("autocorrelation" in word for word in trends(folder_of(tmp_path / "b", [0.1] * 24)).words)


def test_series_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    save(tmp_path / "a", rows(40, level=2.0))
    save(tmp_path / "b", rows(40, load="request_rate", level=3.0), request_params={"temperature": 0.5})
    found = trends(bk.history(tmp_path))
    assert found.points["series"].to_list() == [
        "{}, D(100,20) at concurrency 2",
        '{"temperature": 0.5}, D(100,20) at 3 requests/s',
    ]


def test_an_empty_history_is_an_empty_answer_and_a_wrong_question_one_sentence(tmp_path: Path) -> None:
    nothing = trends(tmp_path)
    assert nothing.next.height == 0
    assert nothing.events.height == 0
    assert "No complete run has this figure." in nothing.chart().to_json()
    with pytest.raises(ConfigError, match="not a figure of the summary"):
        trends(tmp_path, "ttft")
    with pytest.raises(StoreError):
        trends(tmp_path / "nowhere")


def shares_of(path: Path, failed: list[int], n: int = 40) -> Path:
    """A history of daily runs, of `n` requests each, of which so many failed."""
    for day, bad in enumerate(failed):
        outcome = ["http_error" if i * bad // n < (i + 1) * bad // n else "ok" for i in range(n)]
        save(
            path / f"day-{day:02d}", rows(n, outcome=outcome, in_window=True), at=1.7e9 + day * DAY, slo={"e2e_s": 9.0}
        )
    return path


def told(found: Any) -> list[tuple[str, str]]:
    return [(row["kind"], Path(row["run"]).name) for row in found.events.iter_rows(named=True)]


def test_an_outage_is_one_step_on_its_day(tmp_path: Path) -> None:
    found = trends(shares_of(tmp_path, [0] * 14 + [40] * 6), "goodput")
    assert found.points.height == 20
    assert told(found) == [("step", "day-14")]
    row = found.events.row(0, named=True)
    assert (row["before"], row["after"], row["ratio"]) == (1.0, 0.0, 0.0)
    assert found.next.row(0, named=True)["value"] == pytest.approx(0.0, abs=1e-9)
    assert "day-14" in repr(found)
    assert found.chart().to_dict()["title"]


def test_errors_that_begin_are_seen_and_have_no_ratio(tmp_path: Path) -> None:
    found = trends(shares_of(tmp_path, [0] * 10 + [13] * 10), "error_rate")
    assert found.points.height == 20
    assert told(found) == [("step", "day-10")]
    row = found.events.row(0, named=True)
    assert (row["before"], row["ratio"]) == (0.0, None)
    assert row["after"] == pytest.approx(13 / 40, abs=0.02)
    assert "day-10" in repr(found)


def test_a_failure_now_and_then_is_no_event(tmp_path: Path) -> None:
    found = trends(shares_of(tmp_path, [0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0]), "error_rate")
    assert found.points.height == 20
    assert told(found) == []


def test_a_throughput_of_zero_is_a_point_and_a_step() -> None:
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(20)]
    value = [*np.random.default_rng(1).normal(9.0, 0.3, 14), *[0.0] * 6]
    named = {name: [None] * 20 for name in ("url", "model", "request_params", "batch_size", "problem")}
    frame = pl.DataFrame(named | {
        "run": [f"r{i}" for i in range(20)], "started_at": days, "complete": [True] * 20, "request_format": ["chat"] * 20,
        "stream": [True] * 20, "scenario": ["D(1,1)"] * 20, "load": ["concurrency"] * 20, "level": [1.0] * 20,
        "requests_per_s": value, "requests_per_s_low": value, "requests_per_s_high": value,
    })  # fmt: skip
    found = trends(frame.lazy(), "requests_per_s")
    assert found.points.height == 20
    assert [(row["kind"], row["run"], row["after"]) for row in found.events.iter_rows(named=True)] == [
        ("step", "r14", 0.0)
    ]


def test_a_limit_is_drawn_in_the_unit_of_the_chart_and_its_times_are_of_24_hours(tmp_path: Path) -> None:
    found = trends(folder_of(tmp_path, [0.1] * 4))
    layers = found.chart(limit=0.2).to_dict()["spec"]["layer"]
    assert [layer["encoding"] for layer in layers if "strokeDash" in layer["mark"]] == [{"y": {"datum": 200.0}}]
    assert len(found.chart().to_dict()["spec"]["layer"]) == len(layers) - 1
    assert layers[0]["encoding"]["x"]["axis"]["format"]["hours"] == "%H:%M"
