"""Every chart on every kind of run: none raises, each compiles to a picture, and each stays small."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis import charts
from basetenkit.analysis.window import mark_window
from basetenkit.display import describe, render
from basetenkit.rows import CHUNK_SCHEMA, SCHEMA

from .frames import Frames, chunks_of, failures, nothing, rows

FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        charts.latency_ecdf,
        charts.latency_histogram,
        charts.inter_token,
        charts.token_ledger,
        charts.outcome_bars,
        charts.serving_curve,
        charts.waterfall,
    )
}


def normal() -> Frames:
    """Three levels, latencies that vary, a few failures of several kinds."""
    rng = np.random.default_rng(2)
    parts = []
    for level in (1.0, 4.0, 16.0):
        ttft = rng.gamma(4, 0.02, 60) * level
        parts.append(
            rows(60, level=level, ttft_s=ttft, e2e_s=ttft + 0.5, request_id=[f"{level:g}-{i}" for i in range(60)])
        )
        parts.append(failures(2, level=level, request_id=[f"{level:g}-bad{i}" for i in range(2)], start_s=[60.0, 61.0]))
    parts.append(failures(1, "cancelled", level=16.0, request_id=["cut"], error_message=None))
    frame = pl.concat(parts)
    return Frames(frame, chunks_of(frame.filter(pl.col("outcome") == "ok"), [0.02, 0.03, 0.02]))


def null_columns() -> Frames:
    """Nothing is known but what always is."""
    kept = ["request_id", "scenario", "load", "level", "repeat", "phase", "in_window", "outcome"]
    return Frames(rows(5).with_columns(pl.lit(None, dtype).alias(n) for n, dtype in SCHEMA.items() if n not in kept))


KINDS: dict[str, Callable[[], Frames]] = {
    "normal": normal,
    "errors only": lambda: Frames(failures(30)),
    "one request": lambda: Frames(rows(1), chunks_of(rows(1), [0.1])),
    "one chunk": lambda: Frames(rows(3), chunks_of(rows(3), [])),
    "not streamed": lambda: Frames(rows(30, ttft_s=None, ttft_error_s=None, output_chunks=1, wire_format="json")),
    "empty": lambda: Frames(nothing()),
    "null columns": null_columns,
    "all alike": lambda: Frames(rows(50), chunks_of(rows(50), [0.1, 0.1])),
    "open loop": lambda: Frames(pl.concat([rows(40, load="request_rate", level=x) for x in (0.5, 2.0)])),
    "never sent": lambda: Frames(failures(4, "connection_error", sent_s=None, end_s=None)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_chart_of_every_run_is_drawn(name: str, kind: str) -> None:
    spec = FUNCTIONS[name](KINDS[kind]()).to_dict()
    bundle, size = render(spec)
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert size["image/png"]["width"] > 100
    assert size["image/png"]["height"] > 50
    assert bundle["text/plain"] not in ("Chart", "Chart: ")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_frame_does_for_a_run(name: str) -> None:
    spec = FUNCTIONS[name](normal().requests).to_dict()
    assert describe(spec) != "Chart"


def big() -> Frames:
    """100,000 requests at four levels, one in a hundred failed, a few chunks each."""
    n, rng = 25_000, np.random.default_rng(8)
    outcome = np.where(rng.random(n) < 0.01, "timeout", "ok").tolist()
    parts = []
    for level in (8.0, 32.0, 128.0, 512.0):
        ttft = rng.lognormal(-2, 0.5, n)
        ids = [f"{level:g}-{i:032d}" for i in range(n)]
        start = np.sort(rng.uniform(0, 600, n))
        parts.append(
            rows(
                n,
                level=level,
                request_id=ids,
                start_s=start,
                ttft_s=ttft,
                e2e_s=ttft * 5,
                outcome=outcome,
                in_window=None,
            )
        )
    frame = mark_window(pl.concat(parts))
    some = chunks_of(frame.select("request_id"), [0.02, 0.03])
    return Frames(frame, some)


@pytest.fixture(scope="module")
def hundred_thousand() -> Frames:
    return big()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_hundred_thousand_requests_make_a_small_chart(name: str, hundred_thousand: Frames) -> None:
    assert hundred_thousand.requests.height == 100_000
    spec = FUNCTIONS[name](hundred_thousand).to_dict()
    assert len(json.dumps(spec)) < 60_000
    assert base64.b64decode(render(spec)[0]["image/png"]).startswith(b"\x89PNG")


# -- what they show ----------------------------------------------------------------------------------------------------


def data(chart: Any, column: str) -> pl.DataFrame:
    """The chart's data set that has this column."""
    (found,) = [v for v in chart.to_dict()["datasets"].values() if column in v[0]]
    return pl.DataFrame(found, infer_schema_length=None)


