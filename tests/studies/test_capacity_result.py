from __future__ import annotations

from dataclasses import replace

import numpy as np

import basetenkit as bk
from basetenkit.core.types import JsonObject
from basetenkit.stats import capacity_search as cs
from basetenkit.stats.capacity import Evidence, Posterior
from basetenkit.studies.capacity_blocks import BlockRecord
from basetenkit.studies.capacity_result import made
from tests.analysis.frames import Frames, manifest_of, rows

CONFIG = bk.RunConfig(endpoint="http://127.0.0.1:9/v1/chat/completions", slo={"ttft_s": 0.5})
SETTINGS: JsonObject = {"goodput": 0.95, "load": "request_rate"}
GRID = np.geomspace(1.0, 10.0, 120)


def block(load: float, good: float, unknown: int = 0, **reasons: int) -> BlockRecord:
    return BlockRecord(load, "search", 30.0, 400, 300, good, unknown, 20.0, False, 1.0, load, 1000, None, reasons)


def narrow(at: float) -> Posterior:
    mass = np.exp(-0.5 * ((np.log(GRID) - np.log(at)) / 0.03) ** 2)
    return Posterior(GRID, mass / mass.sum(), 0.02)


def answer(outcome: cs.SearchOutcome = cs.SearchOutcome.FOUND, **more: object) -> cs.Answer:
    fields: JsonObject = {"resolved": True, "design": 20.0, "certificate": "kept", "rough": False} | more
    return cs.Answer(outcome, narrow(4.0), **fields)


def test_the_sentence_names_the_load_to_plan_with() -> None:
    found = made(answer(), CONFIG, SETTINGS, [block(4.0, 290.0)], [], 1.21)
    assert found.low is not None
    assert found.value is not None
    assert 3.6 < found.low < 4.0 < found.value * 1.05
    assert f"Plan with {found.low:.3g} requests/s" in found.sentence
    assert "kept" in found.sentence
    assert "rough guess" not in found.sentence


def test_an_unresolved_search_says_what_more_time_would_bring() -> None:
    found = made(answer(resolved=False), CONFIG, SETTINGS, [block(4.0, 290.0)] * 4, [], 1.05)
    assert "rough guess" in found.sentence
    assert found.more_requests is not None
    assert found.more_requests > 0
    assert any("more requests" in text for text in found.caveats)


def test_no_number_is_given_if_goodput_did_not_fall_with_load() -> None:
    apart = [(Evidence(2.0, 300, 100.0), Evidence(4.0, 300, 299.0))]
    found = made(answer(cs.SearchOutcome.NOT_MONOTONE, apart=apart), CONFIG, SETTINGS, [block(4.0, 299.0)], [], 1.21)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert "did not fall with load" in found.sentence
    assert any("99.7% were good at 4, and 33.3% at 2" in text for text in found.caveats)


def test_a_change_of_the_server_is_said() -> None:
    found = made(answer(drifted=True), CONFIG, SETTINGS, [block(4.0, 290.0)], [], 1.21)
    assert any(text.startswith("The server changed") for text in found.caveats)


def test_many_requests_that_nobody_could_judge_give_both_answers_and_no_certificate() -> None:
    found = made(answer(), CONFIG, SETTINGS, [block(4.0, 290.0, unknown=30)] * 3, [], 1.21)
    assert found.certificate == "not shown"
    assert any("If all of these were bad" in text for text in found.caveats)
    few = made(answer(), CONFIG, SETTINGS, [block(4.0, 290.0, unknown=2)] * 3, [], 1.21)
    assert few.certificate == "kept"


def test_reasons_near_the_low_end_are_named() -> None:
    records = [block(3.9, 290.0, refused=7), block(8.0, 10.0, cut=99)]
    found = made(answer(), CONFIG, SETTINGS, records, [], 1.21)
    assert "Bad requests near the low end: refused 7." in found.caveats


def test_whole_requests_in_flight_are_rounded_to_the_safe_side() -> None:
    found = made(answer(), CONFIG, SETTINGS | {"load": "concurrency"}, [block(4.0, 290.0)], [], 1.21)
    assert (found.low, found.value, found.high) == (3.0, 4.0, 5.0)


def test_the_cost_at_the_low_end_has_an_interval_and_a_source() -> None:
    price = bk.Price(usd_per_minute=0.6, source="a contract", as_of="2026-11-28")
    frame = rows(100)
    run = bk.Run.of_frames(manifest_of(frame, price=price), frame)
    last = replace(block(4.0, 290.0), kind="certificate")
    found = made(answer(), CONFIG.with_(price=price), SETTINGS, [block(4.0, 290.0), last], [run], 1.21)
    cost, low, high = (getattr(found, f"usd_per_million_output_tokens{end}") for end in ("", "_low", "_high"))
    row = run.summary_wide.row(0, named=True)
    assert cost == row["usd_per_million_output_tokens"]
    assert (low, high) == (row["usd_per_million_output_tokens_low"], row["usd_per_million_output_tokens_high"])
    assert found.caveats[-1].endswith("price from a contract, 2026-11-28.")
    assert made(answer(), CONFIG, SETTINGS, [last], [Frames(frame)], 1.21).usd_per_million_output_tokens is None
