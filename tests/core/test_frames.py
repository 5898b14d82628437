"""Frames of other libraries become columns of plain values, and are distinguished by their contents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import polars as pl

from basetenkit.core.frames import columns_of, plain
from basetenkit.core.secrets import fingerprint
from basetenkit.workload.datasets import load

from ..making import config

TALK = [{"role": "user", "content": "Hi"}]


def entries(data: Any) -> Any:
    found = load(config(dataset=data, scenarios="dataset"))
    assert found is not None
    return found


def test_polars_and_numpy() -> None:
    frame = pl.DataFrame({"prompt": ["a", "b"]})
    assert columns_of(frame) is frame
    for data in (
        frame.lazy(),
        frame["prompt"],
        np.array(["a", "b"]),
        np.array(["a", "b"], object),
        np.array([["a"], ["b"]]),
    ):
        assert entries(data).prompts == ["a", "b"]
    rows = np.array([("a", 7), ("b", 9)], dtype=[("prompt", "U9"), ("max_tokens", "i4")])
    assert entries(rows).params == [{"max_tokens": 7}, {"max_tokens": 9}]


class Arrow:
    """What has Arrow's interface and nothing else."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._frame.__arrow_c_stream__(requested_schema)


def test_whatever_has_arrows_interface() -> None:
    data = Arrow(pl.DataFrame({"messages": [TALK], "max_tokens": [7]}))
    assert entries(data).conversations[0][0].said == (TALK[0],)
    assert fingerprint(data) == fingerprint(pl.DataFrame({"messages": [TALK], "max_tokens": [7]}))


def test_pandas_with_missing_values_and_arrays_in_cells() -> None:
    frame = pandas.DataFrame({"prompt": ["a", None], "max_tokens": [7, None], "tags": [np.array(["x"]), None]})
    columns = columns_of(frame)
    assert columns == {"prompt": ["a", None], "max_tokens": [7.0, None], "tags": [["x"], None]}
    assert entries(frame).params == [{"max_tokens": 7}]
    talks = pandas.DataFrame({"messages": [np.array(TALK, object)]})
    assert entries(talks).conversations[0][0].said == (TALK[0],)
    assert fingerprint(frame)["rows"] == 2
    assert fingerprint(frame) == fingerprint(frame.copy()) != fingerprint(frame.head(1))


def test_what_is_no_frame_is_none() -> None:
    for data in ("a", 3, None, ["a"], {"a": 1}, object()):
        assert columns_of(data) is None
    assert plain([np.int64(3), float("nan"), np.array([1]), (1,), {"a": np.float64("nan")}]) == [
        3,
        None,
        [1],
        [1],
        {"a": None},
    ]


def test_arrays_are_told_apart_by_what_they_hold() -> None:
    first, second = np.array(["a", "b"]), np.array(["a", "c"])
    assert fingerprint(first) == fingerprint(first.copy()) != fingerprint(second)
    assert (fingerprint(first)["rows"], fingerprint(first)["columns"]) == (2, ["prompt"])
