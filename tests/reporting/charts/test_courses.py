"""What a latency goes along with."""

from __future__ import annotations

import numpy as np
import pytest

from basetenkit.reporting import charts

from ...analysis.frames import Frames, chunks_of, failures, rows
from ..test_charts import data


def test_the_median_ttft_of_each_length_of_input() -> None:
    frame = rows(60, in_window=True, input_tokens=[100, 200, 300] * 20, ttft_s=np.tile([0.1, 0.2, 0.3], 20))
    found = data(charts.ttft_by_input(Frames(frame)), "p50")
    assert found["x"].to_list() == [100.0, 200.0, 300.0]
    assert found["p50"].to_list() == pytest.approx([100.0, 200.0, 300.0])
    assert found["n"].to_list() == [20] * 3


def test_many_lengths_are_classes_that_hold_every_request() -> None:
    frame = rows(900, in_window=True, input_tokens=np.arange(900))
    found = data(charts.ttft_by_input(Frames(frame)), "p50")
    assert found["n"].sum() == 900
    assert found.height <= 24


def test_failures_have_no_ttft_and_it_says_so() -> None:
    assert "TTFT and a count of input tokens" in charts.ttft_by_input(Frames(failures(5))).to_json()


def test_a_gap_belongs_to_the_place_of_the_chunk_that_ends_it() -> None:
    frame = rows(5)
    found = data(charts.itl_course(Frames(frame, chunks_of(frame, [0.02, 0.05, 0.03]))), "p50")
    assert found["x"].to_list() == [1.0, 2.0, 3.0]
    assert found["p50"].to_list() == pytest.approx([20.0, 50.0, 30.0])
    assert found["n"].to_list() == [5, 5, 5]
