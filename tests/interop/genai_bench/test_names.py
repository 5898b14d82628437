"""The map of names: it serves reading, writing and docs/reference/genai-bench.md."""

from __future__ import annotations

from basetenkit.analysis.metrics import METRICS
from basetenkit.analysis.summary import summary_schema
from basetenkit.interop.genai_bench.names import LEVEL, OUTCOME, READ, REQUEST, SCALED
from basetenkit.results.schema import COLUMNS, SCHEMA


def test_every_name_of_ours_is_one() -> None:
    known = set(COLUMNS) | set(METRICS) | set(summary_schema()) | {"fates", "spread"}
    named = [ours for n in REQUEST + OUTCOME + LEVEL for ours in n.ours.split(", ") if ours]
    assert [ours for ours in named if ours not in known] == []


def test_what_is_read_is_a_column_and_what_is_scaled_is_a_name() -> None:
    assert set(READ.values()) <= set(SCHEMA)
    assert {n.theirs for n in REQUEST} >= SCALED
