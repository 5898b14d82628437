"""The README: its code runs as it is, and draws the chart that is committed beside it."""

from __future__ import annotations

from typing import Any

import pytest

from docs.generate import readme


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return readme.results()


def test_the_code_has_about_ten_lines_that_fit_on_a_page_of_github() -> None:
    lines = [line for line in readme.code().splitlines() if line]
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 96


def test_the_code_measures_all_that_the_text_says(results: dict[str, Any]) -> None:
    """The example's server works on 16 requests at once: with 48 in flight the throughput is the same and the wait is longer."""
    summary = results["run"].summary
    by_level = {row["level"]: row for row in summary.iter_rows(named=True)}
    full, over = by_level[16], by_level[48]
    assert full["ok"] == over["ok"] == 200
    assert over["ttft_s_p90"] > full["ttft_s_p90"]
    assert over["output_tokens_per_s"] < 1.5 * full["output_tokens_per_s"]


@pytest.mark.parametrize("page", readme.PICTURES)
def test_the_committed_picture_is_of_the_chart_that_the_code_draws(results: dict[str, Any], page: str) -> None:
    today, committed = results["chart"].to_dict(), readme.committed(page)
    assert len(readme.structure(today)["data"]) > 0
    assert readme.structure(committed) == readme.structure(today), "python -m docs.generate.readme"
    other = readme.in_dark(today) if page == "dark" else today
    assert committed["config"] == other["config"]
