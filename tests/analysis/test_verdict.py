"""The verdict: what it says, what it must not say, and that its figures are those of the summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import basetenkit as bk
from basetenkit.analysis import figures
from basetenkit.analysis.verdict import VerdictStatus, verdict_at
from basetenkit.core.findings import finding
from basetenkit.core.reasons import Stop, StopReason
from basetenkit.core.tables import digits, interval
from basetenkit.results.run_data import FrameSource
from basetenkit.results.schema import CHUNK_SCHEMA

from .frames import Frames, failures, manifest_of, nothing, rows


def level(users: int, n: int, ttft: float, **columns: Any) -> pl.DataFrame:
    """A closed loop of `users` that are evenly out of step: each answers after its TTFT and 0.4 s."""
    start = np.arange(n) * (ttft + 0.4) / users
    x = np.random.default_rng(users).normal(ttft, ttft / 50, n)
    names = [f"{columns.get('scenario', '')}-{users}-{i}" for i in range(n)]
    made = {"level": float(users), "ttft_s": x, "e2e_s": x + 0.4, "start_s": start, "request_id": names}
    return rows(n, **(made | columns))


def run_of(*parts: pl.DataFrame, **config: Any) -> bk.Run:
    frame = pl.concat(parts)
    return bk.Run(
        FrameSource(manifest_of(frame, **config), {"requests": frame, "chunks": pl.DataFrame(schema=CHUNK_SCHEMA)}),
        None,
    )


def test_with_an_slo_the_largest_level_within_it_and_the_first_that_is_not() -> None:
    slow = level(16, 800, 0.5)
    run = run_of(level(1, 600, 0.1), level(8, 800, 0.15), slow, slo={"ttft_s": 0.3})
    text = str(run.verdict)
    wide = run.summary_wide
    assert run.verdict.status is VerdictStatus.KEPT
    assert text.startswith("Within the SLO (TTFT 0.3 s) up to 8 in flight: ")
    assert f"{digits(wide['output_tokens_per_s'][1])} tokens/s" in text
    assert f"TTFT p50 {digits(wide['ttft_s_p50'][1] * 1e3)} ms" in text
    assert "At 16 in flight, 100%" in text
    assert "miss TTFT 0.3 s" in text
    assert [x.slo for x in run.verdict.evidence] == ["pass", "pass", "fail"]
    assert run.verdict.evidence[2].misses == {"ttft_s": 1.0}
    assert [x.throughput.value for x in run.verdict.evidence] == wide["output_tokens_per_s"].to_list()


def test_what_misses_is_told_limit_by_limit_with_the_failures() -> None:
    bad = pl.concat(
        [level(8, 100, 0.15, start_s=np.arange(100.0)), failures(100, level=8.0, start_s=np.arange(100.0) + 100)]
    )
    run = run_of(bad.with_columns(in_window=True), slo={"ttft_s": 0.01, "e2e_s": 9.0})
    said = str(run.verdict)
    assert run.verdict.status is VerdictStatus.MISSED
    assert run.verdict.evidence[0].misses == {"ttft_s": 0.5, "failed": 0.5}
    assert "50% TTFT 0.01 s, 50% failed" in said
    assert "Failures at 8 in flight: 100 of 200 requests failed (100 http_error); most often: overloaded." in said


def test_an_slo_that_so_few_requests_cannot_show_is_not_claimed() -> None:
    run = run_of(level(4, 60, 0.1), slo={"ttft_s": 0.3})
    said = str(run.verdict)
    assert run.summary_wide["goodput"][0] == 1
    assert run.verdict.status is VerdictStatus.UNDECIDED
    assert "Within the SLO" not in said
    assert "does not decide whether 99% are: the 95% interval begins at" in said
    assert verdict_at(run, 0.8).status is VerdictStatus.KEPT


def test_an_slo_on_what_was_not_streamed_is_not_known() -> None:
    run = run_of(level(4, 60, 0.1, ttft_s=None, ttft_error_s=None), slo={"ttft_s": 0.3})
    assert run.verdict.status is VerdictStatus.UNDECIDED
    assert "it is not known how many requests are within TTFT 0.3 s" in str(run.verdict)


def test_without_an_slo_what_more_users_brought_and_where_it_ended() -> None:
    # 16 users get the throughput of 8: their requests wait twice as long
    run = run_of(level(1, 600, 0.1), level(4, 800, 0.1), level(8, 800, 0.1), level(16, 800, 0.6))
    said = run.verdict.sentences
    assert run.verdict.status is VerdictStatus.MEASURED
    assert said[0].startswith("From 1 in flight to 8 in flight, throughput rose from ")
    assert "TTFT p50 went from" in said[0]
    assert "which the intervals do not tell from no change" in said[0]
    assert said[1].startswith("Beyond 8 in flight no level brought 5% more throughput; at 16 in flight TTFT p50 ")


def test_without_an_slo_a_throughput_that_still_rose_has_no_end() -> None:
    run = run_of(level(1, 600, 0.1), level(4, 800, 0.1))
    assert run.verdict.sentences[1] == "Throughput still rose at 4 in flight, so the limit is at a higher load."


def test_levels_that_the_intervals_do_not_tell_apart_are_not_told_apart() -> None:
    rng = np.random.default_rng(5)
    parts = [
        level(n, 40, 0.1, start_s=np.sort(rng.uniform(0, 40, 40)), e2e_s=rng.gamma(1, 0.5, 40) + 0.5) for n in (2, 3)
    ]
    said = str(run_of(*parts).verdict)
    assert " rose " not in said
    assert "do not tell from no change" in said
    assert "The intervals do not show whether 3 in flight brings more than 2 in flight." in said


def test_one_level_is_told_by_its_figures() -> None:
    run = run_of(level(4, 400, 0.1))
    wide = run.summary_wide.row(0, named=True)
    rate, ttft = digits(wide["output_tokens_per_s"]), digits(wide["ttft_s_p50"] * 1e3)
    assert str(run.verdict) == f"At 4 in flight: {rate} tokens/s, TTFT p50 {ttft} ms; all 400 requests succeeded."


def test_where_nothing_succeeded_it_is_told_how_and_why() -> None:
    run = run_of(failures(30))
    assert run.verdict.status is VerdictStatus.FAILED
    assert str(run.verdict) == "None of the 30 requests succeeded (30 http_error); most often: overloaded."


def test_nothing_that_answers_and_nothing_that_was_sent() -> None:
    answer = finding("nothing_answers", message="Connection refused", advice="Start it.")
    assert "Connection refused" in str(Frames(nothing(), events=[answer]).verdict)
    assert Frames(nothing()).verdict.status is VerdictStatus.EMPTY
    assert str(Frames(nothing()).verdict) == "No request was sent, so nothing was measured."


def test_a_run_that_was_stopped_says_so_first() -> None:
    run = run_of(level(1, 100, 0.1), level(4, 40, 0.1))
    last = run.manifest.levels[1]
    last.done, last.ended_by = False, Stop(StopReason.STOPPED, {"why": "stop() was called"})
    assert run.verdict.sentences[0] == "Stopped early (stop() was called): 1 of 2 levels finished."
    assert len(run.verdict.sentences) <= 3


def test_embeddings_are_told_by_their_inputs_and_e2e() -> None:
    vectors: dict[str, Any] = {
        "ttft_s": None,
        "ttft_error_s": None,
        "output_tokens": None,
        "batch_size": 4,
        "scenario": "E(64,4)",
    }
    assert "inputs/s, E2E p50 500 ms" in str(run_of(level(4, 400, 0.1, **vectors)).verdict)


def test_several_scenarios_have_a_part_each() -> None:
    parts = [level(n, 600, 0.1, scenario=name) for name in ("D(1,1)", "D(2,2)") for n in (1, 4)]
    said = str(run_of(*parts).verdict)
    assert said.startswith("Highest throughput measured: D(1,1) at 4 in flight (")
    assert "; D(2,2) at 4 in flight (" in said
    kept = str(run_of(*parts, slo={"ttft_s": 0.3}).verdict)
    assert kept.startswith("Within the SLO (TTFT 0.3 s): D(1,1) up to 4 in flight (")


def test_an_open_loop_is_told_by_what_it_served() -> None:
    def at(rate: float, served: float) -> pl.DataFrame:
        n = 600
        due = np.arange(n) / rate
        wait = due * (rate / served - 1) if rate > served else np.zeros(n)
        names = [f"{rate}-{i}" for i in range(n)]
        return rows(
            n, load="request_rate", level=rate, start_s=due, e2e_s=wait + 0.5, ttft_s=wait + 0.1, request_id=names
        )

    said = str(run_of(at(5.0, 10.0), at(20.0, 10.0)).verdict)
    assert "The endpoint kept up with 5 requests/s: " in said
    assert "At 20 requests/s it served 5" in said


def test_a_servers_words_are_cut_and_escaped() -> None:
    run = run_of(failures(30, error_message="<script>\n" + "x" * 500))
    assert len(str(run.verdict)) < 250
    assert "<script" not in run.verdict._repr_mimebundle_()["text/html"]
    assert "\n" not in str(run.verdict)


def test_it_is_made_once(tmp_path: Path) -> None:
    run = run_of(level(4, 60, 0.1))
    assert run.verdict is run.verdict
    assert figures.complete(run)
    run.save(tmp_path / "run")
    assert str(bk.load(tmp_path / "run").verdict) == str(run.verdict)


def test_a_price_puts_the_costs_of_the_answer_into_the_verdict() -> None:
    price = bk.Price(usd_per_minute=0.6, source="a list", as_of="2026-11-29")
    run = run_of(level(1, 600, 0.1), level(8, 800, 0.15), slo={"ttft_s": 0.3}, price=price.model_dump())
    wide = run.summary_wide.row(1, named=True)
    value, low, high = (wide[f"usd_per_million_output_tokens{end}"] for end in ("", "_low", "_high"))
    assert f"{interval(value, low, high)} US dollars per million output tokens" in run.verdict.sentences[0]
    assert run.verdict.evidence[1].cost.value == value
    free = run_of(level(1, 600, 0.1), level(8, 800, 0.15), slo={"ttft_s": 0.3})
    assert "dollar" not in str(free.verdict)
    assert free.verdict.evidence[1].cost.value is None


def test_without_an_slo_a_price_says_what_more_load_did_to_the_costs() -> None:
    price = bk.Price(usd_per_minute=0.6, source="a list", as_of="2026-11-29")
    run = run_of(level(1, 600, 0.1), level(8, 800, 0.1), price=price.model_dump())
    costs = [digits(x) for x in run.summary_wide["usd_per_million_output_tokens"]]
    assert f"the cost per million output tokens fell from {costs[0]} to {costs[1]} US dollars" in str(run.verdict)
