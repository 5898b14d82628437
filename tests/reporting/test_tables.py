"""The tables under a run: the figures of its frames, in the units people think in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

import basetenkit as bk
from basetenkit.core.findings import finding
from basetenkit.core.tables import Html
from basetenkit.reporting.tables import findings_table, latencies, overview, past, samples, service, tokens

from ..analysis.frames import Frames, chunks_of, failures, nothing, rows
from ..analysis.saved import save


def lines(table: Html) -> list[str]:
    return [" ".join(line.split()) for line in repr(table).splitlines()]


def markup(table: Html) -> str:
    return table._repr_mimebundle_()["text/html"]


def test_the_overview_has_a_row_a_level_with_intervals_in_ms() -> None:
    ttft = np.random.default_rng(0).permutation(np.linspace(0.1, 0.2, 100))
    frame = pl.concat([rows(100, ttft_s=ttft, in_window=True, level=x) for x in (1.0, 2.0)])
    table = overview(Frames(frame, chunks_of(frame[:100], [0.1])))
    shown = lines(table)
    assert len(shown) == 3
    assert "TTFT p50, ms" in shown[0]
    assert "concurrency 1 100 of 100" in shown[1]
    assert "concurrency 2 100 of 100" in shown[2]
    assert " 149 (" in shown[1]
    assert "≥ " in shown[1]
    assert shown[1].endswith("0.010")


def test_the_overview_of_failures_has_dashes_and_no_figure() -> None:
    shown = lines(overview(Frames(failures(30))))
    assert shown[1].startswith("D(100,20) concurrency 1 0 of 30 – –")
    assert shown[1].endswith("–")


def test_an_open_loop_is_told_by_its_rate() -> None:
    assert "0.5 requests/s" in lines(overview(Frames(rows(3, load="request_rate", level=0.5))))[1]


def test_tables_of_nothing_say_so() -> None:
    for table in (overview, tokens, findings_table):
        assert repr(table(Frames(nothing()))) == "(nothing)"


def test_tokens_show_the_accounts_and_their_difference() -> None:
    shown = lines(tokens(Frames(rows(10, input_tokens_server=112))))
    assert shown[1].endswith("input 10 1,000 1,120 1,000 – 120")
    assert shown[2].endswith("output 10 200 200 200 200 0")


def test_an_account_without_figures_is_a_dash() -> None:
    shown = lines(tokens(Frames(rows(10, output_tokens_server=None))))
    assert shown[2].endswith("output 10 200 – 200 200 –")


def test_what_a_server_said_does_not_run_in_a_finding() -> None:
    run = Frames(
        rows(1), events=[finding("preflight_failed", message="<script>alert(1)</script>", advice="Mend <b>it</b>.")]
    )
    assert "<script" not in markup(findings_table(run))
    assert "&lt;b&gt;it&lt;/b&gt;" in markup(findings_table(run))
    assert "preflight_failed" in repr(findings_table(run))


def test_samples_are_the_first_rows() -> None:
    got = samples(Frames(rows(9)), 4)
    assert got["request_id"].to_list() == ["r000000", "r000001", "r000002", "r000003"]
    assert got.columns[:3] == ["request_id", "level", "outcome"]
    assert samples(Frames(nothing())).height == 0


def test_the_overview_of_an_open_loop_counts_from_when_a_request_was_due() -> None:
    late = rows(30, load="request_rate", in_window=True, scheduled_s=np.arange(30) - 1.0)
    assert " 1100 " in lines(overview(Frames(late)))[1].replace(",", "")
    assert " 100 " in lines(overview(Frames(rows(30, in_window=True))))[1]


def test_the_latencies_have_a_row_a_level_and_metric_with_every_percentile() -> None:
    ttft = np.random.default_rng(0).permutation(np.linspace(0.1, 0.2, 100))
    shown = lines(latencies(Frames(rows(100, ttft_s=ttft, first_content_s=ttft, in_window=True))))
    assert shown[0].endswith("ms mean p50 p90 p95 p99 clock error p99")
    first, pace, whole = shown[1:]
    assert "concurrency 1 Time to first token 150 (" in first
    assert first.endswith(" 0.010")
    assert "Time per output token" in pace
    assert pace.endswith(" 0.001")  # 10 us over the 19 tokens that came in the time
    assert "End-to-end latency 500" in whole
    reasoning = lines(latencies(Frames(rows(100, first_content_s=0.3))))
    assert any("Time to first content 300" in line for line in reasoning)
    assert lines(latencies(Frames(failures(30)))) == ["(nothing)"]


def test_the_service_is_the_share_within_the_limits_and_says_where_none_are_set(tmp_path: Path) -> None:
    ttft = [0.05] * 90 + [0.15] * 10
    good = bk.load(save(tmp_path / "a", rows(100, ttft_s=ttft, in_window=True), slo={"ttft_s": 0.1}))
    assert "within ttft_s 0.1, %" in lines(service(good))[0]
    assert "concurrency 1 100 90." in lines(service(good))[1]
    assert "no slo was set" in lines(service(bk.load(save(tmp_path / "b", rows(10)))))[0]


def test_the_past_has_the_latest_runs_by_date(tmp_path: Path) -> None:
    for day in range(4):
        save(tmp_path / f"run-{day}", rows(40, ttft_s=0.1 * (day + 1)), at=1.7e9 - day * 86400)
    (tmp_path / "notes").mkdir()
    shown = lines(past(tmp_path, 3))
    assert [line.split()[0] for line in shown[1:]] == ["run-2", "run-1", "run-0"]
    assert "2023-11-14 22:13:20 yes D(100,20) concurrency 1 40 of 40 100" in shown[-1]
    (tmp_path / "empty").mkdir()
    assert lines(past(tmp_path / "empty")) == ["(nothing)"]
