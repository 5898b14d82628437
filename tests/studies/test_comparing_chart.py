from __future__ import annotations

import json

import pytest

from basetenkit.core.errors import ConfigError

from .test_comparing_result import result


def test_every_block_and_every_pair_is_drawn_with_the_interval_of_the_frame() -> None:
    found = result(0.9)
    spec = found.chart().to_dict()
    left, right = spec["hconcat"]
    sets = spec["datasets"]
    assert len(sets[left["data"]["name"]]) == 36
    assert {row["side"] for row in sets[left["data"]["name"]]} == {"A", "B", "A, control"}
    drawn = [sets[layer["data"]["name"]] for layer in right["layer"]]
    (low,) = {row["low"] for rows in drawn for row in rows if "low" in row}
    assert low == found.frame["low"][0]
    assert max(len(rows) for rows in drawn) == 12
    assert spec["resolve"]["scale"]["color"] == "independent"


def test_a_metric_that_was_not_compared_is_refused_and_nothing_measured_is_said() -> None:
    found = result(0.9)
    with pytest.raises(ConfigError, match="metric='p95'; one of e2e_s"):
        found.chart("p95")
    empty = found.blocks.with_columns(e2e_s_mean=None)
    nothing = type(found)(found.metric, found.verdict, found.frame, empty, None, [], [])
    assert "No block has a successful request" in json.dumps(nothing.chart().to_dict())
