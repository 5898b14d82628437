"""The same endpoint as several machines saw it, drawn."""

from __future__ import annotations

from basetenkit.reporting import charts

from ...analysis.frames import Frames, rows
from ...analysis.test_diagnosis import seen_from


def test_each_machine_has_its_percentiles_and_its_round_trip() -> None:
    spec = charts.by_host(Frames(seen_from({"a": 0.0, "b": 0.4}))).to_dict()
    shown = [row for frame in spec["datasets"].values() for row in frame]
    assert {(row["from"], row["p"]) for row in shown} == {(host, p) for host in "ab" for p in ("p50", "p95")}
    medians = {row["from"]: row for row in shown if row["p"] == "p50"}
    assert 130 < medians["a"]["x"] < 170
    assert 530 < medians["b"]["x"] < 570
    assert all(row["low"] <= row["x"] <= row["high"] and row["rtt"] == 1.0 for row in medians.values())


def test_a_run_of_one_machine_says_so() -> None:
    assert "No cluster sent this run" in charts.by_host(Frames(rows(5))).to_json()
