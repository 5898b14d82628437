"""Figures of hand-made rows, as numpy has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis.spread import spread

from .frames import chunks_of, failures, nothing, rows


def of(frame: pl.DataFrame, name: str) -> dict[str, Any]:
    return frame.filter(pl.col("metric") == name).row(0, named=True)


def test_each_figure_is_that_of_the_values() -> None:
    values = [float(x) for x in range(1, 21)]
    got = of(spread(rows(20, in_window=True, ttft_s=values[::-1])), "ttft_s")
    assert (got["n"], got["min"], got["max"], got["mean"], got["sum"]) == (20, 1.0, 20.0, 10.5, 210.0)
    assert got["stddev"] == pytest.approx(np.std(values, ddof=1))
    assert [got[f"p{p}"] for p in (25, 50, 75, 90, 95, 99)] == [5.0, 10.0, 15.0, 18.0, 19.0, 20.0]
    assert got["unit"] == "s"


def test_gaps_between_chunks_are_among_them() -> None:
    frame = rows(2, in_window=True)
    got = of(spread(frame, chunks_of(frame, [0.1, 0.2]).lazy()), "itl_s")
    assert (got["n"], got["min"], got["max"]) == (4, pytest.approx(0.1), pytest.approx(0.2))


def test_one_value_has_no_deviation_and_what_was_not_measured_no_row() -> None:
    frame = spread(rows(1, in_window=True, ttft_s=None))
    assert of(frame, "e2e_s")["stddev"] is None
    assert frame.filter(pl.col("metric") == "ttft_s").height == 0


def test_cut_requests_leave_the_mean_unknown_and_the_percentiles_of_the_curve() -> None:
    outcome = ["ok"] * 8 + ["cancelled"] * 2
    ends = [*range(1, 9), 9, 9]
    ends_s = [float(x) for x in ends]
    e2e = [float(x) for x in range(1, 9)] + [None, None]
    got = of(
        spread(rows(10, in_window=True, outcome=outcome, start_s=0.0, sent_s=0.0, e2e_s=e2e, end_s=ends_s)), "e2e_s"
    )
    assert [got[x] for x in ("max", "mean", "stddev", "sum", "p95")] == [None] * 5
    assert (got["n"], got["min"], got["p50"]) == (10, 1.0, 5.0)


@pytest.mark.parametrize("frame", [nothing(), failures(3)], ids=["nothing", "failures"])
def test_nothing_measured_is_no_rows_in_the_same_columns(frame: pl.DataFrame) -> None:
    got = spread(frame)
    assert got.height == 0
    assert got.schema == spread(rows(3, in_window=True)).schema
