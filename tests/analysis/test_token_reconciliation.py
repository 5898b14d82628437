from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest

from basetenkit.analysis.token_reconciliation import (
    CAUSES,
    causes_table,
    paid_table,
    token_causes,
    token_table,
    unexplained,
)
from basetenkit.core.notes import note
from basetenkit.reporting.tables import tokens
from basetenkit.results.row_notes import saved

from ..making import number
from .frames import Frames, failures, nothing, rows


def causes(frame: pl.DataFrame) -> dict[tuple[str, str], tuple[int, int | None, int | None]]:
    found = token_causes(frame).select("step", "cause", "requests", "tokens", "apart").iter_rows()
    return {(step.split(":")[0], cause): rest for step, cause, *numbers in found for rest in [tuple(numbers)]}


def test_accounts_that_agree_have_no_cause_and_no_rest() -> None:
    assert token_causes(rows(10)).height == 0
    assert unexplained(rows(10)) == 0.0
    assert "(nothing)" in repr(causes_table(Frames(rows(10))))


def test_what_every_request_has_in_common_is_the_template_and_what_varies_is_the_rest() -> None:
    frame = rows(10, input_tokens_server=[113] * 8 + [115, 110])
    assert causes(frame) == {("input", "template"): (10, 130, 130), ("input", "input_rest"): (2, -1, 5)}
    assert unexplained(frame) == pytest.approx(5 / (frame["input_tokens_server"].sum() + 200))


@pytest.mark.parametrize(
    "reported",
    [[100 + i for i in range(10)], [90] * 10],
    ids=["each differs", "fewer than were sent"],
)
def test_no_template_is_seen_where_none_can_be(reported: list[int]) -> None:
    assert set(causes(rows(10, input_tokens_server=reported))) == {("input", "input_rest")}


def test_of_few_requests_nobody_can_tell_that_they_share_a_template() -> None:
    assert causes(rows(4, input_tokens_server=113)) == {("input", "input_rest"): (4, 52, 52)}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"output_tokens_server": 12, "output_tokens_client": 12, "finish_reason": "stop"}, ("stopped", -80)),
        (
            {"output_tokens_server": 12, "output_tokens_client": 12, "finish_reason": "content_filter"},
            ("filtered", -80),
        ),
        ({"output_tokens_server": 12, "output_tokens_client": 12, "finish_reason": "length"}, ("length_rest", -80)),
        ({"output_tokens_server": 25, "output_tokens_client": 25, "finish_reason": "stop"}, ("length_rest", 50)),
        ({"output_tokens_client": 19, "finish_reason": "stop"}, ("special", -10)),
        ({"output_tokens_client": 19}, ("output_rest", -10)),
        ({"output_tokens_client": 18, "finish_reason": "stop"}, ("output_rest", -20)),
        ({"output_tokens_client": 18, "finish_reason": "stop", "noted": ("special_tokens", 2)}, ("special", -20)),
        ({"output_tokens_client": 17, "finish_reason": "stop", "noted": ("special_tokens", 2)}, ("output_rest", -30)),
        ({"output_tokens_client": 18, "finish_reason": "length"}, ("output_rest", -20)),
        ({"output_tokens_client": 23, "finish_reason": "stop"}, ("output_rest", 30)),
        (
            {"output_tokens_client": 8, "reasoning_tokens": 12, "noted": ("tokens_hidden_reasoning", 12)},
            ("reasoning", -120),
        ),
        ({"output_tokens_client": 8, "reasoning_tokens": 12}, ("output_rest", -120)),
    ],
)
def test_each_cause_of_the_output_is_borne_out_by_something_else(
    columns: dict[str, Any], expected: tuple[str, int]
) -> None:
    columns = dict(columns)
    code, n = columns.pop("noted", (None, 0))
    frame = rows(10, notes=[[saved(note(code, n=n))]] * 10 if code else None, **columns)
    cause, tokens = expected
    assert causes(frame) == {("output", cause): (10, tokens, abs(tokens))}
    assert (unexplained(frame) == 0) is CAUSES[cause][1]


def test_two_tokens_too_many_in_every_answer_are_unexplained() -> None:
    frame = rows(10, output_tokens_server=12, output_tokens_client=10, output_tokens_target=12, finish_reason="stop")
    assert unexplained(frame) == pytest.approx(20 / (1000 + 120))


def talks(per_message: list[int], turns: int = 8, **columns: Any) -> pl.DataFrame:
    """A conversation per entry, of `turns` turns: its template adds 3 tokens, and so many per message of the history."""
    gaps = [3 + each * (2 * turn - 1) for each in per_message for turn in range(1, turns + 1)]
    n = len(gaps)
    named = {"turn": list(range(1, turns + 1)) * len(per_message)}
    return rows(n, input_tokens_server=[100 + gap for gap in gaps], **(named | columns))


def test_a_template_that_costs_per_message_explains_a_growing_history() -> None:
    frame = talks([4] * 5)
    tokens = int((frame["input_tokens_server"] - 100).sum())
    assert tokens == 5 * (8 * 3 + 4 * 64)
    assert causes(frame) == {("input", "template"): (40, tokens, tokens)}
    assert unexplained(frame) == 0.0


def test_the_number_of_messages_counts_where_it_is_recorded() -> None:
    messages = [2 * turn - 1 + system for system in (0, 1, 1, 0) for turn in range(1, 6)]
    turn = [*range(1, 6)] * 4
    frame = rows(20, input_tokens_server=[103 + 4 * m for m in messages], turn=turn, message_count=messages)
    tokens = sum(3 + 4 * m for m in messages)
    assert causes(frame) == {("input", "template"): (20, tokens, tokens)}


