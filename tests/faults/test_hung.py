"""A server that freezes, hangs or drops requests: figures show it, and no gate lets it pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk

from ..making import number
from .server import BY_NAME, SLOW, Fault, faulty

SILENT, DROPPED = BY_NAME["silence, no answer"], BY_NAME["reset before the headers"]
LOADS: list[dict[str, Any]] = [{"concurrency": 8}, {"concurrency": [], "request_rate": [100]}]


def measured(choose: Callable[[int], Fault | None], timeout_s: float = 60.0, **fields: Any) -> bk.Run:
    with faulty(choose) as (server, _):
        endpoint = bk.Endpoint(url=server.url, model="m", timeout_s=timeout_s)
        load = {"scenarios": "D(10,2)", "slo": {"ttft_s": 0.5}, "max_requests": 2000, "max_seconds": 4} | fields
        return bk.run_sync(bk.RunConfig(endpoint=endpoint, abort_after_failures=None, **load))


def elapsed_s(run: bk.Run) -> float:
    return number(run.requests["end_s"].max()) - number(run.requests["start_s"].min())


def over_the_level(run: bk.Run, rate: float, limit_s: float) -> bool:
    """Whether `rate` is that of all its successes over the whole level, which ends at its limit or as soon after as it can."""
    ok, took = int((run.requests["outcome"] == "ok").sum()), elapsed_s(run)
    return bool(ok / max(took, limit_s) * 0.98 <= rate <= ok / limit_s * 1.02)


def row(run: bk.Run) -> dict[str, Any]:
    return run.summary_wide.row(0, named=True)


@pytest.mark.parametrize("load", LOADS, ids=["closed", "open"])
@pytest.mark.parametrize("steady", [True, False])
def test_a_server_that_freezes_is_as_fast_as_what_it_completed(load: dict[str, Any], steady: bool) -> None:
    """150 answers, then nothing until the level is ended at 4 s."""
    run = measured(lambda n: SLOW if n < 150 else SILENT, steady=steady, **load)
    found, ok = row(run), (run.requests["outcome"] == "ok").sum()
    assert ok == 150
    assert over_the_level(run, found["requests_per_s"], 4)
    assert found["goodput"] < 0.99
    assert not run.complete
    fates = run.fates.row(0, named=True)
    assert fates["never_sent"] + fates["cancelled"] + fates["ok"] == 2000
    judged = bk.check_gates(run)
    assert any("planned requests did not end" in sentence for sentence in judged.failed)


def test_a_server_that_freezes_fails_against_a_good_baseline(tmp_path: Path) -> None:
    good = measured(lambda n: SLOW, max_requests=150, max_seconds=60, concurrency=8)
    assert bk.check_gates(good).failed == []
    took = elapsed_s(good)
    frozen = measured(lambda n: SLOW if n < 100 else SILENT, max_requests=150, max_seconds=3 * took, concurrency=8)
    judged = bk.check_gates(frozen, baseline=good, max_unfinished=None)
    assert any("E2E" in s or "latency" in s for s in judged.failed)
    assert any("throughput" in s for s in judged.failed)


def test_requests_that_hang_are_in_the_rate_and_in_the_gates() -> None:
    """Every third request gets no answer: four users are stuck after a few requests, and the rest is never sent."""
    run = measured(lambda n: SILENT if n % 3 == 2 else SLOW, max_requests=200, max_seconds=3, concurrency=4)
    assert over_the_level(run, row(run)["requests_per_s"], 3)
    assert row(run)["e2e_s_p99"] is None
    assert len(bk.check_gates(run).failed) >= 1


def test_timeouts_are_longer_than_the_limit_and_not_left_out() -> None:
    """A tenth hangs until the limit of 0.4 s: the p50 is known, the p95 is at least the limit, the mean is one to the limit."""
    run = measured(
        lambda n: SILENT if n % 10 == 9 else SLOW, timeout_s=0.4, max_requests=400, max_seconds=60, concurrency=8
    )
    found = row(run)
    assert found["e2e_s_p50"] < 0.3
    assert (found["e2e_s_p95"], found["e2e_s_p95_high"]) == (None, None)
    assert found["ttft_s_p99_low"] >= 0.4
    window = run.requests.filter(pl.col("in_window"))
    late = window.filter(pl.col("outcome") == "timeout")
    hung, waited, over = late.height, late["end_s"] - late["sent_s"], number(window["e2e_s"].sum())
    least, most = (over + number(waited.sum())) / window.height, (over + hung * number(waited.max())) / window.height
    assert least * 0.999 <= found["e2e_s_mean"] <= most * 1.001
    assert found["e2e_s_mean_high"] is None
    assert found["goodput"] == pytest.approx(1 - hung / window.height)
    assert any("failed" in s for s in bk.check_gates(run).failed)


def test_dropped_requests_are_failures_and_no_speed() -> None:
    """The server takes every fifth request and then breaks the connection."""
    run = measured(lambda n: DROPPED if n % 5 == 4 else SLOW, max_requests=300, max_seconds=60, concurrency=8)
    found = row(run)
    window = run.requests.filter(pl.col("phase") == "measured")
    bad = (window["outcome"] != "ok").mean()
    assert found["error_rate"] == pytest.approx(bad)
    assert any("of the requests failed" in s for s in bk.check_gates(run).failed)


def test_a_level_of_only_timeouts_has_bounds_and_no_figures() -> None:
    run = measured(lambda n: SILENT, timeout_s=0.3, max_requests=12, max_seconds=30, concurrency=4)
    found = row(run)
    assert (found["e2e_s_p50"], found["goodput"], found["requests_per_s"]) == (None, 0.0, 0.0)
    assert found["error_rate"] == 1.0
    assert bk.check_gates(run).failed
    assert run.findings
