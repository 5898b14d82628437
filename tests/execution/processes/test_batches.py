"""Rows that came from a worker: which requests they are, and how many were in flight at once."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from basetenkit.execution.processes.batches import WorkerBatch, peak_in_flight


def spans(*pairs: tuple[float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(pairs, float).reshape(-1, 2)


@pytest.mark.parametrize(
    ("parts", "peak"),
    [
        ([], 0),
        ([spans()], 0),
        ([spans((0, 1))], 1),
        ([spans((0, 1), (1, 2))], 1),  # one ends as the other starts
        ([spans((0, 3), (1, 2)), spans((1.5, 4))], 3),
        ([spans((0, 1), (2, 3)), spans((0.5, 2.5))], 2),
    ],
)
def test_the_peak_is_over_all_workers(
    parts: list[np.ndarray[tuple[int, int], np.dtype[np.float64]]], peak: int
) -> None:
    assert peak_in_flight(parts) == peak


def test_rows_tell_their_numbers_and_spans() -> None:
    rows = pl.DataFrame(
        {"number": [7, 1_000_000], "start_s": [0.5, 1.0], "end_s": [0.75, None]},
        schema_overrides={"end_s": pl.Float64},
    )
    batch = WorkerBatch(rows, pl.DataFrame({"x": [1, 2, 3]}))
    assert batch.numbers().tolist() == [7, 1_000_000]
    assert batch.spans().tolist() == [[0.5, 0.75]]
    assert batch.size == (2, 3)
    assert batch.exchanges() is None
