"""Rows by columns, and rows that are left out."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from basetenkit.core.errors import DataError
from basetenkit.workload.table import LeftOut, Table, Unfit, opened, same, sound, which, without_none

ROWS: list[dict[str, Any]] = [{"a": 1, "B c": [1]}, {"a": "x"}]


def test_columns_of_rows_and_of_a_frame_are_the_same() -> None:
    schema: dict[str, Any] = {"a": pl.Object, "B c": pl.List(pl.Int64)}
    tables = [
        Table.of_rows(ROWS, "t"),
        Table.of_columns({"a": [1, "x"], "B c": [[1], None]}, "t"),
        Table.of_frame(pl.DataFrame({"a": [1, "x"], "B c": [[1], None]}, schema=schema, strict=False), "t"),
    ]
    for table in tables:
        assert (table.columns, table.height) == (("a", "B c"), 2)
        assert (table.column("a"), table.column("B c")) == ([1, "x"], [[1], None])
        assert table.rows() == ROWS
        assert (table.named("bc"), table.named("z", "a"), table.named("z")) == ("B c", "a", None)
        with pytest.raises(DataError, match="t has no column 'z'; prompt_column can be one of a, B c"):
            table.need("z", "prompt_column")


def test_rows_are_named_by_their_numbers_and_the_many_are_counted() -> None:
    assert which("row", [3]) == "row 3"
    assert which("line", [3, 5]) == "lines 3 and 5"
    assert which("row", [1, 2, 3]) == "rows 1, 2 and 3"
    assert which("row", range(1, 10)) == "rows 1, 2, 3, 4, 5 and 4 more"


def test_rows_left_out_are_told_by_why_and_not_all_may_be() -> None:
    left = LeftOut(Table.of_rows([{"a": 1}] * 3, "t"))
    left.add(0, Unfit("nothing is asked"))
    left.add(2, Unfit("nothing is asked"))
    assert (len(left), left.why()) == (2, "nothing is asked (rows 1 and 3)")
    left.check("t")
    left.add(1, Unfit("it is half"))
    with pytest.raises(
        DataError, match=r"none of the 3 rows of t can be sent: nothing is asked \(rows 1 and 3\); it is half"
    ):
        left.check("t")
    left.add(1, Unfit("there is an image", fatal=True))
    with pytest.raises(DataError, match=r"t cannot be sent: there is an image \(row 2\); take these rows out"):
        left.check("t")


@pytest.mark.parametrize(("value", "why"), [("a\ud83d", "half an emoji"), ("a\0", "a NUL"), ({1}, "cannot hold")])
def test_what_json_cannot_send_is_told(value: Any, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        sound([{"role": "user", "content": value}])
    sound(["\\u0000 as a word", "🎉", 1, None])


def test_small_helpers() -> None:
    assert {same(x) for x in ("maxTokens", "max_tokens", "Max tokens", "MAX-TOKENS")} == {"maxtokens"}
    assert opened('["a"]') == opened("['a']") == ["a"]
    assert opened("[a") == "[a"
    assert opened("text") == "text"
    assert without_none({"a": None, "b": [{"c": None, "d": 0}]}) == {"b": [{"d": 0}]}
