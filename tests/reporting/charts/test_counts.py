"""Charts of counts."""

from __future__ import annotations

import polars as pl
import pytest

from basetenkit.reporting import charts

from ...analysis.frames import Frames, failures, rows
from ..test_charts import data, normal


def test_the_outcomes_are_all_that_was_sent() -> None:
    run = normal()
    bars = data(charts.outcome_bars(run), "n")
    assert bars["n"].sum() == run.requests.height
    assert bars.filter(pl.col("outcome") == "http_error")["n"].sum() == 6


def test_the_token_accounts_are_means_a_request() -> None:
    frame = data(charts.token_ledger(Frames(rows(4, output_tokens_server=[20, 20, 20, 24]))), "account")
    mean = {(row["what"], row["account"]): row["mean"] for row in frame.iter_rows(named=True)}
    assert mean["output", "reported"] == 21.0
    assert mean["input", "asked for"] == 100.0
    assert mean["output", "chunks"] == 20.0


def test_failures_are_shares_of_what_was_sent_by_status_and_else_by_outcome() -> None:
    bad = [
        failures(3, status=503),
        failures(1, status=429),
        failures(2, "timeout", status=None),
        failures(5, "cancelled"),
    ]
    shares = data(charts.error_shares(Frames(pl.concat([rows(14), *bad]).with_columns(in_window=True))), "cause")
    found = dict(shares.select("cause", "share").iter_rows())
    assert found == pytest.approx({"HTTP 503": 0.15, "HTTP 429": 0.05, "timeout": 0.1})


def test_where_nothing_failed_it_says_so() -> None:
    assert "No request failed." in charts.error_shares(Frames(rows(4))).to_json()


def test_outcomes_over_time_are_shares_of_all_that_were_measured() -> None:
    """Of ten, six end by 0.5 s, one fails at 0.1 s, three hang until the level is cut at 60 s."""
    outcome = ["ok"] * 6 + ["http_error"] + ["cancelled"] * 3
    frame = rows(10, outcome=outcome, start_s=0.0, end_s=[0.5] * 6 + [0.1] + [60.0] * 3, in_window=True)
    around = rows(5, phase="cooldown", outcome="cancelled", request_id=[f"x{i}" for i in range(5)])
    points = data(charts.outcomes_over_time(Frames(frame.vstack(around))), "share").to_dicts()
    last = {p["outcome"]: p["share"] for p in points if p["seconds"] == 60.0}
    assert last == pytest.approx({"ok": 0.6, "http_error": 0.1, "still waiting": 0.3})
    first = {p["outcome"]: p["share"] for p in points if p["seconds"] == 0.0}
    assert first == {"ok": 0.0, "http_error": 0.0, "still waiting": 1.0}
    for at in {p["seconds"] for p in points}:
        assert sum(p["share"] for p in points if p["seconds"] == at) == pytest.approx(1.0)
    assert "No measured request" in charts.outcomes_over_time(Frames(around)).to_json()
    assert data(charts.outcome_bars(Frames(frame.vstack(around))), "n")["n"].sum() == 10
