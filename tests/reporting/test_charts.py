"""Every chart on every kind of run: none raises, each compiles to a picture, and each stays small."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from basetenkit.reporting import charts
from basetenkit.reporting.altair_renderer import describe, render
from basetenkit.results.schema import SCHEMA
from basetenkit.results.window import mark_window

from ..analysis.frames import Frames, chunks_of, failures, nothing, rows

OF_MANY = {"comparison", "trend"}  # they take no run; charts/test_versus.py has them
FUNCTIONS: dict[str, Callable[..., Any]] = {n: getattr(charts, n) for n in charts.__all__ if n not in OF_MANY}


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


def older() -> Frames:
    """A file from before there were these columns."""
    gone = ["in_window", "ttft_error_s", "e2e_error_s", "first_content_s", "scheduled_s", "status", "input_tokens"]
    return Frames(normal().requests.drop(gone), normal().chunk_frame.drop("error_s", "tokens"))


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
    "one token": lambda: Frames(rows(30, output_tokens=1, tpot_s=None, output_chunks=1), chunks_of(rows(30), [])),
    "older schema": older,
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


def data(chart: Any, column: str) -> pl.DataFrame:
    """The chart's data set that has this column."""
    (found,) = [v for v in chart.to_dict()["datasets"].values() if column in v[0]]
    return pl.DataFrame(found, infer_schema_length=None)


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
    assert len(json.dumps(spec)) < (120_000 if name == "waterfall" else 60_000)  # it shows 120 requests of each level
