"""No two labels of an axis touch, however wide a chart is, and nothing lies beyond its axes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import polars as pl
import pytest

from basetenkit.reporting import charts
from docs.generate.gallery import GALLERY

from ..analysis.frames import Frames, chunks_of, failures, rows
from .drawn import Text, outside, texts

WIDTHS = (240, 400, 640, 1000)
ALONE = {"explain_latency"}  # three charts side by side, each with its own width
TIMED = ("activity", "inter_token", "itl_course", "latency_ecdf", "latency_histogram", "outcome_bars", "error_shares")


def spec(chart: Any, width: int | None) -> dict[str, Any]:
    found: dict[str, Any] = (chart if width is None else chart.properties(width=width)).to_dict()
    return found


def touching(spec: dict[str, Any], gap: float = 3.0) -> list[tuple[str, str]]:
    found: list[Text] = [text for text in texts(spec) if text.role in ("axis-label", "legend-label")]
    pairs = itertools.combinations(found, 2)
    return [(a.words, b.words) for a, b in pairs if a.role == b.role and a.touches(b, gap)]


@pytest.mark.parametrize("name", GALLERY)
def test_no_labels_touch_at_any_width(name: str) -> None:
    chart = GALLERY[name][0]()
    widths = (None,) if name in ALONE else WIDTHS
    assert {width: found for width in widths if (found := touching(spec(chart, width)))} == {}


@pytest.mark.parametrize("factor", [0.001, 1.0, 7.0, 900.0])
def test_no_labels_touch_for_short_and_for_long_times_and_nothing_is_below_0(factor: float) -> None:
    rng = np.random.default_rng(1)
    start, ttft = np.arange(400) * 0.37 * factor, rng.gamma(3, 0.05, 400) * factor
    frame = rows(400, level=8.0, start_s=start, ttft_s=ttft, e2e_s=ttft + 0.9 * factor, ttft_error_s=ttft)
    bad = failures(1, level=8.0, request_id="bad", in_window=True)
    run = Frames(pl.concat([frame, bad]), chunks_of(frame, [0.02 * factor, 0.031 * factor]))
    drawn = {name: getattr(charts, name)(run) for name in (*TIMED, "waterfall", "serving_curve")}
    for (name, chart), width in itertools.product(drawn.items(), (240, 640)):
        assert touching(spec(chart, width)) == [], (name, width)
    for chart in drawn.values():
        assert [t.words for t in texts(spec(chart, None)) if t.role == "axis-label" and t.words.startswith("−")] == []


@pytest.mark.parametrize("name", GALLERY)
def test_an_axis_holds_what_lies_on_it(name: str) -> None:
    assert outside(GALLERY[name][0]().to_dict()) == []


def test_labels_that_touch_are_found() -> None:
    import altair as alt

    crowded = alt.Axis(tickCount=40, labelOverlap=False)
    chart = alt.Chart(pl.DataFrame({"x": [1000, 9000]})).mark_point().encode(x=alt.X("x:Q", axis=crowded))
    assert touching(spec(chart, 300))
