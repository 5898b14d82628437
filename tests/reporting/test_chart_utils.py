"""What the charts share."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from basetenkit.core.types import Outcome
from basetenkit.reporting import chart_utils as d

from ..analysis.frames import Frames, nothing, rows


def test_a_level_is_called_by_its_scenario_and_load() -> None:
    parts = [rows(1, level=8.0), rows(1, level=0.5, load="request_rate")]
    assert d.rows(pl.concat(parts))["series"].to_list() == ["D(100,20) at concurrency 8", "D(100,20) at 0.5 requests/s"]


def test_a_run_and_its_frame_give_the_same_rows() -> None:
    frame = rows(3)
    of_run = d.rows(Frames(frame)).drop("text", "warnings")
    shared = [name for name in of_run.columns if name not in ("notes", "number", "error_cause")]
    assert of_run.select(shared).equals(d.rows(frame).select(shared))
    assert d.rows(nothing()).height == 0


def test_levels_are_ordered_as_numbers() -> None:
    frame = d.rows(pl.concat([rows(1, level=x) for x in (64.0, 8.0, 16.0)]))
    assert d.order(frame) == [f"D(100,20) at concurrency {x}" for x in (8, 16, 64)]


def test_only_successes_in_the_window_are_drawn_and_all_where_no_window_is_known() -> None:
    frame = rows(4, in_window=[True, False, None, True], outcome=["ok", "ok", "ok", "timeout"])
    assert d.ok(frame)["request_id"].to_list() == ["r000000", "r000002"]


@pytest.mark.parametrize(("largest", "right"), [(None, (1e3, "ms")), (9.99, (1e3, "ms")), (10.0, (1.0, "s"))])
def test_the_unit_follows_the_size(largest: float | None, right: tuple[float, str]) -> None:
    assert d.scale(largest) == right


@pytest.mark.parametrize("n", [1, 2, 3, 50, 119, 5000, 100_000])
def test_points_of_an_ecdf_are_few_true_and_end_at_the_largest(n: int) -> None:
    x = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    points = d.ecdf_points(x)
    assert 1 <= len(points) <= d.POINTS
    assert all(share == pytest.approx(value / n) for value, share in points)
    assert points[0][0] == 1.0
    assert points[-1] == (float(n), 1.0)
    assert points == sorted(points)


def test_an_ecdf_keeps_its_tail() -> None:
    points = d.ecdf_points(np.arange(1.0, 100_001))
    assert sum(share >= 0.99 for _, share in points) >= 20


def test_every_outcome_has_a_colour_of_its_own() -> None:
    assert list(d.OUTCOME_COLOURS) == list(Outcome)
    assert len(set(d.OUTCOME_COLOURS.values())) == len(Outcome)
    colour = d.outcome_colour(d.altair(), ["ok", "timeout"]).to_dict()
    assert colour["scale"] == {"domain": ["ok", "timeout"], "range": ["#009E73", "#E69F00"]}


def test_equal_values_make_one_bar() -> None:
    a = d.altair()
    chart = d.histogram(a, "T", ["s"], {"one": np.full(30, 5.0)}, ["one"], "ms", "requests")
    (bars,) = chart.to_dict()["datasets"].values()
    assert [(bar["n"], bar["share"]) for bar in bars] == [(30, 1.0)]
    assert bars[0]["from"] <= 5.0 <= bars[0]["to"]


def test_the_last_bar_holds_what_lies_beyond() -> None:
    values = np.concatenate([np.linspace(1, 2, 9999), [1e6]])
    chart = d.histogram(d.altair(), "T", ["s"], {"one": values}, ["one"], "ms", "requests")
    (bars,) = chart.to_dict()["datasets"].values()
    assert sum(bar["n"] for bar in bars) == 10_000
    assert max(bar["to"] for bar in bars) < 3


def test_a_chart_of_nothing_is_a_sentence() -> None:
    spec = d.nothing("Title", "There is <nothing> here.").to_dict()
    assert spec["title"] == "Title"
    assert "There is <nothing> here." in json.dumps(spec)
