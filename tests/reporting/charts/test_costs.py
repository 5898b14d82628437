"""The parts of a first token's time, drawn."""

from __future__ import annotations

from basetenkit.reporting import charts

from ...analysis.frames import Frames, rows
from ...analysis.test_latency_model import load


def test_each_part_has_a_panel_with_its_unit() -> None:
    spec = charts.explain_latency(Frames(load(seed=2))).to_dict()
    titles = [panel["layer"][1]["encoding"]["x"]["title"] for panel in spec["hconcat"]]
    assert titles == ["base, ms", "per 1,000 prompt tokens, ms", "per other request, ms"]
    shown = [row for frame in spec["datasets"].values() for row in frame]
    assert {row["ttft"] for row in shown} == {"p50", "p90"}
    [token] = [row for row in shown if row["ttft"] == "p50" and 90 < row["value"] < 110]
    assert token["low"] < 100 < token["high"]


def test_a_run_that_is_too_small_says_so() -> None:
    assert "Too few successful streamed requests" in charts.explain_latency(Frames(rows(5))).to_json()
