from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.gates import GUARDED, accounted, check_gates
from basetenkit.core.errors import ConfigError, GateError, StoreError

from .frames import failures, rows
from .saved import save


def saved(folder: Path, factor: float = 1.0, n: int = 400, **fields: Any) -> bk.Run:
    """A run of `n` requests whose latencies vary by a tenth, times `factor`."""
    noise = np.random.default_rng(1).lognormal(0, 0.1, n) * factor
    return bk.load(save(folder, rows(n, ttft_s=0.1 * noise, e2e_s=0.5 * noise), **fields))


def test_a_good_run_keeps_its_gates_and_enforces_nothing(tmp_path: Path) -> None:
    found = check_gates(saved(tmp_path / "a", slo={"ttft_s": 0.5}))
    assert [gate.verdict for gate in found.gates] == ["pass"] * 3
    found.enforce()
    assert "at least 99.0%" in repr(found)


def test_the_old_names_of_gates_still_serve(tmp_path: Path) -> None:
    run = saved(tmp_path / "a", slo={"ttft_s": 0.1})
    assert bk.judge(run).missed == bk.check_gates(run).failed != []


def test_an_slo_that_is_missed_is_one_sentence(tmp_path: Path) -> None:
    found = check_gates(saved(tmp_path / "a", slo={"ttft_s": 0.1}), goodput=0.9)
    with pytest.raises(GateError) as caught:
        found.enforce()
    said = str(caught.value)
    assert said.startswith("1 of 3 gates failed: D(100,20) at concurrency 1: ")
    assert said.endswith("of the requests were within ttft_s 0.1; at least 90.0% must be.")
    assert "\n" not in said


def test_failures_have_a_gate_of_their_own_and_nothing_passes_for_being_unknown(tmp_path: Path) -> None:
    run = bk.load(save(tmp_path / "a", failures(30), slo={"ttft_s": 0.1}))
    assert [gate.verdict for gate in check_gates(run).gates] == ["pass", "fail", "fail"]
    assert check_gates(run).failed[0] == (
        "D(100,20) at concurrency 1: 100.0% (88.4% to 100.0%) of the requests failed; at most 1.0% may."
    )
    assert check_gates(run, max_error_rate=1.0, goodput=0.0).failed == []
    cut = bk.load(save(tmp_path / "b", failures(30, "cancelled")))
    assert check_gates(cut).failed == [
        "D(100,20) at concurrency 1: 30 of 30 planned requests did not end (30 cut, 0 never sent); at most 1.0% may.",
        "D(100,20) at concurrency 1: an unknown share of the requests failed; at most 1.0% may.",
    ]
    assert not cut.complete


def test_requests_that_were_never_sent_fail_a_run(tmp_path: Path) -> None:
    run = bk.load(save(tmp_path / "a", rows(40), max_requests=200))
    assert check_gates(run).failed == [
        "D(100,20) at concurrency 1: 160 of 200 planned requests did not end (0 cut, 160 never sent); at most 1.0% may."
    ]
    assert check_gates(run, max_unfinished=0.8).failed == []
    assert [gate.gate for gate in check_gates(run, max_unfinished=None).gates] == ["failures"]


@pytest.mark.parametrize(
    ("good", "n", "verdict"),
    [
        (200, 200, "inconclusive"),
        (400, 400, "pass"),
        (990, 1000, "inconclusive"),
        (960, 1000, "fail"),
        (5, 5, "inconclusive"),
    ],
)
def test_a_share_is_judged_by_its_interval(tmp_path: Path, good: int, n: int, verdict: str) -> None:
    """At 99%: 200 of 200 are 98.2% at the least, 400 of 400 are 99.1%; 960 of 1,000 are 97.1% at the most."""
    ttft = np.where(np.arange(n) * 7919 % n < good, 0.1, 0.9)
    run = bk.load(save(tmp_path / "a", rows(n, ttft_s=ttft, in_window=True), slo={"ttft_s": 0.5}))
    (gate,) = [g for g in check_gates(run).gates if g.gate.startswith("within")]
    assert gate.verdict == verdict
    assert ("too few requests to decide" in gate.sentence) == (verdict == "inconclusive" and good != 990)


def test_a_gate_says_what_it_could_have_seen(tmp_path: Path) -> None:
    """Of 400 requests 9 must fail for an interval above 1%: with 2.8% of failures they do in four runs of five."""
    gate = next(
        g for g in check_gates(bk.load(save(tmp_path / "a", rows(400, in_window=True)))).gates if g.gate == "failures"
    )
    assert gate.could_see == "2.8% bad or more"
    save_a = tmp_path / "b"
    saved(save_a)
    found = {g.gate: g for g in check_gates(saved(tmp_path / "c", 1.0), baseline=save_a).gates}
    seen = found["time to first token p50 / baseline"].could_see
    assert seen.startswith("x1.2")
    assert seen.endswith(" or more")