def test_one_request_off_the_line_is_the_rest() -> None:
    frame = talks([4] * 5)
    off = frame.with_columns(
        input_tokens_server=pl.col("input_tokens_server")
        + pl.when(pl.col("request_id") == "r000013").then(50).otherwise(0)
    )
    assert causes(off)[("input", "input_rest")] == (1, 50, 50)


def test_a_history_that_grows_by_another_number_in_each_conversation_fits_no_line() -> None:
    assert set(causes(talks([1, 7, 15, 31, 64], turns=4))) == {("input", "input_rest")}


def test_a_tokenizer_that_is_off_by_one_leaves_the_template_explained_and_the_rest_small() -> None:
    off = [-1, 0, 1] * 10
    frame = rows(30, input_tokens_server=[120 + x for x in off])
    assert causes(frame) == {("input", "template"): (30, 600, 600), ("input", "input_rest"): (20, 0, 20)}
    assert unexplained(frame) == pytest.approx(20 / (3600 + 600))


def test_a_gap_as_wide_as_the_template_would_be_is_no_template() -> None:
    frame = rows(30, input_tokens_server=[102 + i % 5 for i in range(30)])
    assert set(causes(frame)) == {("input", "input_rest")}


def test_only_measured_successes_have_causes() -> None:
    frame = rows(12, input_tokens_server=113, phase=["warmup", "ramp", "cooldown"] * 2 + ["measured"] * 6)
    assert causes(frame) == {("input", "template"): (6, 78, 78)}


def test_too_many_of_one_request_do_not_make_up_for_too_few_of_another() -> None:
    frame = rows(10, output_tokens_client=[15, 25] * 5)
    assert causes(frame) == {("output", "output_rest"): (10, 0, 50)}
    assert unexplained(frame) == pytest.approx(50 / 1200)


def test_images_are_the_servers_own_count() -> None:
    found = causes(rows(10, input_tokens_server=700, image_count=1))
    assert found == {("input", "images"): (10, 6000, 6000)}


@pytest.mark.parametrize("frame", [nothing(), failures(10), rows(10, output_tokens_server=[None] + [20] * 9)])
def test_what_was_not_reported_leaves_the_rest_unknown(frame: pl.DataFrame) -> None:
    assert unexplained(frame) is None


def test_the_causes_of_a_step_add_up_to_its_gap_and_the_table_says_which_are_known() -> None:
    frame = rows(
        20, input_tokens_server=[113] * 19 + [90], output_tokens_server=[None, *range(1, 20)], finish_reason="stop"
    )
    found = token_causes(frame)
    for step, before, after in (
        ("input: counted → reported", "input_tokens_client", "input_tokens_server"),
        ("output: asked → reported", "output_tokens_target", "output_tokens_server"),
        ("output: reported → counted", "output_tokens_server", "output_tokens_client"),
    ):
        both = frame.drop_nulls([before, after])
        assert found.filter(pl.col("step") == step)["tokens"].sum() == number(both[after].sum()) - number(
            both[before].sum()
        )
    text = repr(causes_table(Frames(frame)))
    assert "the chat template" in text
    assert "NO" in text
    assert "the server reported nothing" in text


def test_embeddings_have_no_output_to_account_for() -> None:
    unknown = dict.fromkeys(("output_tokens", "output_tokens_server", "output_tokens_client", "output_tokens_target"))
    frame = rows(10, wire_format="embedding", input_tokens_server=102, **unknown)
    assert causes(frame) == {("input", "template"): (10, 20, 20)}
    assert unexplained(frame) == 0.0


def test_what_failures_cost_is_told_by_outcome_and_null_where_nothing_was_counted() -> None:
    broken = failures(2, "incomplete", output_tokens=[5, 15], level=1.0)
    refused = failures(3, "http_error")
    text = repr(paid_table(Frames(pl.concat([rows(4), broken, refused]))))
    lines = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    assert ["D(100,20)", "concurrency 1", "incomplete", "2", "2", "200", "20", "20.00%"] in lines
    assert ["D(100,20)", "concurrency 1", "http_error", "3", "3", "300", "–", "–"] in lines
    assert "(nothing)" in repr(paid_table(Frames(rows(4))))


def test_requests_that_never_left_sent_no_tokens_and_other_phases_are_named() -> None:
    never = failures(10, "connection_error", sent_s=None, end_s=1.0)
    half = failures(4, "connection_error", sent_s=[0.0, None, 0.5, None], end_s=1.0, level=2.0)
    cut = failures(3, "cancelled", phase="cooldown", level=4.0)
    lines = [
        re.split(r"  +", line.strip()) for line in repr(paid_table(Frames(pl.concat([never, half, cut])))).splitlines()
    ]
    assert ["D(100,20)", "concurrency 1", "connection_error", "10", "0", "–", "–", "–"] in lines
    assert ["D(100,20)", "concurrency 2", "connection_error", "4", "2", "200", "–", "–"] in lines
    assert ["D(100,20)", "concurrency 4", "cancelled (cooldown)", "3", "3", "300", "–", "–"] in lines


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


def test_only_measured_successes_are_in_the_accounts() -> None:
    frame = rows(
        6, phase=["warmup", "ramp", "measured", "measured", "cooldown", "measured"], outcome=["ok"] * 5 + ["empty"]
    )
    assert token_table(frame)["requests"].to_list() == [2, 2]
