"""What happened when."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from basetenkit.reporting import charts

from ...analysis.frames import Frames, failures, rows
from ...making import number
from ..test_charts import data


def test_the_waterfall_keeps_failures_and_thins_the_rest() -> None:
    frame = pl.concat([rows(1000), failures(30, start_s=np.arange(30) + 2000.0)])
    kept = data(charts.waterfall(Frames(frame)), "begin")
    assert kept.filter(pl.col("outcome") == "http_error").height == 30
    assert 60 <= kept.filter(pl.col("outcome") == "ok").height <= 120


def test_the_waterfalls_failures_are_of_every_level_where_there_are_too_many() -> None:
    frame = pl.concat([failures(1000, level=level) for level in (1.0, 8.0)])
    kept = data(charts.waterfall(Frames(frame)), "begin")
    assert kept.height <= 200
    assert kept["series"].n_unique() == 2


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
