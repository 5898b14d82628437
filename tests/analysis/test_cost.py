from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis import cost
from basetenkit.reporting.tables import costs
from tests.making import number

DEDICATED = bk.Price(usd_per_minute=0.6, replicas=2, source="a contract", as_of="2026-11-28")
SHARED = bk.Price(
    usd_per_million_input=1.0, usd_per_million_output=4.0, usd_per_million_cached=0.25, source="a price list"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bk.Run]]:
    """The same load with each kind of price, and without one."""
    folder = tmp_path_factory.mktemp("costs")
    with bk.emulator.serve(ttft_ms=10, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        plain = bk.RunConfig(
            endpoint=endpoint, scenarios="U(20,60)/(5,20)", concurrency=[2], max_requests=60, steady=False, salt="s"
        )
        configs = {"none": plain, "dedicated": plain.with_(price=DEDICATED), "shared": plain.with_(price=SHARED)}
        yield {name: bk.run_sync(config, save_to=folder / name) for name, config in configs.items()}


def test_dedicated_replicas_are_paid_by_time(runs: dict[str, bk.Run]) -> None:
    run = runs["dedicated"]
    row = run.summary_wide.row(0, named=True)
    assert (row["usd_per_hour"], row["usd_per_hour_low"]) == (72.0, 72.0)
    of_output = 1e6 * 72.0 / 3600 / row["output_tokens_per_s"]
    assert row["usd_per_million_output_tokens"] == pytest.approx(of_output)
    assert row["usd_per_million_output_tokens_low"] == pytest.approx(
        of_output * row["output_tokens_per_s"] / row["output_tokens_per_s_high"]
    )
    both = row["output_tokens_per_s"] + row["input_tokens_per_s"]
    assert row["usd_per_million_tokens"] == pytest.approx(1e6 * 72.0 / 3600 / both)
    assert row["usd_per_million_tokens_low"] <= row["usd_per_million_tokens"] <= row["usd_per_million_tokens_high"]
    seconds = number(run.manifest.levels[0].seconds)
    assert row["usd"] == pytest.approx(72.0 * seconds / 3600)
    assert run.usd == pytest.approx(1.2 * math.ceil(seconds / 60))


def test_a_shared_api_is_paid_by_tokens(runs: dict[str, bk.Run]) -> None:
    run = runs["shared"]
    row = run.summary_wide.row(0, named=True)
    ok = run.requests.filter((pl.col("outcome") == "ok") & pl.col("in_window"))
    inputs, outputs = number(ok["input_tokens"].sum()), number(ok["output_tokens"].sum())
    cached = number(ok["cached_tokens"].fill_null(0).sum())
    usd = ((inputs - cached) * 1.0 + cached * 0.25 + outputs * 4.0) / 1e6
    assert row["usd_per_million_output_tokens"] == pytest.approx(1e6 * usd / outputs)
    assert row["usd_per_million_tokens"] == pytest.approx(1e6 * usd / (inputs + outputs))
    assert row["usd_per_million_tokens_low"] < row["usd_per_million_tokens"] < row["usd_per_million_tokens_high"]
    per_hour = 3600e-6 * (row["input_tokens_per_s"] * 1.0 + row["output_tokens_per_s"] * 4.0)
    assert row["usd_per_hour"] == pytest.approx(per_hour, rel=0.05)  # a little less if some were cached
    assert number(run.usd) >= usd
    shown = run.summary.row(0, named=True)
    assert shown["usd_per_million_tokens_low"] == row["usd_per_million_tokens_low"]
    metrics = run.metrics.filter(pl.col("metric") == "usd_per_million_tokens").row(0, named=True)
    assert metrics["n"] == ok.height


def test_without_a_price_nothing_is_made_up(runs: dict[str, bk.Run]) -> None:
    run = runs["none"]
    names = [name for name in run.summary_wide.columns if name.startswith("usd")]
    assert names
    assert run.summary_wide.select(names).row(0) == (None,) * len(names)
    assert run.usd is None
    assert "unknown: no price is given" in repr(costs(run))
    assert cost.caching(run).is_empty()


def test_source_and_date_stand_with_the_figures(runs: dict[str, bk.Run], tmp_path: Path) -> None:
    run = runs["dedicated"]
    for shown in (repr(costs(run)), run._repr_mimebundle_()["text/html"]):
        assert "a contract, 2026-11-28" in shown
    page = bk.report(run, tmp_path / "run.html").read_text()
    assert "a contract, 2026-11-28" in page
    assert "USD/1M output tokens" in page


def test_what_caching_would_save_at_most(runs: dict[str, bk.Run]) -> None:
    row = cost.caching(runs["shared"]).row(0, named=True)
    outputs = 1e6 * row["usd_without_cache"] - row["input_tokens"]
    assert row["usd_all_cached"] == pytest.approx((0.25 * row["input_tokens"] + outputs) / 1e6)
    assert row["most_saved_share"] == pytest.approx(1 - row["usd_all_cached"] / row["usd_without_cache"])
    assert 0 < row["most_saved_share"] < 0.75


def test_idle_time_is_the_time_with_nothing_in_flight() -> None:
    """Known by hand: of 10 s, requests cover 0 to 2, 1 to 4 and 9 to 10; one before the window covers a part of it."""
    rows = pl.DataFrame(
        {
            "repeat": [0, 0, 0, 0],
            "start_s": [0.0, 1.0, 9.0, -5.0],
            "end_s": [2.0, 4.0, 10.0, 0.5],
            "in_window": [True, True, True, False],
        }
    )
    assert cost.idle_share(rows) == pytest.approx(0.5)
    assert cost.idle_share(rows.filter(~pl.col("in_window"))) is None
