"""Each figure of the summary, on rows whose answer is known by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis.metrics import PERCENTILES
from basetenkit.analysis.summary import as_metrics, as_summary, figures_of, metric_names, summarise

from .frames import chunks_of, failures, nothing, rows

TEN = [float(x) for x in range(1, 11)]


def one(frame: pl.DataFrame, chunks: pl.DataFrame | None = None, slo: dict[str, float] | None = None) -> dict[str, Any]:
    """The only row of a summary."""
    summary = summarise(frame, None if chunks is None else chunks.lazy(), slo)
    assert summary.height == 1
    return summary.row(0, named=True)


# -- latencies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ttft_s", "e2e_s", "tpot_s", "first_content_s"])
def test_a_latencys_quantiles_and_mean_are_those_of_its_column(name: str) -> None:
    got = one(rows(10, in_window=True, **{name: TEN[::-1]}))
    assert [got[f"{name}_p{p}"] for p in PERCENTILES] == [5.0, 9.0, 10.0, 10.0]
    assert got[f"{name}_mean"] == 5.5
    assert got[f"{name}_p50_low"] is None


def test_output_latency_and_speed_follow_from_the_columns() -> None:
    got = one(rows(4, in_window=True, ttft_s=0.5, e2e_s=2.5, output_tokens=5))
    assert got["output_latency_s_mean"] == 2.0
    assert got["tpot_s_p50"] == 0.5
    assert got["output_inference_speed_mean"] == 2.0


def test_itl_is_the_gap_between_chunks_of_one_response_and_never_across_two() -> None:
    frame = rows(3, in_window=True)
    got = one(frame, chunks_of(frame, [0.25, 0.5]))
    assert got["itl_s_mean"] == pytest.approx(0.375)
    assert got["itl_s_p50"] == pytest.approx(0.25)
    assert got["itl_s_p99"] == pytest.approx(0.5)


def test_itl_leaves_out_chunks_of_failures_and_of_requests_outside_the_window() -> None:
    frame = rows(3, in_window=[True, False, True], outcome=["ok", "ok", "incomplete"])
    gaps = pl.concat([chunks_of(frame[i : i + 1], [gap]) for i, gap in enumerate((0.25, 7.0, 9.0))])
    assert one(frame, gaps)["itl_s_p99"] == pytest.approx(0.25)
    assert one(frame)["itl_s_p50"] is None


def test_chunks_in_any_order_give_the_same_gaps() -> None:
    frame = rows(4, in_window=True)
    chunks = chunks_of(frame, [0.1, 0.2, 0.4])
    shuffled = chunks.sample(fraction=1.0, shuffle=True, seed=1)
    assert one(frame, shuffled)["itl_s_mean"] == pytest.approx(one(frame, chunks)["itl_s_mean"])


def test_only_successes_in_the_window_make_a_latency() -> None:
    frame = rows(
        4, in_window=[True, True, True, False], outcome=["ok", "ok", "timeout", "ok"], ttft_s=[1.0, 3.0, 99.0, 99.0]
    )
    got = one(frame)
    assert (got["e2e_s_p50"], got["in_window"]) == (0.5, 3)
    assert (got["ttft_s_mean"], got["ttft_s_p99"]) == (103 / 3, 99.0), "it timed out after its first token had come"


def test_what_was_not_streamed_has_no_ttft_and_still_an_e2e() -> None:
    got = one(rows(6, in_window=True, ttft_s=None, ttft_error_s=None, wire_format="json"))
    null = ["ttft_s_p50", "ttft_s_mean", "tpot_s_mean", "output_latency_s_p99", "output_inference_speed_p50"]
    assert [got[name] for name in null] == [None] * 5
    assert got["e2e_s_p50"] == 0.5
    assert got["output_tokens_per_s"] == pytest.approx(6 * 20 / 5.5)


def test_one_token_has_no_tpot_and_the_request_counts_all_the_same() -> None:
    got = one(rows(5, in_window=True, output_tokens=1, output_tokens_server=1))
    assert (got["tpot_s_mean"], got["output_inference_speed_mean"]) == (None, None)
    assert (got["ok"], got["output_tokens"]) == (5, 5)


# -- what was cut at the level's end -----------------------------------------------------------------------------------


def test_cut_requests_stay_in_the_percentiles_as_at_least_so_long() -> None:
    """1, 2, 3, 4 s are over; four more were cut at 10 s, having waited longer than any. Half are over by 4 s."""
    outcome, null = ["ok"] * 4 + ["cancelled"] * 4, [None] * 4
    frame = rows(
        8, in_window=True, outcome=outcome, ttft_s=[0.1] * 4 + null, e2e_s=[1.0, 2.0, 3.0, 4.0, *null], start_s=0.0,
        end_s=[1.0, 2.0, 3.0, 4.0] + [10.0] * 4,
    )  # fmt: skip
    got = one(frame)
    assert got["e2e_s_p50"] == 4.0
    assert got["e2e_s_p90"] is None
    assert got["e2e_s_mean"] == (1 + 2 + 3 + 4 + 4 * 10) / 8  # the restricted mean, to 10 s: the mean is at least that
    assert got["e2e_s_mean_high"] is None
    assert (got["ok"], got["cancelled"], got["error_rate"]) == (4, 4, 0.0)


def test_a_cut_request_that_had_its_first_token_has_a_ttft() -> None:
    frame = rows(
        4, in_window=True, outcome=["ok", "ok", "cancelled", "cancelled"], ttft_s=[1.0, 2.0, 3.0, None],
        e2e_s=[5.0, 5.0, None, None], start_s=0.0, end_s=[5.0, 5.0, 9.0, 9.0],
    )  # fmt: skip
    got = one(frame)
    assert got["ttft_s_p50"] == 2.0
    assert got["ttft_s_p90"] is None
    early = frame.with_columns(ttft_s=pl.Series([1.0, 2.0, 3.0, 4.0]))
    assert one(early)["ttft_s_p99"] == 4.0
    assert one(early)["ttft_s_mean"] == 2.5  # of the same requests as its percentiles


def test_what_never_was_sent_censors_nothing() -> None:
    frame = rows(3, in_window=True, outcome=["ok", "ok", "cancelled"], sent_s=[0.0, 1.0, None], e2e_s=[1.0, 2.0, None])
    assert one(frame)["e2e_s_p99"] == 2.0


# -- rates -------------------------------------------------------------------------------------------------------------


def test_rates_are_over_one_window() -> None:
    """Five requests from 0 s to the last one's end at 8.5 s, one after the other; all their tokens over the same time."""
    frame = rows(5, in_window=True, start_s=[0.0, 2.0, 4.0, 6.0, 8.0], output_tokens=[900, 10, 20, 30, 20])
    got = one(frame)
    assert got["duration_s"] == 8.5
    assert got["requests_per_s"] == pytest.approx(5 / 8.5)
    assert got["output_tokens_per_s"] == pytest.approx(980 / 8.5)
    assert got["input_tokens_per_s"] == pytest.approx(500 / 8.5)


