"""Runs beside runs."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.reporting import charts
from basetenkit.reporting.altair_renderer import render

from ...analysis.frames import failures, rows
from ...analysis.saved import save
from ...analysis.test_comparison import noisy
from ..test_charts import data


def test_a_run_twice_as_slow_has_ratios_of_two_each_with_its_interval(tmp_path: Path) -> None:
    found = bk.compare(save(tmp_path / "a", noisy()), save(tmp_path / "b", noisy(factor=2.0)))
    chart = charts.comparison(found)
    ratios = data(chart, "figure").filter(pl.col("figure").str.starts_with("time to first token p50"))
    assert ratios["ratio"].to_list() == pytest.approx([2.0], rel=0.05)
    assert ratios["ratio_low"][0] < 2 < ratios["ratio_high"][0]
    assert len(chart.to_json()) < 60_000


@pytest.mark.parametrize(
    "b", [failures(5), rows(5, level=7.0), rows(1)], ids=["errors", "another level", "one request"]
)
def test_runs_with_little_or_nothing_in_common_are_drawn_or_said(tmp_path: Path, b: pl.DataFrame) -> None:
    found = bk.compare(save(tmp_path / "a", rows(30)), save(tmp_path / "b", b))
    assert render(charts.comparison(found).to_dict())[0]["text/plain"].startswith("Chart: b against a")


def test_what_is_no_comparison_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"takes what bk.compare\(a, b\) gives, not DataFrame"):
        charts.comparison(rows(3))  # type: ignore[arg-type]


def test_a_trend_has_a_point_a_run_and_an_empty_folder_says_so(tmp_path: Path) -> None:
    for day in range(3):
        save(tmp_path / f"{day}", rows(30, ttft_s=0.1 * (day + 1)), at=1.7e9 + 86_400 * day)
    assert data(charts.trend(tmp_path), "value")["value"].to_list() == pytest.approx([100.0, 200.0, 300.0])
    (tmp_path / "none").mkdir()
    assert "No complete run" in charts.trend(bk.history(tmp_path / "none")).to_json()