def test_a_figure_that_is_not_known_fails_if_fewer_requests_succeeded_than_in_the_baseline(tmp_path: Path) -> None:
    good = bk.load(save(tmp_path / "a", rows(100)))
    hung = rows(100, outcome=["ok"] * 40 + ["timeout"] * 60, ttft_s=[0.1] * 40 + [None] * 60, end_s=200.0)
    found = {gate.gate: gate for gate in check_gates(bk.load(save(tmp_path / "b", hung)), baseline=good).gates}
    gate = found["time to first token p95 / baseline"]
    assert gate.verdict == "fail"
    assert gate.sentence.endswith(
        "cannot be compared with the baseline's; fewer requests succeeded than in the baseline."
    )


def test_failures_outside_of_the_measured_window_count_too(tmp_path: Path) -> None:
    early = rows(100, outcome=["http_error"] * 2 + ["ok"] * 98)
    assert early["in_window"][:2].to_list() == [False, False]
    assert check_gates(bk.load(save(tmp_path / "a", early))).gates[1].found.startswith("2.0% (")


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "pass"), (1.1, "pass"), (0.5, "pass"), (1.201, "inconclusive"), (1.5, "fail")]
)
def test_a_baseline_is_missed_only_where_the_whole_interval_is_beyond_the_tolerance(
    tmp_path: Path, factor: float, verdict: str
) -> None:
    save_a, run = tmp_path / "a", saved(tmp_path / "b", factor)
    saved(save_a)
    found = {gate.gate: gate for gate in check_gates(run, baseline=save_a, tolerance=0.2).gates}
    assert found["time to first token p50 / baseline"].verdict == verdict
    of_texts = [name for name in GUARDED if name != "inputs_per_s"]  # that one is of embeddings
    assert len(found) == 2 + len(of_texts)
    if verdict == "fail":
        assert "time to first token p50 is 1.500 (" in found["time to first token p50 / baseline"].sentence
        assert "times the baseline's; at most 1.2 is allowed." in found["time to first token p50 / baseline"].sentence


def test_a_throughput_is_worse_where_it_is_lower(tmp_path: Path) -> None:
    slow = bk.load(save(tmp_path / "slow", rows(400, start_s=np.arange(400) * 2.0)))
    fast = bk.load(save(tmp_path / "fast", rows(400)))
    found = {gate.gate: gate.verdict for gate in check_gates(slow, baseline=fast).gates}
    assert found["output throughput / baseline"] == "fail"
    assert {gate.gate: gate.verdict for gate in check_gates(fast, baseline=slow).gates}[
        "output throughput / baseline"
    ] == "pass"


def test_too_few_requests_prove_nothing_against_a_baseline(tmp_path: Path) -> None:
    few = saved(tmp_path / "few", 2.0, n=5)
    saved(tmp_path / "a")
    assert "fail" not in [gate.verdict for gate in check_gates(few, baseline=tmp_path / "a").gates]


def test_an_open_loop_is_judged_by_what_was_due(tmp_path: Path) -> None:
    a = bk.load(save(tmp_path / "a", rows(100, load="request_rate")))
    assert any("from when it was due" in gate.gate for gate in check_gates(a, baseline=a).gates)


def test_a_level_that_the_baseline_lacks_is_named(tmp_path: Path) -> None:
    base = bk.load(save(tmp_path / "a", rows(100)))
    both = bk.load(save(tmp_path / "b", rows(100).vstack(rows(100, level=2.0))))
    found = check_gates(both, baseline=base).gates[-1]
    assert (found.verdict, found.sentence) == (
        "inconclusive",
        "D(100,20) at concurrency 2: the baseline has no such level.",
    )


def test_tokens_without_a_known_cause_have_a_gate(tmp_path: Path) -> None:
    frame = pl.concat(
        [rows(40), rows(40, level=2.0, output_tokens_client=14), rows(40, level=3.0, output_tokens_server=None)]
    )
    found = list(accounted(bk.load(save(tmp_path / "a", frame)), 0.01))
    assert [gate.verdict for gate in found] == ["pass", "fail", "fail"]
    assert found[1].sentence == (
        "D(100,20) at concurrency 2: 5.00% of the tokens paid for is unexplained; at most 1.00% may be."
    )
    assert found[2].found == "an unknown share"


@pytest.mark.parametrize("wrong", [{"goodput": 1.5}, {"max_error_rate": -1}, {"tolerance": -0.1}])
def test_a_wrong_limit_is_one_sentence(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        check_gates(saved(tmp_path / "a", n=10), **wrong)


def test_a_baseline_of_another_load_or_none_at_all_is_an_error(tmp_path: Path) -> None:
    run = saved(tmp_path / "a", n=10)
    other = bk.load(save(tmp_path / "b", rows(10, level=7.0)))
    with pytest.raises(ConfigError, match="none of this run's levels"):
        check_gates(run, baseline=other)
    with pytest.raises(StoreError):
        check_gates(run, baseline=tmp_path / "nowhere")
