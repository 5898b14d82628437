"""The definitions themselves."""

from __future__ import annotations

from basetenkit.analysis.metrics import METRICS


def test_every_definition_says_what_it_is() -> None:
    assert list(METRICS) == [m.name for m in METRICS.values()]
    for metric in METRICS.values():
        assert metric.title
        assert metric.formula
        assert metric.better in ("lower", "higher")
        assert metric.name.endswith("_s") == (metric.unit == "s" and metric.kind != "rate") or metric.kind == "rate"
