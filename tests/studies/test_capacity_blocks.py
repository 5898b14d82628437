from __future__ import annotations

import asyncio

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.rates import judged
from basetenkit.stats import capacity_search as cs
from basetenkit.studies.capacity_blocks import (
    AFTER_OVERLOAD,
    BlockRecord,
    InFlight,
    by_conversation,
    pace,
    perform,
    record,
    session_lengths,
    until_idle,
)
from tests.making import number


def rows(**columns: object) -> pl.DataFrame:
    blank = {
        "load": "concurrency",
        "outcome": "ok",
        "ttft_s": 0.1,
        "e2e_s": 0.5,
        "tpot_s": 0.01,
        "end_s": 0.5,
        "sent_s": 0.0,
    }
    n = max(len(value) for value in columns.values() if isinstance(value, list))
    more = {"output_tokens": 5, "output_tokens_client": 5, "ttft_error_s": 0.0, "scheduled_s": 0.0, "start_s": 0.0}
    full = {name: [value] * n for name, value in (blank | more).items()} | columns
    return pl.DataFrame(full, strict=False)


def test_a_request_is_good_bad_or_unknown() -> None:
    """In order: good; late; failed; cut before its limit, so unknown; cut after it; a success without a first token."""
    frame = rows(
        outcome=["ok", "ok", "http_error", "cancelled", "cancelled", "ok"],
        ttft_s=[0.1, 0.9, None, None, None, None],
        e2e_s=[0.5, 0.9, None, None, None, 0.5],
        end_s=[0.5, 0.9, 0.1, 0.2, 0.8, 0.5],
    )
    assert judged(frame, {"ttft_s": 0.5}).to_list() == [1.0, 0.0, 0.0, None, 0.0, None]
    assert judged(frame, {"ttft_s": 0.5, "e2e_s": 0.3}).to_list() == [0.0, 0.0, 0.0, None, 0.0, 0.0]


def test_growth_is_seen_from_looks_at_the_counts() -> None:
    calm, behind = InFlight(), InFlight()
    assert [calm.look(sent, 5) for sent in range(0, 400, 10)] == [None] * 40
    assert any(behind.look(sent, max(sent - 30, 0)) is not None for sent in range(0, 400, 10))


def test_a_hopeless_block_ends_early_and_its_requests_are_judged() -> None:
    with bk.emulator.serve(ttft_ms=50, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.RunConfig(
            endpoint=endpoint,
            scenarios="D(10,3)",
            concurrency=2,
            max_requests=600,
            steady=False,
            preflight=False,
            slo={"ttft_s": 0.001},
        )
        ask = cs.Ask(2.0, 500, 100)
        run, abandoned = asyncio.run(perform(config, ask, 0.95, None, lambda _: None))
        quick = asyncio.run(until_idle(config, 10.0, 0.01, 5))
        never = asyncio.run(until_idle(config, 1e-6, 0.01, 2))
    found = record(run, ask, abandoned, 3.0)
    assert abandoned
    assert found.sent < 600
    assert found.good == 0
    assert found.n > 0
    assert set(found.reasons) <= {"late first token", "cut"}
    assert BlockRecord.of(found.saved()) == found
    assert number(found.p95_s) >= 0.05
    assert (quick.height, never.height) == (1 + AFTER_OVERLOAD, 2 + AFTER_OVERLOAD)
    assert len(pace(quick)) == quick.height


def test_a_conversation_counts_once_by_its_share_of_good_turns() -> None:
    window = rows(conversation_id=["a", "b", "a", "b", "c"], e2e_s=[0.1, 0.1, 0.9, 0.1, 0.9])
    good = judged(window, {"e2e_s": 0.5})
    assert by_conversation(window, good).to_list() == [0.5, 1.0, 0.0]  # type: ignore[union-attr]
    assert by_conversation(rows(e2e_s=[0.1]), good[:1]) is None


def test_a_conversation_lasts_from_its_first_send_to_its_last_end() -> None:
    window = rows(conversation_id=["a", "a", "b"], start_s=[1.0, 4.0, 2.0], end_s=[2.0, 6.0, 2.5])
    assert sorted(session_lengths(window)) == [0.5, 5.0]
    assert session_lengths(rows(e2e_s=[0.1, 0.2])).to_list() == [0.1, 0.2]


def test_the_pace_of_single_requests_is_per_token_if_all_have_one() -> None:
    assert pace(rows(outcome=["ok", "ok", "timeout"], tpot_s=[0.01, 0.02, None])) == [0.01, 0.02]
    assert pace(rows(tpot_s=[0.01, None], e2e_s=[0.5, 0.7])) == [0.5, 0.7]


def test_a_block_ends_at_once_if_the_search_was_stopped() -> None:
    with bk.emulator.serve(ttft_ms=50, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.RunConfig(
            endpoint=endpoint, scenarios="D(10,3)", concurrency=1, max_requests=5000, steady=False, slo={"ttft_s": 1}
        )
        run, _ = asyncio.run(perform(config, cs.Ask(1.0, 4900, 100), 0.95, None, lambda _: None, lambda: True))
    assert not run.complete
    assert run.rows.height < 5000


def test_requests_that_nobody_could_judge_count_either_way_if_asked() -> None:
    one = BlockRecord(2.0, "search", 1.0, 110, 90, 80.0, 10, 1.5, False, 0.5, 9.0, 100, None)
    assert one.evidence.share == pytest.approx(80 / 90)
    assert one.evidence_with(True).share == pytest.approx(0.9)
    assert one.evidence_with(False).share == pytest.approx(0.8)
