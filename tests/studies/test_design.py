from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.precision import relative_half
from basetenkit.core.errors import ConfigError
from tests.analysis.frames import manifest_of
from tests.benchmarks import virtual
from tests.benchmarks.queueing import Load, World, capacity, simulate

LENGTHS = "N(100,20)/(100,30)"


def sample(n: int, seed: int, repeat: int = 0, **load: Any) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """A run in virtual time, as the frames that a real one leaves."""
    rng = np.random.default_rng(seed)
    made = simulate(World("clean", 20_000, rng), Load(rng, n, scenario=LENGTHS, **load))
    return virtual.frames(made, load.get("users", 0), load.get("rate", 0.0), repeat)


def pilot_of(n: int, seed: int, **load: Any) -> bk.Run:
    frame, chunks, _ = sample(n, seed, **load)
    loads: dict[str, Any] = {"concurrency": [load["users"]]} if "users" in load else {"request_rate": [load["rate"]]}
    fields = {"steady": True, "scenarios": LENGTHS, "max_requests": n} | loads
    return bk.Run.of_frames(manifest_of(frame, **fields), frame, chunks)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("load", "figure"),
    [
        ({"users": 8}, "e2e_s_p50"),
        ({"users": 8}, "e2e_s_p95"),
        ({"rate": 0.5 * capacity(LENGTHS)}, "ttft_s_p50"),
        ({"rate": 0.5 * capacity(LENGTHS)}, "e2e_s_p95"),
    ],
)
def test_predicted_half_widths_are_those_of_the_designed_runs(load: dict[str, Any], figure: str) -> None:
    """Means over 4 pilots and over 4 runs of their designs, on a simulated server with a queue and batches."""
    predicted, found = [], []
    for seed in range(4):
        made = bk.design(f"{figure} within 0.1%", "2000 requests", pilot=pilot_of(300, 100 + seed, **load))
        (row,) = made.frame.to_dicts()
        assert made.reached is False
        assert row["sent"] <= 2000
        predicted.append(row["half_width"])
        config = made.config
        assert config.max_requests == row["requests"]
        parts = [sample(row["requests"], 10_000 + 100 * seed + k, repeat=k, **load) for k in range(config.repeats)]
        level = virtual.summary(parts)
        name = figure if "users" in load else figure.replace("_s_", "_due_s_")
        found.append(relative_half(level[name], level[f"{name}_low"], level[f"{name}_high"]))
    ratio = np.mean(predicted) / np.mean([half for half in found if half is not None])
    assert 0.65 < ratio < 1.5  # docs/how-to/money.md has what 10 pilots gave


@pytest.fixture(scope="module")
def pilot() -> Iterator[bk.Run]:
    """A run of 200 requests against the emulator, which is up as long as the tests of this file go on."""
    with bk.emulator.serve(ttft_ms=20, itl_ms=1, jitter=0.3) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        price = bk.Price(usd_per_minute=0.1, source="a contract", as_of="2026-11-28")
        config = bk.RunConfig(
            endpoint=endpoint, scenarios="D(50,20)", concurrency=4, max_requests=200, price=price, slo={"ttft_s": 0.5}
        )
        yield bk.run_sync(config)


def test_a_designed_run_sends_what_it_says_and_keeps_its_budget(pilot: bk.Run) -> None:
    made = bk.design("ttft p50 within 0.1%", "1 minutes, 50k tokens, 5 dollars", pilot=pilot)
    (row,) = made.frame.to_dicts()
    run = bk.run_sync(made.config)
    assert run.requests.filter(pl.col("phase") == "measured").height == row["requests"] * row["repeats"]
    tokens = run.requests.select((pl.col("input_tokens") + pl.col("output_tokens")).sum()).item()
    assert tokens <= 50_000
    assert run.usd is not None
    assert run.usd <= 5


def test_a_small_budget_says_what_it_would_take() -> None:
    pilot = pilot_of(300, 1, users=8)
    price = bk.Price(usd_per_million_output=2.0, source="a contract", as_of="2026-11-28")
    made = bk.design("e2e p50 within 1%", "1 dollars, 30k tokens", config=pilot.config.with_(price=price), pilot=pilot)
    assert made.reached is False
    assert made.sentence == "The budget is not enough for: e2e p50 within 1%."
    assert any(text.startswith("It would take about") and "US dollars" in text for text in made.caveats)
    assert made.config.max_total_tokens == 30_000
    assert any("a contract, 2026-11-28" in text for text in made.caveats)


def test_a_comparison_is_designed_as_pairs_of_blocks(pilot: bk.Run) -> None:
    made = bk.design("compare A with B, ttft, 10%", "2 minutes", pilot=pilot)
    assert made.options["metric"] == "ttft_s"
    assert made.options["pairs"] >= 2
    (row,) = made.frame.to_dicts()
    assert row["minutes"] <= 2
    assert row["repeats"] == 2 * made.options["pairs"]
    assert made.config.steady is False
    quick = made.options | {"pairs": 2, "block_requests": 10}
    assert bk.compare_endpoints_sync(made.config, made.config, **quick).metric == "ttft_s"


def test_a_search_for_a_capacity_takes_the_budget_as_it_is(pilot: bk.Run) -> None:
    made = bk.design("find capacity within 20%", "10 minutes", pilot=pilot)
    assert made.options == {"precision": 0.2, "budget": {"minutes": 10.0}}
    assert "bk.capacity(found.config, precision=0.2" in made.call
    with pytest.raises(ConfigError, match="needs a limit"):
        bk.design("find capacity", "10 minutes", pilot=pilot, config=pilot.config.with_(slo={}))


def test_without_a_pilot_what_is_not_known_is_not_made_up(pilot: bk.Run) -> None:
    timed = bk.design("20 minutes: ttft p99 within 10%", config=pilot.config)
    assert timed.reached is None
    assert timed.frame.select("requests", "minutes", "half_width").row(0) == (None, None, None)
    assert timed.config.max_seconds * timed.config.repeats == pytest.approx(1200)
    counted = bk.design("p99 within 10%", "100k tokens", config=pilot.config)
    (row,) = counted.frame.to_dicts()
    assert row["tokens"] <= 100_000
    assert row["half_width"] is None
    assert 0 < row["half_low"] < row["half_high"]
    bundle = counted._repr_mimebundle_()
    assert "unknown" in bundle["text/html"]


def test_wrong_arguments_are_said_before_anything_is_sent(pilot: bk.Run) -> None:
    with pytest.raises(ConfigError, match="give config="):
        bk.design("p99 within 10%", "20 minutes")
    with pytest.raises(ConfigError, match="needs a price"):
        bk.design("p99 within 10%", "5 dollars", config=pilot.config.with_(price=None))
    with pytest.raises(ConfigError, match="no successful request of"):
        bk.design("p99 within 10%", "20 minutes", config=pilot.config.with_(concurrency=[32]), pilot=pilot)
    with pytest.raises(ConfigError, match="does not pay for two pairs"):
        bk.design("compare A with B", "10 requests", pilot=pilot)
