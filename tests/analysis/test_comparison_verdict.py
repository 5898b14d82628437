"""The verdict of two saved runs: what it says, and what it must not say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.compared import ComparisonStatus
from basetenkit.core.tables import digits

from .frames import failures, rows
from .saved import save


def steady(factor: float = 1.0, seed: int = 1, level: float = 4.0, n: int = 400) -> pl.DataFrame:
    ttft = factor * np.random.default_rng(seed).normal(0.1, 0.01, n)
    names = [f"{level}-{i}" for i in range(n)]
    start = np.arange(n) * factor * 0.5 / level
    return rows(n, level=level, ttft_s=ttft, e2e_s=ttft + factor * 0.4, start_s=start, request_id=names)


def saved(folder: Path, *parts: pl.DataFrame, at: float = 1.7e9) -> Path:
    return save(folder, pl.concat(parts), at=at)


def test_by_how_much_each_differs_with_the_interval_of_the_frame(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", steady()), saved(tmp_path / "b", steady(1.2, seed=2), at=1.7e9 + 3 * 86400)
    found = bk.compare(a, b)
    text = str(found.verdict)
    (ttft,) = found.frame.filter(metric="ttft_s_p50").to_dicts()
    assert found.verdict.status is ComparisonStatus.MEASURED
    assert text.startswith("B against A: at 4 in flight, TTFT p50 is ")
    assert f"% higher (95% interval {round(100 * (ttft['ratio_low'] - 1))}% to " in text
    assert f"{digits(ttft['b'] * 1e3)} against {digits(ttft['a'] * 1e3)} ms" in text
    assert "throughput is 1" in text
    assert "% lower (95% interval" in text
    assert text.endswith(
        "They ran 3 days apart, so a difference may come from when they ran; "
        "bk.compare_endpoints takes turns between two endpoints and excludes it."
    )
    assert {e.metric for e in found.verdict.evidence} == {"ttft_s_p50", "output_tokens_per_s"}
    assert not any(word in text for word in ("better", "worse", "faster", "slower"))


def test_what_the_intervals_do_not_tell_apart_is_not_called_a_difference(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", steady(n=60)), saved(tmp_path / "b", steady(1.001, seed=2, n=60))
    text = str(bk.compare(a, b).verdict)
    assert "which the intervals do not show to differ" in text
    assert "higher" not in text
    assert "lower" not in text


def test_several_levels_are_counted_and_the_largest_difference_is_named(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", steady(), steady(level=8.0), steady(level=16.0))
    b = saved(tmp_path / "b", steady(1.0), steady(1.1, seed=2, level=8.0), steady(1.3, seed=3, level=16.0))
    text = str(bk.compare(a, b).verdict)
    assert "TTFT p50 is higher at 2 of 3 levels (most at 16 in flight: " in text
    assert "not shown to differ at 1 of 3" in text


def test_requests_that_failed_in_one_run_alone_are_told(tmp_path: Path) -> None:
    bad = failures(100, level=4.0, start_s=np.arange(100.0) / 2, request_id=[f"bad{i}" for i in range(100)])
    a, b = saved(tmp_path / "a", steady()), saved(tmp_path / "b", steady(), bad)
    assert "At 4 in flight, 20% of requests failed in B, 0% in A" in str(bk.compare(a, b).verdict)


@pytest.mark.parametrize("failed_first", [True, False])
def test_a_run_of_failures_cannot_be_compared(tmp_path: Path, failed_first: bool) -> None:
    pair = [saved(tmp_path / "good", steady()), saved(tmp_path / "bad", failures(50, level=4.0))]
    found = bk.compare(*(pair[::-1] if failed_first else pair))
    assert found.verdict.status is ComparisonStatus.FAILED
    name = "A" if failed_first else "B"
    assert str(found.verdict).startswith(f"Nothing can be compared with {name}. None of the 50 requests succeeded")


def test_runs_without_a_level_in_common(tmp_path: Path) -> None:
    found = bk.compare(saved(tmp_path / "a", steady()), saved(tmp_path / "b", steady(level=8.0)))
    assert found.verdict.status is ComparisonStatus.NOTHING
    assert "nothing can be compared" in str(found.verdict)
