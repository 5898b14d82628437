"""A series that rises for good is distinguished from one that wanders."""

from __future__ import annotations

import numpy as np

from basetenkit.stats.growth import grows, rises


def test_steps_that_add_up_are_growth() -> None:
    rng = np.random.default_rng(1)
    assert grows(rng.normal(1, 1, 20), 1.729)
    assert not grows(rng.normal(-1, 1, 20), 1.729)


def test_a_series_that_rises_all_the_way_is_told_from_one_that_wanders() -> None:
    rng = np.random.default_rng(3)
    rising = [3 * i for i in range(40)]
    assert rises(rising, sent=400) is not None
    assert rises(rising, sent=4000) is None, "what is not served is a small part of what was sent"
    assert not any(rises(rng.poisson(20, 60).tolist(), sent=600) for _ in range(50))
    assert rises(rising[:15], sent=150) is None
