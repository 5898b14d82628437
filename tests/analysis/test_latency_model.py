"""The parts of TTFT, from requests whose parts are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis.latency_model import BASE, QUEUE, TERMS, TOKEN, explain_latency, observed, quantile_fit
from basetenkit.core.errors import ConfigError

from .frames import failures, nothing, rows


def load(n: int = 400, seed: int = 1, token: float = 1e-4, each: float = 4e-3, **columns: Any) -> pl.DataFrame:
    """Requests at random times of which each takes 1 s: 20 ms, `token` s per prompt token, `each` s per other request in flight
    when it is sent, and noise of 5 ms at the median."""
    rng = np.random.default_rng(seed)
    start, tokens = np.sort(rng.uniform(0, n / 6, n)), rng.integers(50, 2000, n)
    others = np.array([((start < at) & (start + 1 > at)).sum() for at in start])
    ttft = 0.02 + token * tokens + each * others + rng.gamma(4, 0.005 / 3.672, n)
    start = columns.pop("start_s", start)
    fields = {
        "input_tokens": tokens,
        "ttft_s": ttft,
        "e2e_s": 1.0,
        "in_window": True,
        "load": "request_rate",
        "level": 6.0,
    }
    return rows(n, start_s=start, **(fields | columns))


def terms(frame: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["term"]: row for row in frame.iter_rows(named=True)}


def test_the_fit_has_the_share_below_it_and_the_known_line() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 10, (500, 2))
    y = 1 + x @ np.array([2.0, -3.0]) + rng.normal(0, 0.1, 500)
    for q in (0.1, 0.5, 0.9):
        a, b, c = quantile_fit(x, y, q)
        assert (b, c) == (pytest.approx(2, abs=0.02), pytest.approx(-3, abs=0.02))
        assert np.mean(y < a + x @ np.array([b, c])) == pytest.approx(q, abs=0.01)
    assert quantile_fit(np.zeros((5, 0)), np.array([5.0, 1.0, 3.0, 2.0, 9.0]), 0.5).tolist() == [3.0]


def test_others_in_flight_are_those_sent_before_and_not_over() -> None:
    frame = rows(4, start_s=[0.0, 0.5, 1.2, 9.0], e2e_s=[1.0, 1.0, 1.0, 1.0], in_window=True)
    assert observed(frame)["others"].to_list() == [0.0, 1.0, 1.0, 0.0]


def test_requests_of_every_phase_and_outcome_are_in_flight_and_only_measured_successes_are_explained() -> None:
    phases, outcomes = ["ramp", "measured", "measured", "cooldown"], ["ok", "timeout", "ok", "cancelled"]
    frame = rows(4, start_s=[0.0, 0.1, 0.2, 0.15], e2e_s=2.0, phase=phases, outcome=outcomes)
    seen = observed(frame)
    assert seen["others"].to_list() == [3.0]


def test_tokens_from_a_cache_do_not_count() -> None:
    frame = rows(2, cached_tokens=[None, 64], in_window=True)
    assert observed(frame)["tokens"].to_list() == [100.0, 36.0]


def test_each_part_is_found_within_its_interval() -> None:
    found = terms(explain_latency(load(seed=2), [0.5]))
    assert list(found) == list(TERMS)
    for term, truth in ((BASE, 0.025), (TOKEN, 1e-4), (QUEUE, 4e-3)):
        assert found[term]["low"] < truth < found[term]["high"]
        assert (found[term]["n"], found[term]["note"]) == (400, None)
        assert found[term]["method"] == "quantile regression, t interval on the fits of 10 blocks"
    assert found[TOKEN]["high"] - found[TOKEN]["low"] < 2e-5


@pytest.mark.thorough
def test_the_intervals_of_a_token_cover_as_often_as_they_say() -> None:
    inside = 0
    for seed in range(40):
        token = terms(explain_latency(load(seed=seed), [0.5]))[TOKEN]
        inside += token["low"] < 1e-4 < token["high"]
    assert inside >= 35


def test_what_does_not_vary_is_null_with_a_sentence() -> None:
    frame = load(load="concurrency", level=8.0, start_s=np.arange(400.0), e2e_s=0.5, each=0.0)
    found = terms(explain_latency(frame, [0.5]))
    assert found[QUEUE]["value"] is None
    assert found[QUEUE]["note"].startswith("The number of other requests in flight hardly varied (about 0)")
    assert "It includes the cost of the other requests in flight" in found[BASE]["note"]
    assert found[TOKEN]["value"] == pytest.approx(1e-4, rel=0.05)
    same = terms(explain_latency(load(token=0.0, input_tokens=100), [0.5]))
    assert same[TOKEN]["value"] is None
    assert same[QUEUE]["value"] == pytest.approx(4e-3, rel=0.3)


def test_all_levels_together_have_a_fit_in_which_the_load_varies() -> None:
    parts = []
    for level in (1.0, 4.0, 16.0):
        rng = np.random.default_rng(int(level))
        tokens = rng.integers(50, 2000, 200)
        ttft = 0.02 + 1e-4 * tokens + 2e-3 * (level - 1) + rng.normal(0, 1e-3, 200)
        start = np.arange(200) * (1.0 / level)
        ids = [f"{level:g}-{i}" for i in range(200)]
        parts.append(
            rows(
                200,
                request_id=ids,
                level=level,
                start_s=start,
                e2e_s=0.999,
                ttft_s=ttft,
                input_tokens=tokens,
                in_window=True,
            )
        )
    found = explain_latency(pl.concat(parts), [0.5])
    assert found["level"].to_list() == [1.0] * 3 + [4.0] * 3 + [16.0] * 3 + [None] * 3
    pooled = terms(found.filter(pl.col("level").is_null()))
    assert pooled[QUEUE]["value"] == pytest.approx(2e-3, rel=0.1)
    assert pooled[TOKEN]["value"] == pytest.approx(1e-4, rel=0.02)
    assert pooled[TOKEN]["n"] == 600


@pytest.mark.parametrize(
    "frame",
    [
        nothing(), rows(1), failures(30), rows(19), rows(30, ttft_s=None), rows(30, input_tokens=None), rows(30, end_s=None),
        rows(30, sent_s=None, end_s=1.0), rows(150), rows(60, start_s=0.0), load(60), rows(120, ttft_s=[0.1] * 119 + [9.0]),
    ],
    ids=range(12),
)  # fmt: skip
def test_tiny_and_odd_runs_raise_nothing_and_each_null_has_a_sentence(frame: pl.DataFrame) -> None:
    found = explain_latency(frame)
    for row in found.iter_rows(named=True):
        assert (row["low"] is None) == (row["high"] is None)
        if row["value"] is None or row["low"] is None:
            assert row["note"].endswith(".")


def test_a_quantile_out_of_range_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="quantile 50; give numbers between 0 and 1"):
        explain_latency(load(), [50])
