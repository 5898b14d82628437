"""Open loops: latencies as users feel them, cut requests, and information that only several runs together have."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from basetenkit.analysis.metrics import headline
from basetenkit.analysis.summary import summarise
from basetenkit.results.manifest import LevelEntry
from basetenkit.stats import intervals as st

from .frames import rows

OPEN: dict[str, Any] = {"load": "request_rate", "in_window": True}


def one(frame: pl.DataFrame, slo: dict[str, float] | None = None, **more: Any) -> dict[str, Any]:
    (row,) = summarise(frame, slo=slo, **more).to_dicts()
    return row


def test_a_latency_from_when_it_was_due_holds_the_wait_for_the_send() -> None:
    got = one(rows(40, scheduled_s=np.arange(40) - 0.3, **OPEN))
    assert (got["ttft_s_p50"], got["e2e_s_p50"]) == (0.1, 0.5)
    assert got["ttft_due_s_p50"] == pytest.approx(0.4)
    assert got["e2e_due_s_mean"] == pytest.approx(0.8)
    assert got["first_content_due_s_p50"] is None
    assert (headline("e2e_s", "request_rate"), headline("tpot_s", "request_rate")) == ("e2e_due_s", "tpot_s")


def test_in_a_closed_loop_nothing_is_due() -> None:
    got = one(rows(40, in_window=True, scheduled_s=np.arange(40) - 0.3))
    assert got["e2e_due_s_p50"] is None
    assert headline("e2e_s", "concurrency") == "e2e_s"


def test_a_cut_request_has_waited_since_it_was_due_though_it_was_never_sent() -> None:
    half = ["ok"] * 20 + ["cancelled"] * 20
    e2e, sent = [0.5] * 20 + [None] * 20, [*map(float, range(20)), *[None] * 20]
    frame = rows(
        40, outcome=half, e2e_s=e2e, ttft_s=e2e, sent_s=sent, scheduled_s=np.arange(40.0), start_s=np.arange(40.0),
        end_s=[float(i) + 0.5 for i in range(20)] + [90.0] * 20, **OPEN,
    )  # fmt: skip
    got = one(frame)
    assert got["e2e_s_p90"] == 0.5  # of those that were sent
    assert (got["e2e_due_s_p50"], got["e2e_due_s_p90"]) == (0.5, None)


def test_goodput_of_an_open_loop_counts_from_when_it_was_due() -> None:
    late = rows(40, scheduled_s=np.arange(40) - 0.3, **OPEN)
    assert one(late, {"e2e_s": 0.6})["goodput"] == 0.0
    assert one(late, {"e2e_s": 0.9})["goodput"] == 1.0


def test_a_cut_request_that_was_over_the_limit_by_then_is_bad_and_another_is_open() -> None:
    outcome = ["ok"] * 30 + ["cancelled"] * 10
    e2e = [0.5] * 30 + [None] * 10
    start = np.zeros(40)
    after = {"outcome": outcome, "e2e_s": e2e, "start_s": start, "in_window": True, "tpot_s": None}
    over = one(rows(40, end_s=[0.5] * 30 + [5.0] * 10, **after), {"e2e_s": 1.0})
    assert over["goodput"] == 0.75
    early = one(rows(40, end_s=[0.5] * 30 + [0.7] * 10, **after), {"e2e_s": 1.0})
    assert early["goodput"] == 1.0
    assert early["goodput_low"] == pytest.approx(st.fraction(np.arange(40) < 30).low)
    assert early["goodput_high"] == 1.0


def test_several_runs_are_as_sure_as_their_means_are_alike() -> None:
    """Five runs of 40 about means of their own: the interval is t of the five means."""
    means = np.array([1.0, 1.3, 0.8, 1.1, 1.2])
    x = np.repeat(means, 40) + np.tile(np.linspace(-0.01, 0.01, 40), 5)
    parts = np.repeat(np.arange(5), 40)
    got = st.mean(x, parts)
    low, high = stats.t.interval(0.95, 4, loc=means.mean(), scale=stats.sem(means))
    assert (got.low, got.high) == pytest.approx((low, high))
    assert "the means of 5 runs" in got.how
    assert st.mean(x, np.zeros(200)) == st.mean(x)


def test_runs_that_are_alike_are_as_good_as_independent_requests_and_no_better() -> None:
    x = np.tile(np.linspace(0, 1, 40), 5)
    got = st.mean(x, np.repeat(np.arange(5), 40))
    assert got.low is not None
    assert got.high is not None
    assert got.high - got.low == pytest.approx(2 * st.t975(4) * x.std() / np.sqrt(200))


def test_repeats_of_a_level_are_pooled_in_every_figure() -> None:
    parts = [rows(40, e2e_s=m, ttft_s=m / 5, repeat=i, in_window=True) for i, m in enumerate((0.5, 0.9, 0.6, 0.7, 0.4))]
    frame = pl.concat(parts)
    got = one(frame.with_columns(end_s=pl.col("start_s") + pl.col("e2e_s")))
    assert got["e2e_s_mean"] == pytest.approx(0.62)
    low, high = stats.t.interval(0.95, 4, loc=0.62, scale=stats.sem([0.5, 0.9, 0.6, 0.7, 0.4]))
    clock = 1e-5  # each value may be so much less
    assert (got["e2e_s_mean_low"], got["e2e_s_mean_high"]) == (pytest.approx(low - clock), pytest.approx(high))
    assert (got["e2e_s_p50"], got["e2e_s_p90"]) == (0.6, 0.9)
    assert got["requests_per_s_low"] <= got["requests_per_s"] <= got["requests_per_s_high"]


def test_ten_runs_through_a_drift_cover_the_truth() -> None:
    """Runs about a drifting mean: pooled as ten runs their interval covers the true value in 95%, as one series in far fewer."""
    rng, pooled, single = np.random.default_rng(3), 0, 0
    parts = np.repeat(np.arange(10), 60)
    for _ in range(300):
        x = np.repeat(rng.normal(1.0, 0.2, 10), 60) + rng.exponential(0.1, 600) - 0.1
        got, alone = st.mean(x, parts), st.mean(x[:60])
        pooled += (got.low or 0) < 1.0 < (got.high or 0)
        single += (alone.low or 0) < 1.0 < (alone.high or 0)
    assert pooled > 276
    assert single < 120


def test_the_networks_share_and_how_busy_this_client_was() -> None:
    key: dict[str, Any] = {"scenario": "D(100,20)", "load": "concurrency"}
    entries = [
        LevelEntry(**key, level=1.0, repeat=0, loop_lag_p99_s=0.001, cpu_share=0.2),
        LevelEntry(**key, level=1.0, repeat=1, loop_lag_p99_s=None, cpu_share=0.4),
        LevelEntry(**key, level=2.0, repeat=0, loop_lag_p99_s=9.0),
    ]
    got = one(rows(40, rtt_s=0.02), levels=entries)
    assert got["network_share_ttft_p50"] == pytest.approx(0.2)
    assert (got["loop_lag_p99_s"], got["cpu_share"]) == (0.001, 0.4)
    assert one(rows(40, rtt_s=None))["network_share_ttft_p50"] is None
    assert one(rows(40))["cpu_share"] is None
