"""What happened when."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from basetenkit.reporting import charts

from ...analysis.frames import Frames, failures, rows
from ...making import number
from ..test_charts import data


def test_the_waterfall_shows_a_whole_stretch_of_time_and_says_how_much() -> None:
    start = np.arange(1000) // 4 * 1.0  # four users, each at once again after 1 s
    frame = rows(1000, level=4.0, start_s=start, e2e_s=0.9)
    chart = charts.waterfall(Frames(frame))
    kept = data(chart, "begin")
    assert kept.height == 120
    assert "120 of 1,000 requests" in str(chart.to_dict()["title"])
    assert sorted(kept["lane"].unique()) == [0, 1, 2, 3]
    first, last = number(kept["begin"].min()), number(kept["begin"].max())
    assert frame.filter(pl.col("start_s").is_between(first, last)).height == 120  # none of that time is left out


def test_no_two_requests_of_a_lane_overlap() -> None:
    rng = np.random.default_rng(2)
    start = np.sort(rng.uniform(0, 20, 100))
    kept = data(charts.waterfall(Frames(rows(100, level=9.0, start_s=start, e2e_s=rng.uniform(0.5, 3, 100)))), "begin")
    for _, lane in kept.sort("begin").group_by("lane"):
        assert (lane["begin"][1:] >= lane["end"][:-1] - 1e-4).all()


def test_the_stretch_of_a_level_with_failures_is_around_them() -> None:
    frame = pl.concat(
        [rows(1000), failures(30, start_s=np.arange(30) + 2000.0, request_id=[f"x{i}" for i in range(30)])]
    )
    kept = data(charts.waterfall(Frames(frame)), "begin")
    assert kept.filter(pl.col("outcome") == "http_error").height == 30
    many = pl.concat([failures(1000, level=level) for level in (1.0, 8.0)])
    kept = data(charts.waterfall(Frames(many)), "begin")
    assert (kept.height, kept["series"].n_unique()) == (240, 2)


def test_what_was_in_flight_is_its_mean_over_each_slice_and_all_tokens_are_somewhere() -> None:
    frame = rows(100, start_s=np.arange(100.0), end_s=np.arange(100.0) + 0.5)
    slices = data(charts.activity(Frames(frame)), "in flight")[:-1]
    width = 99.5 / slices.height
    assert number(slices["in flight"].mean()) * 99.5 == pytest.approx(50, rel=1e-4)
    assert number(slices["tokens/s"].sum()) * width == pytest.approx(2000, rel=1e-4)
    assert number(slices["requests/s"].sum()) * width == pytest.approx(100, rel=1e-4)


def test_the_window_is_where_its_requests_were_started() -> None:
    frame = rows(10, in_window=[2 <= i < 9 for i in range(10)])
    first = data(charts.activity(Frames(frame)), "in flight").row(0, named=True)
    assert (first["from"], first["to"]) == (2.0, 8.0)


def test_of_repeats_it_is_the_mean_and_unknown_tokens_are_no_rate() -> None:
    twice = [rows(10, repeat=i, output_tokens=None, end_s=np.arange(10.0) + 1.0) for i in (0, 1)]
    slices = data(charts.activity(Frames(pl.concat(twice))), "in flight")
    assert slices["in flight"].to_list() == pytest.approx([1.0] * slices.height)
    assert slices["tokens/s"].null_count() == slices.height
