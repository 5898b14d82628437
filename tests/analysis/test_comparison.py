from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.comparison import difference, ratio
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.core.types import Estimate

from .frames import failures, rows
from .saved import save


def noisy(n: int = 400, seed: int = 1, factor: float = 1.0, **columns: object) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    ttft = factor * rng.uniform(0.1, 0.2, n)
    return rows(n, ttft_s=ttft, e2e_s=ttft + factor * rng.uniform(0.3, 0.5, n), **columns)


def figure(found: bk.Comparison, metric: str) -> dict[str, Any]:
    (row,) = found.frame.filter(pl.col("metric") == metric).to_dicts()
    return row


def test_the_bounds_are_put_together_from_the_bounds() -> None:
    """Two normal means of se 3 and 4: the difference's half-width is that of se 5."""
    a, b = Estimate(10.0, 10 - 3, 10 + 3), Estimate(30.0, 30 - 4, 30 + 4)
    d = difference(a, b)
    assert (d.value, d.low, d.high) == (20.0, 15.0, 25.0)
    logs = [math.log(x) for x in (10 / 7, 34 / 30)]
    assert ratio(a, b).high == pytest.approx(3.0 * math.exp(math.hypot(*logs)))


def test_a_bound_that_is_not_known_is_not_made_up() -> None:
    no_top, whole = Estimate(10.0, 8.0, None), Estimate(20.0, 18.0, 22.0)
    assert (difference(no_top, whole).low, difference(whole, no_top).high) == (None, None)
    assert difference(no_top, whole).high is not None
    assert ratio(Estimate(0.0, 0.0, 0.1), whole).value is None
    assert ratio(whole, Estimate(0.0, 0.0, 0.1)) == Estimate(0.0)
    assert difference(Estimate(None), whole).value is None


def test_twice_as_slow_is_twice_with_an_interval_about_it(tmp_path: Path) -> None:
    a, b = save(tmp_path / "a", noisy()), save(tmp_path / "b", noisy(seed=2, factor=2.0), at=1.7e9 + 86400)
    found = bk.compare(a, bk.load(b))
    e2e = figure(found, "e2e_s_p50")
    assert e2e["ratio_low"] < 2 < e2e["ratio_high"]
    assert 1.9 < e2e["ratio"] < 2.1
    assert e2e["difference"] == pytest.approx(e2e["b"] - e2e["a"])
    assert e2e["difference_low"] > 0
    assert (e2e["unit"], e2e["better"]) == ("s", "lower")


def test_it_says_that_the_day_may_be_the_cause_and_gives_no_p_value(tmp_path: Path) -> None:
    a, b = save(tmp_path / "a", noisy()), save(tmp_path / "b", noisy(seed=2), at=1.7e9 + 86400, max_requests=300)
    found = bk.compare(a, b)
    assert "a difference may come from when they ran" in found.words[0]
    assert "2023-11-14 22:13 UTC and 2023-11-15 22:13 UTC" in found.words[0]
    assert "max_requests" in found.settings
    assert not [c for c in found.frame.columns if c.startswith("p_")]
    assert "a difference may come from when they ran" in repr(found)
    assert "a difference may come from when they ran" in found._repr_html_()
    assert "e2e_s_p95" in repr(found)


def test_levels_that_only_one_has_are_named(tmp_path: Path) -> None:
    a = save(tmp_path / "a", pl.concat([noisy(), noisy(level=4.0)]))
    b = save(tmp_path / "b", pl.concat([noisy(), noisy(level=8.0)]))
    found = bk.compare(a, b)
    assert found.only_a == ["D(100,20) at concurrency 4"]
    assert found.only_b == ["D(100,20) at concurrency 8"]
    assert found.frame["level"].unique().to_list() == [1.0]
    assert "Only b has D(100,20) at concurrency 8." in found.words


def test_nothing_in_common_and_nothing_but_errors_are_said(tmp_path: Path) -> None:
    good, bad = save(tmp_path / "a", noisy()), save(tmp_path / "b", failures(40))
    found = bk.compare(good, bad)
    assert figure(found, "error_rate")["difference"] == 1.0
    assert figure(found, "e2e_s_p50")["ratio"] is None
    assert any("shares of failed" in w for w in found.words)
    other = bk.compare(good, save(tmp_path / "c", noisy(scenario="D(9,9)")))
    assert other.frame.height == 0
    assert any("no (scenario, load, level) in common" in w for w in other.words)
    assert "(nothing)" in repr(other)


def test_what_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a run folder"):
        bk.compare(tmp_path / "nowhere", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="compare: a takes a Run, not list"):
        bk.compare([], 4)  # type: ignore[arg-type]


def test_runs_of_which_little_is_known_are_compared_as_far_as_they_go(tmp_path: Path) -> None:
    unknown = rows(30, ttft_s=None, tpot_s=None, output_tokens=None)
    runs = [save(tmp_path / "one", rows(1)), save(tmp_path / "bad", failures(5)), save(tmp_path / "unknown", unknown)]
    for a in runs:
        for b in runs:
            found = bk.compare(a, b)
            assert "a difference may come from when they ran" in found._repr_html_()
    found = bk.compare(runs[0], runs[2])
    assert figure(found, "ttft_s_p50")["b"] is None
    assert figure(found, "e2e_s_p50")["difference_low"] is None
