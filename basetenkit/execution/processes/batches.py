"""Rows from a worker, as frames, and two facts about them that are needed at the end of a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...core.interrupts import uninterrupted


@dataclass(frozen=True, slots=True, eq=False)
class WorkerBatch:
    """A Batch of frames."""

    requests: pl.DataFrame
    chunks: pl.DataFrame
    raw: pl.DataFrame | None = None

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        return self.requests, self.chunks

    def exchanges(self) -> pl.DataFrame | None:
        return self.raw

    @property
    def size(self) -> tuple[int, int]:
        return self.requests.height, self.chunks.height

    @uninterrupted
    def numbers(self) -> NDArray[np.int64]:
        """Each request's number within its level."""
        return self.requests["number"].to_numpy()

    @uninterrupted
    def spans(self) -> NDArray[np.float64]:
        """(start_s, end_s) of each request that has both, shape (n, 2), on the level's clock."""
        return self.requests.select("start_s", "end_s").drop_nulls().to_numpy()


def peak_in_flight(spans: Sequence[NDArray[np.float64]]) -> int:
    """The most requests in flight at one moment, over all workers; one that ends as another starts counts before it."""
    if not spans or not (both := np.concatenate(spans)).size:
        return 0
    moments = np.concatenate([both[:, 0], both[:, 1]])
    steps = np.repeat([1, -1], len(both))
    order = np.lexsort((steps, moments))
    return int(steps[order].cumsum().max())
