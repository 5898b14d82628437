from __future__ import annotations

from typing import Any

from basetenkit.core.finding_list import SHOWN, Findings
from basetenkit.core.findings import finding

LEVELS = [f"D(100,100) at concurrency {n}" for n in (1, 8, 16)]
FAILED = [
    finding("some_failed", where, failed=n, sent=100, outcomes={"timeout": n}, message="late")
    for n, where in enumerate(LEVELS, 1)
]
ALIKE = [finding("window_uncut", where, need=80) for where in LEVELS]


def test_findings_are_a_list_and_a_table_of_kinds_gravest_first() -> None:
    found = Findings([*ALIKE, finding("clock_stepped", step_ms=3.0), *FAILED])
    assert len(found) == 7
    assert [group.code for group in found.groups] == ["some_failed", "window_uncut", "clock_stepped"]
    assert [group.severity for group in found.groups] == ["error", "note", "note"]
    worst, alike, whole = found.groups
    assert worst.where == "D(100,100) at concurrency 1, 8, 16"
    assert worst.text == f"{FAILED[0].text.rstrip('.')} (the first of these levels)."
    assert alike.text == ALIKE[0].text
    assert whole.row["where"] == "the whole run"


def test_levels_of_several_scenarios_are_named_whole() -> None:
    several = [
        finding("window_uncut", where, need=80) for where in ("D(1,1) at concurrency 1", "D(2,2) at concurrency 1")
    ]
    assert Findings(several).groups[0].where == "D(1,1) at concurrency 1, D(2,2) at concurrency 1"
    assert Findings(several[:1]).groups[0].where == "D(1,1) at concurrency 1"


def test_five_kinds_are_shown_and_the_others_are_named() -> None:
    codes = [
        "verify_off",
        "few_repeats",
        "window_uncut",
        "tokens_spent",
        "capture_full",
        "genai_bench_ms",
        "clock_stepped",
    ]
    fields: dict[str, Any] = {"n": 1, "least": 5, "need": 80, "limit": 9, "step_ms": 1.0}
    found = Findings([finding(code, **fields) for code in codes])
    text, markup = (found._repr_mimebundle_()[kind] for kind in ("text/plain", "text/html"))
    assert text.splitlines()[-1] == "2 more: genai_bench_ms, clock_stepped"
    assert len(text.splitlines()) == 1 + SHOWN + 1
    assert markup.count("<details>") == 1
    assert all(code in markup for code in codes)
    assert "<details>" not in Findings(found[:SHOWN])._repr_mimebundle_()["text/html"]
    assert repr(Findings()) == "(nothing)"


def test_what_a_server_said_is_text() -> None:
    evil = finding("all_failed", LEVELS[0], sent=3, message="<script>alert(1)</script>")
    assert "<script" not in Findings([evil])._repr_mimebundle_()["text/html"]