def test_failures_and_what_lies_outside_bring_no_throughput() -> None:
    frame = rows(6, in_window=[True] * 5 + [False], outcome=["ok", "timeout", "ok", "http_error", "ok", "ok"])
    got = one(frame)
    assert got["requests_per_s"] == 3 / 5
    assert got["output_tokens_per_s"] == 60 / 5


def test_repeats_one_after_the_other_do_not_flatter_the_rate() -> None:
    """Each repeat has five requests in 4.5 s. Their clocks start anew."""
    frame = pl.concat([rows(5, in_window=True, repeat=k) for k in range(4)])
    got = one(frame)
    assert got["requests_per_s"] == pytest.approx(5 / 4.5)
    assert got["output_tokens_per_s"] == pytest.approx(100 / 4.5)
    assert got["duration_s"] == 18.0


def test_one_request_has_latencies_and_a_rate_without_an_interval() -> None:
    got = one(rows(1, in_window=True))
    assert (got["ttft_s_p50"], got["e2e_s_p99"]) == (0.1, 0.5)
    assert (got["duration_s"], got["requests_per_s"], got["output_tokens_per_s"]) == (0.5, 2.0, 40.0)
    assert got["requests_per_s_low"] is None


@pytest.mark.parametrize(("users", "n"), [(4, 96), (16, 96), (16, 160), (64, 640)])
def test_equal_requests_that_leave_in_waves_do_not_look_faster(users: int, n: int) -> None:
    """Each request takes 1 s, and `users` are in flight: so many end a second, however they come together."""
    start = (
        np.repeat(np.arange(-(-n // users), dtype=float), users)[:n]
        + np.tile(np.arange(users) * 1e-6, -(-n // users))[:n]
    )
    got = one(rows(n, level=float(users), start_s=start, e2e_s=1.0))
    assert got["requests_per_s"] == pytest.approx(users, rel=0.02)


def test_a_response_whose_tokens_are_not_known_leaves_the_token_rate_null() -> None:
    got = one(rows(6, in_window=True, output_tokens=[20, None, 20, 20, 20, 20]))
    assert got["output_tokens_per_s"] is None
    assert got["input_tokens_per_s"] == pytest.approx(600 / 5.5)


def test_all_tokens_at_once_have_no_speed_and_not_an_infinite_one() -> None:
    got = one(rows(6, in_window=True, tpot_s=0.0))
    assert got["output_inference_speed_p50"] is None
    assert got["tpot_s_p50"] == 0.0


def test_unknown_tokens_are_null_and_not_nought() -> None:
    got = one(rows(5, in_window=True, output_tokens=None, output_tokens_server=None))
    assert (got["output_tokens"], got["output_tokens_per_s"], got["output_tokens_server"]) == (None, None, None)
    assert got["input_tokens"] == 500


# -- shares ------------------------------------------------------------------------------------------------------------


def test_error_rate_is_failures_over_what_was_not_cut() -> None:
    outcome = ["ok"] * 6 + ["timeout", "empty"] + ["cancelled"] * 2
    got = one(rows(10, in_window=True, outcome=outcome))
    assert got["error_rate"] == 0.25


def test_error_rate_of_nothing_but_errors_is_one_with_an_interval() -> None:
    got = one(failures(40, in_window=True))
    assert (got["error_rate"], got["error_rate_high"]) == (1.0, 1.0)
    assert got["error_rate_low"] == pytest.approx(0.025 ** (1 / 40))
    assert got["ttft_s_p50"] is None
    assert got["http_error"] == 40


def test_goodput_needs_every_limit_and_a_success_without_the_figure_is_left_out() -> None:
    frame = rows(5, in_window=True, ttft_s=[0.1, 0.6, 0.1, None, 0.5], e2e_s=[1.0, 1.0, 3.0, 1.0, 2.0])
    assert one(frame, slo={"ttft_s": 0.5, "e2e_s": 2.0})["goodput"] == 0.5
    assert one(frame, slo={"ttft_s": 0.5})["goodput"] == 0.75
    assert one(frame)["goodput"] is None
    failed = frame.with_columns(outcome=pl.lit("incomplete"))
    assert one(failed, slo={"ttft_s": 0.5})["goodput"] == 0.0


def test_one_token_answers_keep_a_limit_on_the_pace() -> None:
    fifth = rows(20, in_window=True, e2e_s=[0.1] * 4 + [0.5] * 16, tpot_s=[None] * 4 + [0.02] * 16)
    fifth = fifth.with_columns(
        output_tokens=pl.Series([1] * 4 + [20] * 16), output_tokens_client=pl.lit(None, pl.Int64)
    )
    assert one(fifth, slo={"tpot_s": 0.05})["goodput"] == 1.0
    assert one(fifth, slo={"tpot_s": 0.05, "ttft_s": 0.05})["goodput"] == 0.0
    assert one(fifth.head(4), slo={"tpot_s": 0.05})["goodput"] == 1.0


def test_a_limit_on_what_no_success_has_gives_no_goodput() -> None:
    unstreamed = rows(20, in_window=True, ttft_s=None, tpot_s=None)
    got = one(unstreamed, slo={"ttft_s": 5.0})
    assert (got["goodput"], got["goodput_low"], got["goodput_high"]) == (None, None, None)
    assert one(unstreamed, slo={"tpot_s": 5.0})["goodput"] is None
    assert one(unstreamed, slo={"e2e_s": 5.0})["goodput"] == 1.0
    mixed = pl.concat([unstreamed.head(10), failures(10, in_window=True)])
    assert one(mixed, slo={"ttft_s": 5.0})["goodput"] is None


def test_what_came_at_one_moment_is_in_no_figure_of_the_stream_but_was_waited_for() -> None:
    """20 tokens in 0.2 ms: neither its TTFT nor its speed is the model's. Its user waited for the first token anyway."""
    frame = rows(20, in_window=True, ttft_s=[0.1] * 15 + [0.4998] * 5, tpot_s=[0.02] * 15 + [1e-5] * 5)
    got = one(frame)
    assert (got["ttft_s_mean"], got["ttft_s_p99"]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert got["tpot_s_mean"] == pytest.approx(0.02)
    assert got["output_inference_speed_mean"] == pytest.approx(50)
    assert got["output_latency_s_mean"] == pytest.approx(0.4)
    assert one(frame, slo={"ttft_s": 0.3})["goodput"] == 0.75
    assert one(frame.tail(5), slo={"tpot_s": 0.01})["goodput"] is None
    few = frame.with_columns(output_tokens=pl.lit(3, pl.Int64))
    assert one(few)["ttft_s_p99"] == pytest.approx(0.4998)  # three tokens at one moment are one step of a model


def test_the_low_end_of_an_interval_holds_the_clocks_bound() -> None:
    """20 ms of error at each value: the low end is that of the values as early as they may have been."""
    ttft = np.random.default_rng(1).uniform(0.1, 0.2, 200)
    exact = one(rows(200, in_window=True, ttft_s=ttft, ttft_error_s=0.0, e2e_error_s=0.0))
    frame = rows(200, in_window=True, ttft_s=ttft, ttft_error_s=0.02, e2e_error_s=0.01)
    got = one(frame)
    for name in ("ttft_s_mean", "ttft_s_p50", "ttft_s_p95"):
        assert (got[name], got[f"{name}_high"]) == (exact[name], exact[f"{name}_high"])
        assert got[f"{name}_low"] == pytest.approx(exact[f"{name}_low"] - 0.02)
    assert got["e2e_s_p50_low"] == pytest.approx(exact["e2e_s_p50_low"] - 0.01)
    # A pace is of two arrivals: the later one's error makes it smaller, the earlier one's larger.
    assert got["tpot_s_p50_low"] == pytest.approx(exact["tpot_s_p50_low"] - 0.01 / 19)
    assert got["tpot_s_p50_high"] == pytest.approx(exact["tpot_s_p50_high"] + 0.02 / 19)
    low, high = 1 / got["tpot_s_p50_high"], 1 / got["tpot_s_p50_low"]
    assert got["output_inference_speed_p50_low"] == pytest.approx(low, rel=0.01)
    assert got["output_inference_speed_p50_high"] == pytest.approx(high, rel=0.01)


def test_each_metric_has_its_own_bound() -> None:
    got = one(rows(100, in_window=True, ttft_error_s=2e-5, e2e_error_s=0.01))
    assert (got["ttft_error_p99_s"], got["e2e_error_p99_s"]) == (2e-5, 0.01)
    assert got["tpot_error_p99_s"] == pytest.approx(0.01 / 19)
    assert got["clock_error_p99_s"] == 2e-5
    unstreamed = one(rows(100, in_window=True, ttft_s=None, tpot_s=None, ttft_error_s=None, e2e_error_s=0.01))
    assert (unstreamed["ttft_error_p99_s"], unstreamed["clock_error_p99_s"]) == (None, 0.01)


def test_the_clocks_error_and_the_round_trip_are_of_the_successes() -> None:
    error = np.arange(101) / 1e6
    got = one(rows(101, in_window=True, ttft_error_s=error, rtt_s=error * 10))
    assert got["clock_error_p50_s"] == pytest.approx(50e-6)
    assert got["clock_error_p99_s"] == pytest.approx(99e-6)
    assert got["rtt_s_p50"] == pytest.approx(500e-6)


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_the_summary_of_nothing_has_the_columns_of_any_summary() -> None:
    empty = summarise(nothing())
    assert empty.height == 0
    assert empty.schema == summarise(rows(3)).schema


def test_one_row_a_level_in_the_order_they_ran() -> None:
    frame = pl.concat(
        [rows(3, level=x, load=y) for x, y in ((8.0, "concurrency"), (1.0, "concurrency"), (2.0, "request_rate"))]
    )
    got = summarise(frame)
    assert got["level"].to_list() == [8.0, 1.0, 2.0]
    assert got["load"].to_list() == ["concurrency", "concurrency", "request_rate"]


# -- a row per metric --------------------------------------------------------------------------------------------------


def test_each_metric_has_a_row_with_what_its_interval_rests_on() -> None:
    frame = pl.concat(
        [rows(60, in_window=True, ttft_s=[0.1, 0.2, 0.3] * 20), failures(20, in_window=True, start_s=99.0)]
    )
    found = figures_of(frame, chunks_of(frame.head(60), [0.25, 0.5]).lazy(), {"ttft_s": 0.25})
    wide, long = as_summary(found).row(0, named=True), as_metrics(found)
    assert long.columns == ["scenario", "load", "level", "metric", "value", "low", "high", "n", "n_eff", "method"]
    by_name = {row["metric"]: row for row in long.iter_rows(named=True)}
    assert by_name.keys() == {name for name in metric_names() if wide[name] is not None}
    for name, row in by_name.items():
        assert [row[end] for end in ("value", "low", "high")] == [wide[f"{name}{end}"] for end in ("", "_low", "_high")]
        assert row["method"]
    assert (by_name["ttft_s_p50"]["n"], by_name["error_rate"]["n"], by_name["itl_s_mean"]["n"]) == (60, 80, 120)
    assert 1 <= by_name["ttft_s_p50"]["n_eff"] <= 60
    assert by_name["ttft_s_mean"]["method"] == wide["ttft_s_mean_how"] == "t interval on batch means"
    assert by_name["ttft_s_p50"]["method"] == "rank interval on batch means"
    assert by_name["goodput"]["method"] == "Clopper-Pearson on batch means"


def test_a_metric_of_which_only_a_bound_is_known_has_a_row_and_one_of_nothing_has_none() -> None:
    hung = rows(30, in_window=True, outcome="cancelled", ttft_s=None, e2e_s=None, end_s=[i + 5.0 for i in range(30)])
    long = as_metrics(figures_of(hung))
    p50 = long.filter(pl.col("metric") == "ttft_s_p50").row(0, named=True)
    assert p50["value"] is None
    assert p50["low"] == pytest.approx(5.0)
    assert "tpot_s_p50" not in long["metric"].to_list()
    assert as_metrics(figures_of(nothing())).columns == long.columns
