"""Which rows are in the measured window, on rows whose answer is known by hand."""

from __future__ import annotations

import polars as pl
import pytest

from basetenkit.results.window import mark_window

from ..analysis.frames import rows


@pytest.mark.parametrize(
    ("level", "n", "inside"), [(4, 40, (8, 36)), (1, 10, (2, 9)), (4, 39, (0, 39)), (8, 20, (0, 20))]
)
def test_two_waves_go_at_the_start_and_one_at_the_end_from_ten_times_the_level(
    level: int, n: int, inside: tuple[int, int]
) -> None:
    frame = mark_window(rows(n, level=float(level), in_window=None))
    first, last = inside
    assert frame["in_window"].to_list() == [first <= i < last for i in range(n)]


def test_the_window_goes_by_start_and_not_by_the_order_of_the_rows() -> None:
    frame = rows(20, level=2.0, in_window=None).sample(fraction=1.0, shuffle=True, seed=7)
    kept = mark_window(frame).filter("in_window")["start_s"]
    assert (kept.min(), kept.max(), len(kept)) == (4.0, 17.0, 14)


def test_warm_up_is_never_in_the_window_nor_counted_for_it() -> None:
    phase = ["warmup"] * 5 + ["measured"] * 35
    frame = mark_window(rows(40, level=4.0, phase=phase, in_window=None))
    assert frame["in_window"].to_list() == [False] * 5 + [True] * 35


def test_an_open_loop_is_not_cut() -> None:
    frame = mark_window(rows(100, level=2.0, load="request_rate", in_window=None))
    assert frame["in_window"].all()


def test_each_level_and_repeat_has_its_own_window() -> None:
    parts = [rows(20, level=2.0, in_window=None, repeat=k) for k in range(2)] + [rows(20, level=1.0, in_window=None)]
    marked = mark_window(pl.concat(parts))
    assert marked.group_by("level", "repeat", maintain_order=True).agg(pl.col("in_window").sum())[
        "in_window"
    ].to_list() == [14, 14, 17]
