"""Counts that add up, on rows whose answer is known by hand."""

from __future__ import annotations

import polars as pl

from basetenkit.analysis.accounts import fates, token_table
from basetenkit.analysis.metrics import OUTCOMES
from basetenkit.analysis.summary import summarise
from basetenkit.reporting.tables import tokens

from .frames import Frames, nothing, rows


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


def test_token_accounts_are_sums_over_successes_and_null_where_there_is_none() -> None:
    frame = rows(
        4, outcome=["ok", "ok", "ok", "timeout"], output_tokens_server=[20, 19, None, 20], output_tokens_client=None
    )
    by = {row["tokens"]: row for row in token_table(frame).iter_rows(named=True)}
    assert by["output"]["reported"] == 39
    assert by["output"]["reported_n"] == 2
    assert (by["output"]["counted"], by["output"]["counted_n"]) == (None, 0)
    assert (by["output"]["difference"], by["output"]["both_n"]) == (None, 0)
    assert (by["output"]["asked"], by["output"]["chunks"], by["output"]["requests"]) == (60, 60, 3)
    assert (by["input"]["asked"], by["input"]["chunks"]) == (300, None)


def test_usage_in_every_other_response_is_compared_over_those_that_have_both() -> None:
    frame = rows(30, output_tokens_server=[10, None] * 15, output_tokens_client=10)
    [row] = token_table(frame).filter(pl.col("tokens") == "output").iter_rows(named=True)
    assert (row["reported"], row["reported_n"], row["counted"], row["counted_n"]) == (150, 15, 300, 30)
    assert (row["difference"], row["both_n"]) == (0, 15)
    text = repr(tokens(Frames(frame)))
    assert "150 (of 15 requests)" in text
    assert "0 (of 15 requests)" in text


def test_a_sum_of_fewer_requests_than_succeeded_is_null_in_the_summary_and_its_number_stands_beside() -> None:
    frame = rows(30, output_tokens_server=[10, None] * 15, output_tokens_client=10, in_window=True)
    got = summarise(frame).row(0, named=True)
    assert (got["output_tokens_server"], got["output_tokens_server_n"]) == (None, 15)
    assert (got["output_tokens_client"], got["output_tokens_client_n"]) == (300, 30)
    assert (got["cached_tokens"], got["cached_tokens_n"]) == (None, 0)


def test_only_measured_successes_are_in_the_accounts() -> None:
    frame = rows(
        6, phase=["warmup", "ramp", "measured", "measured", "cooldown", "measured"], outcome=["ok"] * 5 + ["empty"]
    )
    assert token_table(frame)["requests"].to_list() == [2, 2]
