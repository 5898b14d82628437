"""Rates by hand: which stretch of time they are of, and that tokens count when they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis.stretches import PARTS, Stretch, counted, stretches, tokens_as_they_came, too_short
from basetenkit.analysis.summary import summarise
from basetenkit.results.manifest import LevelEntry
from basetenkit.results.schema import CHUNK_SCHEMA

from .frames import rows

KEY = ("D(100,20)", "concurrency", 1.0)


def entry(**times: float | None) -> LevelEntry:
    return LevelEntry.model_validate({"scenario": KEY[0], "load": KEY[1], "level": KEY[2], "repeat": 0} | times)


def chunks(*of: tuple[str, float, int | None, int | None]) -> pl.DataFrame:
    """(request, arrival, tokens, characters) of each chunk."""
    frame = pl.DataFrame(of, schema=["request_id", "arrival_s", "tokens", "text_end"], orient="row", strict=False)
    frame = frame.with_columns(text_start=pl.when(pl.col("text_end").is_not_null()).then(0), index=0, error_s=1e-5)
    return frame.select(pl.col(name).cast(kind) for name, kind in CHUNK_SCHEMA.items())


def steady(n: int = 40, **columns: Any) -> pl.DataFrame:
    """One request per second: 4 of the ramp, then measured ones, then 4 of the cooldown."""
    return rows(
        n, phase=["ramp"] * 4 + ["measured"] * (n - 8) + ["cooldown"] * 4, in_window=None, **columns
    ).with_columns(in_window=pl.col("phase") == "measured")


def test_the_stretch_of_a_steady_level_is_from_its_first_measured_request_to_its_last() -> None:
    assert stretches(steady()) == [Stretch(0, 4.0, 35.0)]
    assert stretches(steady(), [entry(cut_s=None)]) == [Stretch(0, 4.0, 35.0)]


def test_a_level_that_was_cut_is_measured_until_the_cut() -> None:
    """34 answers in 34 s, the last two hang, and the level is cut at 100 s: its rate is what it completed over how long it ran."""
    frame = steady().with_columns(
        outcome=pl.when(pl.col("start_s").is_between(34, 35)).then(pl.lit("cancelled")).otherwise("outcome"),
        end_s=pl.when(pl.col("start_s").is_between(34, 35)).then(100.0).otherwise("end_s"),
    ).filter(pl.col("phase") != "cooldown")  # fmt: skip
    for entries in ([], [entry(cut_s=100.0)]):
        (got,) = summarise(frame, levels=entries).to_dicts()
        assert got["duration_s"] == 100.0
        assert got["requests_per_s"] == pytest.approx(34 / 100)


def test_a_server_that_freezes_is_slow_by_all_the_time_in_which_it_answered_nothing() -> None:
    """By hand: 8 users, answers of 1 s for 30 s, then nothing for 30 s."""
    start = np.repeat(np.arange(31.0), 8)
    frame = rows(248, level=8.0, start_s=start, e2e_s=1.0, phase=["ramp"] * 8 + ["measured"] * 240)
    hung = pl.col("start_s") == 30
    frame = frame.with_columns(
        outcome=pl.when(hung).then(pl.lit("cancelled")).otherwise("outcome"),
        end_s=pl.when(hung).then(60.0).otherwise("end_s"),
        in_window=pl.col("phase") == "measured",
    )
    (got,) = summarise(frame).to_dicts()
    assert got["requests_per_s"] == pytest.approx(4.0)
    assert got["requests_per_s_low"] < 4.0 < got["requests_per_s_high"]


def test_tokens_count_when_they_came_by_the_text_of_their_chunk() -> None:
    frame = steady(output_tokens=30)
    came = chunks(
        ("r000010", 0.5, None, 20), ("r000010", 10.0, None, 40), ("r000011", 0.5, 1, 3), ("r000011", 9.0, 2, 3)
    )
    of = {KEY: [Stretch(0, 0.0, 20.0)]}
    only = frame.filter(pl.col("request_id").is_in(["r000010", "r000011"]))
    (found,) = tokens_as_they_came(only, came.lazy(), of)[KEY]
    assert np.nonzero(found)[0].tolist() == [10, 11, 19]
    assert found[[10, 11, 19]].tolist() == pytest.approx([10, 10, 20 + 20])


def test_chunks_whose_text_is_not_known_share_a_responses_tokens_equally() -> None:
    came = chunks(("r000010", 0.5, None, None), ("r000010", 1.5, None, 40))
    (found,) = tokens_as_they_came(steady(output_tokens=30), came.lazy(), {KEY: [Stretch(0, 10.0, 12.0)]})[KEY]
    assert found[5 - 1] == 15 + 0  # at 10.5 s; the others have no chunks and count when they ended
    assert found.sum() == 30 + 30 + 0  # r000010's own and that of r000011, which ended at 11.5 s


def test_without_chunks_tokens_count_when_their_request_ended() -> None:
    frame = rows(40, output_tokens=10, in_window=True)
    (found,) = tokens_as_they_came(frame, None, {KEY: [Stretch(0, 0.0, 20.0)]})[KEY]
    assert found.tolist() == [10.0] * PARTS


def test_tokens_of_a_failed_request_do_not_count_and_those_of_a_cut_one_do() -> None:
    came = chunks(("r000010", 0.5, None, 20), ("r000011", 0.5, None, 20))
    outcome = ["ok"] * 10 + ["cancelled", "incomplete"] + ["ok"] * 28
    frame = rows(40, output_tokens=10, outcome=outcome, in_window=True).filter(pl.col("outcome") != "ok")
    (found,) = tokens_as_they_came(frame, came.lazy(), {KEY: [Stretch(0, 0.0, 20.0)]})[KEY]
    assert found.sum() == 10


def test_a_long_response_is_not_booked_in_one_moment() -> None:
    """One in flight: 100 tokens a response, one each 0.01 s, without a rest. Every second brings 100."""
    frame = steady(e2e_s=1.0, output_tokens=100)
    arrival = np.tile(np.arange(1, 101) / 100, 40)
    came = frame.select(pl.col("request_id").repeat_by(100)).explode("request_id")
    came = came.with_columns(
        arrival_s=arrival, text_start=0, text_end=4, index=np.tile(np.arange(100), 40), error_s=0.0, tokens=None
    )
    came = came.select(pl.col(n).cast(k) for n, k in CHUNK_SCHEMA.items())
    (got,) = summarise(frame, came.lazy()).to_dicts()
    assert got["output_tokens_per_s"] == pytest.approx(100)
    assert got["output_tokens_per_s_high"] - got["output_tokens_per_s_low"] < 1


def open_loop(n: int, rate: float, e2e: float, **columns: Any) -> pl.DataFrame:
    start = np.arange(n) / rate
    return rows(n, load="request_rate", level=rate, start_s=start, e2e_s=e2e, in_window=True, **columns)


def test_an_open_loop_is_measured_from_when_it_is_full_to_its_last_send() -> None:
    frame = open_loop(201, 10.0, 5.0)
    assert stretches(frame) == [Stretch(0, 5.0, 20.0)]
    (got,) = summarise(frame).to_dicts()
    assert (got["requests_per_s"], got["offered_per_s"], got["served_share"]) == pytest.approx(
        (10.0, 10.0, 1.0), rel=0.01
    )


def test_an_open_loop_that_is_shorter_than_its_responses_has_no_rate() -> None:
    frame = open_loop(201, 10.0, 12.0)
    assert stretches(frame) == []
    assert too_short(frame) == Stretch(0, 12.0, 20.0)
    (got,) = summarise(frame).to_dicts()
    assert got["requests_per_s"] is None
    assert got["duration_s"] is None
    shorter = open_loop(201, 10.0, 30.0)
    assert stretches(shorter) == []
    assert too_short(shorter) == Stretch(0, 30.0, 20.0), "not one response had ended when the last request was sent"


def test_what_was_served_is_held_against_what_was_offered_in_the_same_time() -> None:
    """Due 10 a second, served 5: each request ends when the one before it has, 0.2 s later."""
    n = 400
    start, end = np.arange(n) / 10, 0.5 + np.arange(n) / 5
    frame = rows(n, load="request_rate", level=10.0, start_s=start, e2e_s=end - start, in_window=True)
    (got,) = summarise(frame).to_dicts()
    assert got["requests_per_s"] == pytest.approx(5, rel=0.02)
    assert got["served_share"] == pytest.approx(0.5, rel=0.02)
    assert got["served_share_high"] < 0.55


def test_what_comes_outside_a_stretch_does_not_count() -> None:
    frame = rows(40, in_window=True)
    (found,) = counted(frame, "end_s", [Stretch(0, 10.5, 12.5)], pl.lit(1))
    assert found.sum() == 2  # at 11.5 and at 12.5 s; what came at 10.5 s was before it