def test_the_ecdf_has_its_percentiles_where_the_summary_has_them() -> None:
    run = normal()
    marks = data(charts.latency_ecdf(run), "p").filter(pl.col("p") == "p90")
    for end, column in (("", "x"), ("_low", "low")):
        assert marks[column].to_list() == pytest.approx((run.summary[f"ttft_s_p90{end}"] * 1e3).to_list())


def test_the_ecdf_of_a_level_that_was_cut_ends_below_one() -> None:
    cut = failures(30, "cancelled", error_message=None, sent_s=30.0, end_s=40.0, in_window=True)
    both = pl.concat([rows(30, in_window=True, ttft_s=np.linspace(1, 2, 30)), cut])
    steps = [v for v in charts.latency_ecdf(Frames(both)).to_dict()["datasets"].values() if "p" not in v[0]]
    assert max(point["share"] for point in steps[0]) == pytest.approx(0.5)
    marks = data(charts.latency_ecdf(Frames(both)), "p").filter(pl.col("p") == "p99")
    assert marks["x"].to_list() == [None]


def test_the_ecdf_makes_up_no_top_of_an_interval() -> None:
    marks = data(charts.latency_ecdf(Frames(rows(60, ttft_s=np.random.default_rng(1).uniform(0.1, 0.2, 60)))), "p")
    by = {row["p"]: row for row in marks.iter_rows(named=True)}
    assert by["p99"]["low"] is not None
    assert by["p99"]["high"] is None
    assert by["p50"]["high"] is not None


def test_latencies_are_in_milliseconds_until_they_are_ten_seconds_long() -> None:
    assert "ms" in json.dumps(charts.latency_ecdf(Frames(rows(5, ttft_s=0.25))).to_dict())
    slow = data(charts.latency_ecdf(Frames(rows(5, ttft_s=25.0))), "p")
    assert slow["x"].to_list() == [25.0] * 3


def test_a_histogram_holds_every_request_in_some_bar() -> None:
    run = normal()
    bars = data(charts.latency_histogram(run), "n")
    assert bars["n"].sum() == run.requests.filter(pl.col("in_window") & (pl.col("outcome") == "ok")).height
    assert bars.group_by("series").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1.0] * 3)


def test_the_gaps_are_of_chunks_within_a_response() -> None:
    frame = rows(5)
    bars = data(charts.inter_token(Frames(frame, chunks_of(frame, [0.02, 0.04]))), "n")
    assert bars["n"].sum() == 10
    assert bars["to"].max() == pytest.approx(40.0)


def test_the_outcomes_are_all_that_was_sent() -> None:
    run = normal()
    bars = data(charts.outcome_bars(run), "n")
    assert bars["n"].sum() == run.requests.height
    assert bars.filter(pl.col("outcome") == "http_error")["n"].sum() == 6


def test_the_serving_curve_has_a_point_a_level() -> None:
    run = normal()
    points = data(charts.serving_curve(run, percentile=90), "output_tokens_per_s")
    assert points["level"].to_list() == [1.0, 4.0, 16.0]
    assert points["output_tokens_per_s"].to_list() == pytest.approx(run.summary["output_tokens_per_s"].to_list())


def test_the_waterfall_keeps_failures_and_thins_the_rest() -> None:
    frame = pl.concat([rows(1000), failures(30, start_s=np.arange(30) + 2000.0)])
    kept = data(charts.waterfall(Frames(frame)), "begin")
    assert kept.filter(pl.col("outcome") == "http_error").height == 30
    assert 60 <= kept.filter(pl.col("outcome") == "ok").height <= 120


def test_the_waterfalls_failures_are_of_every_level_where_there_are_too_many() -> None:
    frame = pl.concat([failures(1000, level=level) for level in (1.0, 8.0)])
    kept = data(charts.waterfall(Frames(frame)), "begin")
    assert kept.height <= 200
    assert kept["series"].n_unique() == 2


def test_the_token_accounts_are_means_a_request() -> None:
    frame = data(charts.token_ledger(Frames(rows(4, output_tokens_server=[20, 20, 20, 24]))), "account")
    mean = {(row["what"], row["account"]): row["mean"] for row in frame.iter_rows(named=True)}
    assert mean["output", "reported"] == 21.0
    assert mean["input", "asked for"] == 100.0
    assert mean["output", "chunks"] == 20.0


def test_a_chart_of_nothing_says_why() -> None:
    spec = charts.latency_ecdf(Frames(failures(3))).to_dict()
    assert "No successful streamed request" in json.dumps(spec)
    assert set(CHUNK_SCHEMA) >= {"request_id", "index", "arrival_s"}
