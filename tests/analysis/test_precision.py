"""When a level is precise enough."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis.precision import check, precision, relative_half
from basetenkit.analysis.summary import summarise
from basetenkit.core.errors import ConfigError

from ..making import number
from .frames import rows


def level(n: int, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return rows(n, ttft_s=rng.uniform(0.1, 0.3, n), e2e_s=1.0 + rng.uniform(0, 1, n), in_window=True)


def test_half_of_an_interval_over_its_figure_by_its_wider_side() -> None:
    assert relative_half(2.0, 1.9, 2.3) == pytest.approx(0.15)
    assert relative_half(2.0, 1.9, None) is None
    assert relative_half(None, None, None) is None
    assert relative_half(0.0, 0.0, 0.1) is None


def test_what_is_reached_is_what_the_summary_says() -> None:
    frame = level(400)
    found = precision(frame, None, {"ttft_s_mean": 0.5, "e2e_s_p95": 0.5, "output_tokens_per_s": 0.5})
    (row,) = summarise(frame).to_dicts()
    for name, half in found.reached.items():
        assert half == relative_half(row[name], row[f"{name}_low"], row[f"{name}_high"])
    assert (found.enough, found.n, found.next_look) == (True, 400, 450)


def test_a_figure_without_an_upper_bound_is_never_precise() -> None:
    found = precision(level(200), None, {"ttft_s_p99": 0.9})
    assert (found.reached, found.enough) == ({"ttft_s_p99": None}, False)


def test_one_figure_that_is_not_precise_is_enough_to_go_on() -> None:
    found = precision(level(400), None, {"ttft_s_mean": 0.5, "e2e_s_mean": 0.001})
    assert not found.enough
    assert number(found.reached["ttft_s_mean"]) < 0.5


def test_goodput_needs_its_limits() -> None:
    assert precision(level(400), None, {"goodput": 0.5}).reached == {"goodput": None}
    assert precision(level(400), None, {"goodput": 0.5}, {"ttft_s": 0.25}).enough


def test_nothing_has_come_yet() -> None:
    assert precision(level(40).clear(), None, {"ttft_s_mean": 0.1}).enough is False


@pytest.mark.parametrize(
    ("until", "says"), [({"ttft_p95": 0.05}, "no figure 'ttft_p95'"), ({"ttft_s_p95": 5}, "ttft_s_p95 is 5")]
)
def test_what_cannot_be_asked_for_is_said_in_a_sentence(until: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check(until)


@pytest.mark.thorough
def test_a_level_that_stops_at_a_look_is_as_precise_as_it_says() -> None:
    """Independent values: the mean's own half width at the stop covers the true mean about as often as it should."""
    from basetenkit.config.looks import next_look

    hits = 0
    for seed in range(60):
        whole, n = level(3000, seed), 200
        while n < 3000 and not precision(whole.head(n), None, {"ttft_s_mean": 0.03}).enough:
            n = next_look(n)
        (row,) = summarise(whole.head(n)).to_dicts()
        hits += row["ttft_s_mean_low"] <= 0.2 <= row["ttft_s_mean_high"]
    assert hits >= 52
