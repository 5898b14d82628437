"""Means at the known mean lengths: computed by hand, by simulation, and cases in which they must not be used."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis.covariates import controlled_mean, known_means, of_window
from basetenkit.analysis.summary import summarise
from basetenkit.stats import intervals as st

from ..making import number
from .frames import failures, rows

MEAN = 104.5  # of the whole numbers from 10 to 199


def series(rng: Any, n: int, memory: float = 0.6) -> tuple[Any, Any]:
    """(latencies, lengths): 0.1 s and 10 ms a token, and a server whose state lasts from request to request."""
    lengths = rng.integers(10, 200, n).astype(float)
    state = np.zeros(n)
    for i in range(1, n):
        state[i] = memory * state[i - 1] + rng.normal(0, 0.05)
    return 0.1 + 0.01 * lengths + state, lengths


def test_a_latency_that_is_its_length_has_the_mean_of_the_known_length() -> None:
    lengths = np.random.default_rng(1).integers(10, 200, 80).astype(float)
    found = controlled_mean(0.5 + 0.02 * lengths, {"output": lengths}, {"output": MEAN})
    assert found.value == pytest.approx(0.5 + 0.02 * MEAN, rel=1e-9)
    assert found.high == pytest.approx(found.low, rel=1e-6)
    assert found.how == "t interval on batch means, controlled for output"
    assert abs(float(lengths.mean()) - MEAN) > 1  # the plain mean is off by that


@pytest.mark.parametrize("n", [60, 400])
def test_the_interval_covers_and_is_many_times_narrower(n: int) -> None:
    rng, truth = np.random.default_rng(n), 0.1 + 0.01 * MEAN
    plain, controlled = [], []
    for _ in range(300):
        x, lengths = series(rng, n)
        plain.append(st.mean(x))
        controlled.append(controlled_mean(x, {"output": lengths}, {"output": MEAN}))
    inside = [e.low <= truth <= e.high for e in controlled if e.low is not None and e.high is not None]
    assert len(inside) == 300
    assert np.mean(inside) > 0.91
    assert np.std([e.value for e in controlled]) < 0.5 * np.std([e.value for e in plain])  # type: ignore[arg-type]


def test_two_lengths_and_several_runs() -> None:
    rng = np.random.default_rng(5)
    x, out = series(rng, 300)
    inputs = rng.integers(50, 500, 300).astype(float)
    parts = np.repeat(np.arange(6), 50)
    found = controlled_mean(
        x + 1e-3 * inputs, {"input": inputs, "output": out}, {"input": 274.5, "output": MEAN}, parts
    )
    assert found.how == "t interval on the means of 6 runs, controlled for input and output"
    assert number(found.low) < 0.1 + 0.2745 + 0.01 * MEAN < number(found.high)


@pytest.mark.parametrize(
    ("covariates", "known"),
    [
        ({}, {}),
        ({"output": np.full(100, 7.0)}, {"output": 7.0}),
        ({"output": np.arange(100.0)}, {"output": None}),
        ({"output": np.arange(100.0)}, {}),
        ({"output": np.arange(100.0)}, {"output": 500.0}),  # it is the mean of something else
        ({"output": np.arange(50.0)}, {"output": 24.5}),  # not of each request
    ],
)
def test_where_there_is_nothing_to_control_for_the_mean_is_the_plain_one(covariates: Any, known: Any) -> None:
    x = np.random.default_rng(2).normal(5, 1, 100)
    assert controlled_mean(x, covariates, known) == st.mean(x)


def test_few_requests_have_the_plain_mean_and_lengths_that_go_together_count_once() -> None:
    rng = np.random.default_rng(3)
    x, lengths = series(rng, 39)
    assert controlled_mean(x, {"output": lengths}, {"output": MEAN}) == st.mean(x)
    x, lengths = series(rng, 100)
    both = controlled_mean(x, {"output": lengths, "twice": 2 * lengths}, {"output": MEAN, "twice": 2 * MEAN})
    assert both == controlled_mean(x, {"output": lengths}, {"output": MEAN})
    assert controlled_mean([], {}, {}).value is None


def drawn(n: int = 200, **columns: Any) -> pl.DataFrame:
    x, lengths = series(np.random.default_rng(4), n)
    values: dict[str, Any] = {
        "scenario": "U(100,100)/(10,199)",
        "output_tokens_target": lengths.astype(int),
        "e2e_s": x,
    }
    return rows(n, in_window=True, **(values | columns))


def test_the_summary_controls_by_the_scenarios_own_mean_and_says_so() -> None:
    frame = drawn()
    got, plain = (summarise(frame, controlled=on).row(0, named=True) for on in (True, False))
    assert got["e2e_s_mean_how"] == "t interval on batch means, controlled for output_tokens_target"
    assert plain["e2e_s_mean_how"] == "t interval on batch means"
    assert plain["e2e_s_mean"] == pytest.approx(frame["e2e_s"].mean())
    assert got["e2e_s_mean"] == pytest.approx(0.1 + 0.01 * MEAN, abs=0.03)
    assert got["e2e_s_mean_high"] - got["e2e_s_mean_low"] < 0.4 * (plain["e2e_s_mean_high"] - plain["e2e_s_mean_low"])
    assert got["e2e_s_p50"] == plain["e2e_s_p50"]


def test_a_failed_or_cut_request_in_the_window_leaves_the_plain_mean() -> None:
    frame = drawn()
    for outcome in ("http_error", "timeout", "cancelled"):
        bad = failures(1, outcome, scenario="U(100,100)/(10,199)", in_window=True, start_s=[50.5])
        both = pl.concat([frame, bad])
        assert "controlled" not in (summarise(both).row(0, named=True)["e2e_s_mean_how"] or "")


def test_a_latency_that_some_responses_lack_has_the_plain_mean() -> None:
    frame = drawn(tpot_s=[None] + [0.01 + 1e-4 * i for i in range(199)])
    window = frame.sort("start_s")
    seen = window.select("repeat", x="tpot_s").drop_nulls("x")
    assert of_window(seen, window) == st.mean(seen["x"].to_numpy())


@pytest.mark.parametrize(
    ("scenario", "means"),
    [
        ("D(100,20)", (100, 20)),
        ("U(50,100)/(200,250)", (75.0, 225.0)),
        ("dataset", (None, None)),
        ("no such scenario", (None, None)),
        ("R(1024,100)", (None, None)),
    ],
)
def test_the_scenario_knows_its_means(scenario: str, means: tuple[float | None, float | None]) -> None:
    assert tuple(known_means(scenario).values()) == means
