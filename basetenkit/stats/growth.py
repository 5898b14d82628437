"""Whether a series keeps growing: requests in flight while an endpoint serves fewer requests than arrive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .counts import drift_of
from .intervals import batch_means

WATCHED_T, BEHIND_SHARE = 2.977, 0.05  # Student's t with 14 degrees of freedom, one-sided 0.5%; a share of the requests


def grows(steps: NDArray[np.float64], least: float) -> bool:
    """Whether the steps of a series add up to growth: their mean over its standard error is above `least`."""
    return drift_of(steps) > least


def rises(in_flight: Sequence[float] | NDArray[np.float64], sent: int) -> tuple[float, float] | None:
    """(early, late): the means of the second and the last quarter of the requests in flight, if they keep rising; else None.

    The series is at equal times, after `sent` requests. The test is repeated while a level runs, so it is stricter than one look at
    a whole level: the last 15 of 20 parts grow by p < 0.005, and a twentieth of the requests that were sent is not served.
    """
    means = batch_means(np.asarray(in_flight, float))
    if means is None:
        return None
    early, late = float(means[5:10].mean()), float(means[15:].mean())
    if grows(np.diff(means[4:]), WATCHED_T) and in_flight[-1] > BEHIND_SHARE * sent and late > 1.5 * early:
        return early, late
    return None
