"""Counts that add up, on rows whose answer is known by hand."""

from __future__ import annotations

import polars as pl

from basetenkit.analysis.metrics import OUTCOMES
from basetenkit.analysis.request_outcomes import fates
from basetenkit.analysis.summary import summarise

from .frames import nothing, rows


def planned(n: int) -> pl.DataFrame:
    return pl.DataFrame({"scenario": ["D(100,20)"], "load": ["concurrency"], "level": [1.0], "planned": [n]})


def test_fates_add_up() -> None:
    outcome = [o for i, o in enumerate(OUTCOMES) for _ in range(i + 1)]
    got = fates(rows(len(outcome), outcome=outcome), planned(60)).row(0, named=True)
    assert [got[o] for o in OUTCOMES] == list(range(1, len(OUTCOMES) + 1))
    assert got["sent"] == sum(got[o] for o in OUTCOMES) == 45
    assert got["planned"] == got["sent"] + got["never_sent"] == 60


def test_a_level_of_which_nothing_was_sent_has_a_fate_too() -> None:
    got = fates(nothing(), planned(7)).row(0, named=True)
    assert (got["planned"], got["sent"], got["never_sent"], got["ok"]) == (7, 0, 7, 0)


def test_sent_is_the_sum_over_outcomes_in_the_summary() -> None:
    outcome = OUTCOMES * 3
    got = summarise(rows(len(outcome), outcome=outcome)).row(0, named=True)
    assert got["sent"] == sum(got[o] for o in OUTCOMES) == 27


def test_a_sum_of_fewer_requests_than_succeeded_is_null_in_the_summary_and_its_number_stands_beside() -> None:
    frame = rows(30, output_tokens_server=[10, None] * 15, output_tokens_client=10, in_window=True)
    got = summarise(frame).row(0, named=True)
    assert (got["output_tokens_server"], got["output_tokens_server_n"]) == (None, 15)
    assert (got["output_tokens_client"], got["output_tokens_client_n"]) == (300, 30)
    assert (got["cached_tokens"], got["cached_tokens_n"]) == (None, 0)
