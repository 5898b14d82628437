from __future__ import annotations

import polars as pl

from basetenkit.results.schema import CHUNK_COLUMNS, CHUNK_SCHEMA, COLUMNS, SCHEMA


def test_each_column_has_a_type_and_a_meaning_and_times_are_seconds() -> None:
    for name, (kind, meaning) in (COLUMNS | CHUNK_COLUMNS).items():
        assert len(meaning) > 5
        assert meaning == meaning.strip(" .")
        if name.endswith("_s"):
            assert kind == pl.Float64()
    assert list(SCHEMA) == list(COLUMNS)
    assert CHUNK_SCHEMA["arrival_s"] == pl.Float64()
