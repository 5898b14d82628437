from __future__ import annotations

import asyncio

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.rates import judged
from basetenkit.stats import capacity_search as cs
from basetenkit.studies.capacity_blocks import BlockRecord, InFlight, perform, record, until_idle
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
            endpoint=endpoint, scenarios="D(10,3)", concurrency=2, max_requests=600, steady=False, slo={"ttft_s": 0.001}
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
    assert (quick, never) == (1, 2)


def test_requests_that_nobody_could_judge_count_either_way_if_asked() -> None:
    one = BlockRecord(2.0, "search", 1.0, 110, 90, 80.0, 10, 1.5, False, 0.5, 9.0, 100, None)
    assert one.evidence.share == pytest.approx(80 / 90)
    assert one.evidence_with(True).share == pytest.approx(0.9)
    assert one.evidence_with(False).share == pytest.approx(0.8)
