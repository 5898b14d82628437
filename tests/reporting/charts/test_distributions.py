"""What the distributions show."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from basetenkit.reporting import charts

from ...analysis.frames import Frames, chunks_of, failures, rows
from ...making import number
from ..test_charts import data, normal


def test_the_ecdf_has_its_percentiles_where_the_summary_has_them() -> None:
    run = normal()
    marks = data(charts.latency_ecdf(run), "p").filter(pl.col("p") == "p90")
    for end, column in (("", "x"), ("_low", "low")):
        assert marks[column].to_list() == pytest.approx((run.summary_wide[f"ttft_s_p90{end}"] * 1e3).to_list())


def test_the_ecdf_of_a_level_that_was_cut_ends_below_one() -> None:
    cut = failures(30, "cancelled", error_message=None, sent_s=30.0, end_s=40.0, in_window=True)
    both = pl.concat([rows(30, in_window=True, ttft_s=np.linspace(1, 2, 30)), cut])
    steps = [v for v in charts.latency_ecdf(Frames(both)).to_dict()["datasets"].values() if "p" not in v[0]]
    assert max(point["share"] for point in steps[0]) == pytest.approx(0.5)
    marks = data(charts.latency_ecdf(Frames(both)), "p").filter(pl.col("p") == "p99")
    assert marks["x"].to_list() == [None]


def test_the_ecdf_makes_up_no_top_of_an_interval() -> None:
    marks = data(charts.latency_ecdf(Frames(rows(60, ttft_s=np.random.default_rng(1).uniform(0.1, 0.2, 60)))), "p")
    by = {row["p"]: row for row in marks.iter_rows(named=True)}
    assert by["p99"]["low"] is not None
    assert by["p99"]["high"] is None
    assert by["p50"]["high"] is not None


def test_latencies_are_in_milliseconds_until_they_are_ten_seconds_long() -> None:
    assert "ms" in json.dumps(charts.latency_ecdf(Frames(rows(5, ttft_s=0.25))).to_dict())
    slow = data(charts.latency_ecdf(Frames(rows(5, ttft_s=25.0))), "p")
    assert slow["x"].to_list() == [25.0] * 3


def test_a_histogram_holds_every_request_in_some_bar() -> None:
    run = normal()
    bars = data(charts.latency_histogram(run), "n")
    assert bars["n"].sum() == run.requests.filter(pl.col("in_window") & (pl.col("outcome") == "ok")).height
    assert bars.group_by("series").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1.0] * 3)


def test_the_gaps_are_of_chunks_within_a_response() -> None:
    frame = rows(5)
    bars = data(charts.inter_token(Frames(frame, chunks_of(frame, [0.02, 0.04]))), "n")
    assert bars["n"].sum() == 10
    assert bars["to"].max() == pytest.approx(40.0)


def test_a_chart_of_nothing_says_why() -> None:
    spec = charts.latency_ecdf(Frames(failures(3))).to_dict()
    assert "No successful streamed request" in json.dumps(spec)


def test_the_clocks_error_lies_left_of_each_value_and_is_none_where_it_is_not_known() -> None:
    known = data(charts.latency_ecdf(Frames(rows(50, ttft_s=np.linspace(0.1, 0.2, 50), ttft_error_s=0.002))), "early")
    assert (known["x"] - known["early"]).drop_nulls().to_list() == pytest.approx(
        [2.0] * known["early"].count(), abs=1e-3
    )
    unknown = charts.latency_ecdf(Frames(rows(50, ttft_error_s=None)))
    assert "is not known" in json.dumps(unknown.to_dict())
    assert "at most 2.00 ms" in json.dumps(charts.latency_ecdf(Frames(rows(50, ttft_error_s=0.002))).to_dict())


def test_no_latency_is_drawn_below_zero_however_wrong_the_clock_is() -> None:
    late = Frames(rows(50, ttft_s=np.linspace(0.1, 0.2, 50), ttft_error_s=0.5))
    for chart, name in ((charts.latency_ecdf(late), "early"), (charts.latency_histogram(late), "n")):
        assert number(data(chart, name)["early"].min()) == 0


def test_the_histograms_rules_are_the_summarys_percentiles() -> None:
    run = normal()
    marks = data(charts.latency_histogram(run), "n").filter(pl.col("p") == "p50").sort("x")
    for end, column in (("", "x"), ("_low", "low"), ("_high", "high")):
        assert marks[column].to_list() == pytest.approx(
            (run.summary_wide[f"ttft_s_p50{end}"] * 1e3).to_list(), rel=1e-4
        )


def test_an_open_loops_latencies_count_from_when_they_were_due_unless_told() -> None:
    run = Frames(rows(30, load="request_rate", scheduled_s=[i - 0.5 for i in range(30)], ttft_s=0.1))
    for draw in (charts.latency_ecdf, charts.latency_histogram):
        assert "from when it was due" in json.dumps(draw(run).to_dict())
        assert "from when it was due" not in json.dumps(draw(run, since="send").to_dict())
