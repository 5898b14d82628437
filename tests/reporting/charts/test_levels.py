"""Figures over the levels of a run."""

from __future__ import annotations

import pytest

from basetenkit.core.errors import ConfigError
from basetenkit.reporting import charts
from docs.generate.gallery import GENAI_BENCH, counterpart, sweep

from ...analysis.frames import Frames, rows
from ..test_charts import data, normal


def test_the_serving_curve_has_a_point_a_level() -> None:
    run = normal()
    points = data(charts.serving_curve(run, percentile=90), "output_tokens_per_s")
    assert points["level"].to_list() == [1.0, 4.0, 16.0]
    assert points["output_tokens_per_s"].to_list() == pytest.approx(
        run.summary_wide["output_tokens_per_s"].to_list(), rel=1e-5
    )


def test_its_bounds_are_the_summarys_and_of_the_total_there_are_none() -> None:
    run = sweep()
    points = data(charts.serving_curve(run, percentile="mean"), "y")
    for end in ("low", "high"):
        assert points[f"y_{end}"].to_list() == pytest.approx(
            (run.summary_wide[f"ttft_s_mean_{end}"] * 1e3).to_list(), rel=1e-5
        )
        assert points[f"x_{end}"].to_list() == pytest.approx(
            run.summary_wide[f"output_tokens_per_s_{end}"].to_list(), rel=1e-5
        )
    total = data(charts.serving_curve(run, against="total_tokens_per_s"), "y")
    whole = run.summary_wide["input_tokens_per_s"] + run.summary_wide["output_tokens_per_s"]
    assert total["total_tokens_per_s"].to_list() == pytest.approx(whole.to_list(), rel=1e-5)
    assert total["x_low"].null_count() == 3


def test_in_an_open_loop_a_latency_counts_from_when_it_was_due() -> None:
    run = Frames(rows(40, load="request_rate", level=1.0, scheduled_s=[i - 0.2 for i in range(40)]))
    points = data(charts.serving_curve(run), "y")
    assert points["y"].to_list() == pytest.approx([300.0])


@pytest.mark.parametrize("wrong", [{"metric": "nap_s"}, {"percentile": 51}, {"against": "level"}])
def test_a_figure_that_there_is_not_is_one_sentence(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="is not in the summary"):
        charts.serving_curve(rows(3), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("title", GENAI_BENCH)
def test_each_default_plot_of_genai_bench_has_its_counterpart_with_a_point_a_level(title: str) -> None:
    chart = counterpart(sweep(), GENAI_BENCH[title])
    assert data(chart, "series")["series"].n_unique() == (2 if GENAI_BENCH[title] is None else 3)
