"""Where requests lie in seconds of load, which of them a stretch holds, and what the linked charts are made of."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import polars as pl
import pytest
import vl_convert

from basetenkit.core.errors import ConfigError
from basetenkit.reporting.brushing import BRUSH, DRAWN, linked, placed, within

from ..analysis.frames import Frames, failures, nothing, rows
from ..making import number

DAY = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)


def two_levels() -> pl.DataFrame:
    """Ten requests one after another at level 8; a day later, ten at level 2, whose rows come first."""
    later = rows(10, level=2.0, started_at=[DAY + dt.timedelta(days=1, seconds=i) for i in range(10)])
    first = rows(
        10,
        level=8.0,
        request_id=[f"a{i}" for i in range(10)],
        started_at=[DAY + dt.timedelta(seconds=i) for i in range(10)],
    )
    return pl.concat([later, first])


def test_levels_lie_one_after_another_as_they_ran_and_a_days_pause_takes_no_room() -> None:
    at = placed(two_levels())
    first, later = (at.filter(pl.col("level") == level) for level in (8.0, 2.0))
    assert first["at"].to_list() == pytest.approx(list(range(10)))
    assert 9.5 < number(later["at"].min()) < 10.5
    assert later["over"].to_list() == pytest.approx((later["at"] + 0.5).to_list())


def test_repeats_of_a_level_do_not_lie_over_one_another() -> None:
    twice = pl.concat([rows(5, repeat=i, request_id=[f"{i}-{j}" for j in range(5)]) for i in (0, 1)])
    ends = placed(twice).group_by("repeat").agg(pl.col("at").min(), pl.col("over").max()).sort("at")
    assert ends["over"][0] < ends["at"][1]


def test_a_stretch_holds_what_was_in_flight_in_it_even_what_began_before() -> None:
    frame = two_levels()
    assert within(frame, (2.2, 4.1))["request_id"].to_list() == ["a2", "a3", "a4"]  # a2 ended at 2.5
    assert within(frame, (2.6, 2.9)).height == 0
    assert within(frame, (0, 100)).height == 20


def test_what_was_never_sent_and_the_preflight_lie_nowhere() -> None:
    frame = pl.concat([rows(3), rows(1, phase="preflight", request_id="p"), rows(1, request_id="u")])
    frame = frame.with_columns(start_s=pl.when(pl.col("request_id") != "u").then(pl.col("start_s")))
    assert placed(frame)["request_id"].to_list() == ["r000000", "r000001", "r000002"]
    assert within(frame, (-1, 100)).height == 3


def test_until_something_is_selected_all_rows_are() -> None:
    run = Frames(two_levels())
    assert run.selected.equals(run.requests)
    widget: Any = run.explore()
    widget._vl_selections = {BRUSH: {"value": {"at": [4.1, 2.2]}, "store": []}}  # as the browser sends it
    assert run.selected["request_id"].to_list() == ["a2", "a3", "a4"]
    widget._vl_selections = {BRUSH: {"value": {}, "store": []}}
    assert run.selected.equals(run.requests)


def test_the_linked_charts_have_one_selection_and_compile() -> None:
    spec = linked(Frames(pl.concat([two_levels(), failures(4, level=2.0, request_id=list("wxyz"))]))).to_dict()
    assert [(p["name"], p["select"]["type"], len(p["views"])) for p in spec["params"]] == [(BRUSH, "interval", 2)]
    vega = json.dumps(vl_convert.vegalite_to_vega(spec))
    assert vega.count(f"!{BRUSH}.at") >= 2  # bars and ECDF


def test_a_long_run_stays_small_and_says_so() -> None:
    n = 4 * DRAWN
    spec = linked(Frames(rows(n, level=4.0, start_s=np.arange(n) / 4))).to_dict()
    assert max(len(data) for data in spec["datasets"].values()) <= DRAWN
    assert "One request in 4 is drawn" in json.dumps(spec)


def test_without_first_tokens_it_is_the_whole_latency_and_without_requests_a_sentence() -> None:
    assert "End-to-end" in json.dumps(linked(Frames(rows(9, ttft_s=None, output_chunks=1))).to_dict())
    assert "No request was sent" in json.dumps(linked(Frames(nothing())).to_dict())
    Frames(nothing()).explore()
    with pytest.raises(ConfigError, match="is not a figure"):
        Frames(rows(3)).explore("nap")
