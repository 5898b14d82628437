from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.trends import change_points, outliers, step, theil_sen, trends
from basetenkit.errors import ConfigError, StoreError

from .frames import failures, rows
from .saved import save

DAY = 86400.0


def series(levels: list[float], noise: float = 0.02, seed: int = 3) -> tuple[Any, Any]:
    x = np.log(np.array(levels)) + np.random.default_rng(seed).normal(0, noise, len(levels))
    return x, np.arange(len(levels)) * DAY


def folder_of(path: Path, ttft: list[float]) -> Path:
    """A history of a run a day, each of 40 requests whose TTFT is within a hundredth of what is given."""
    for day, value in enumerate(ttft):
        noise = np.random.default_rng(day).normal(1, 0.01, 40)
        save(path / f"day-{day:02d}", rows(40, ttft_s=value * noise), at=1.7e9 + day * DAY)
    return path


def test_a_step_is_found_where_it_is_and_each_part_is_looked_at_again() -> None:
    assert change_points(*series([1.0] * 12 + [1.2] * 12)) == [12]
    assert change_points(*series([1.0] * 12 + [1.5] * 12 + [1.1] * 12)) == [12, 24]


def test_a_steady_series_is_rarely_cut() -> None:
    cut = [bool(change_points(*series([1.0] * 30, seed=seed))) for seed in range(100)]
    assert sum(cut) <= 5


def test_a_drift_is_no_step_and_its_line_has_an_interval_that_holds_the_truth() -> None:
    x, at = series(list(np.exp(0.01 * np.arange(40))))
    assert change_points(x, at) == []
    slope, low, high = theil_sen(x, at)
    assert low < 0.01 / DAY < high
    assert low < slope < high


def test_too_few_runs_are_not_cut_and_a_constant_has_no_step() -> None:
    assert change_points(*series([1.0] * 4 + [9.0] * 5)) == []
    assert change_points(np.zeros(20), np.arange(20.0)) == []
    assert step(np.array([0.0] * 10 + [1.0] * 10))[0] == 10
    assert theil_sen(np.array([1.0]), np.array([0.0])) == (0.0, 0.0, 0.0)


def test_a_value_far_from_the_others_stands_out_and_of_three_none_does() -> None:
    assert outliers(np.array([0.0, 0.01, -0.01, 0.02, 0.5, -0.02])).tolist() == [False] * 4 + [True, False]
    assert not outliers(np.array([0.0, 0.0, 5.0])).any()


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
    assert "D(100,20), 1 in flight: 3 run(s) are too few to look for steps or drift; 10 at least." in found.words
    assert "2 of 5 rows are left out: not complete, not readable, or without this figure." in found.words
    assert "(nothing)" in repr(found)


def test_runs_that_take_after_each_other_are_said_to(tmp_path: Path) -> None:
    waves = list(0.1 * (1 + 0.1 * np.sin(np.arange(24) / 1.5)))
    [said] = [word for word in trends(folder_of(tmp_path / "a", waves)).words if "autocorrelation" in word]
    assert said.startswith("D(100,20), 1 in flight: a run takes after the one before it (lag-1 autocorrelation 0.")
    assert not any("autocorrelation" in word for word in trends(folder_of(tmp_path / "b", [0.1] * 24)).words)


def test_series_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    save(tmp_path / "a", rows(40, level=2.0))
    save(tmp_path / "b", rows(40, load="request_rate", level=3.0), request_params={"temperature": 0.5})
    found = trends(bk.history(tmp_path))
    assert found.points["series"].to_list() == [
        "{}, D(100,20), 2 in flight",
        '{"temperature": 0.5}, D(100,20), 3/s',
    ]


def test_an_empty_history_is_an_empty_answer_and_a_wrong_question_one_sentence(tmp_path: Path) -> None:
    nothing = trends(tmp_path)
    assert nothing.events.height == 0
    assert "No complete run has this figure." in nothing.chart().to_json()
    with pytest.raises(ConfigError, match="no figure of the summary"):
        trends(tmp_path, "ttft")
    with pytest.raises(StoreError):
        trends(tmp_path / "nowhere")
