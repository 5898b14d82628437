"""Every fault at 50 in flight, and all of them mixed: each request has one row, its right outcome and words; none is lost."""

from __future__ import annotations

import re
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk

from .server import BY_NAME, FAULTS, SLOW, Fault, Handshakes, Met, faulty, restarting

IN_FLIGHT, TIMEOUT_S, LONG_S = 50, 0.8, 30.0
HUGE = BY_NAME["a line of a gigabyte"]
TLS = {
    "no TLS": "the TLS handshake with .* failed",
    "closed in the handshake": "within the TLS handshake|reset",
    "wrong name": "certificate of .* was not accepted",
    "unknown authority": "certificate of .* was not accepted",
}


def run_against(url: str, requests: int = 2 * IN_FLIGHT, timeout_s: float = TIMEOUT_S, **kw: Any) -> bk.Run:
    endpoint = bk.Endpoint(url=url, model="m", timeout_s=timeout_s, **kw)
    config = bk.RunConfig(
        steady=False,
        preflight=False,
        endpoint=endpoint,
        scenarios="D(10,5)",
        concurrency=IN_FLIGHT,
        max_requests=requests,
        abort_after_failures=None,
    )
    run = bk.run_sync(config)
    nothing_lost(run, requests)
    return run


def nothing_lost(run: bk.Run, requests: int) -> None:
    rows = run.requests
    assert rows.height == requests == sum(x["sent"] for x in run.metadata["levels"])
    assert rows["request_id"].is_unique().all()
    assert rows["end_s"].null_count() == 0
    failed = rows.filter(pl.col("outcome") != "ok")
    assert (failed["error_message"].str.len_chars() > 6).all()
    assert run.complete
    fates = run.fates.row(0, named=True)
    assert (fates["planned"], fates["sent"], fates["never_sent"]) == (requests, requests, 0)


def rows_are_right(run: bk.Run, met: Met) -> None:
    """Each row of a request that the server recorded names the fault; only requests with a whole answer are ok."""
    for row in run.requests.iter_rows(named=True):
        fault = BY_NAME.get(met.fault[row["request_id"]])
        if fault is None:
            assert row["outcome"] == "ok", row
            continue
        assert row["outcome"] == fault.outcome, (fault.name, row["outcome"], row["error_message"])
        assert re.search(fault.words, row["error_message"]), (fault.name, row["error_message"])


@pytest.mark.parametrize("fault", [f for f in FAULTS if f is not HUGE], ids=lambda f: f.name)
def test_each_fault_is_a_row_that_says_so(fault: Fault) -> None:
    with faulty(lambda _: fault) as (p, met):
        run = run_against(p.url, timeout_s=TIMEOUT_S if fault.outcome == "timeout" else LONG_S)
    rows_are_right(run, met)
    assert run.findings[0].code == "all_failed"
    if fault.name.startswith("429"):
        assert (run.requests["status"] == 429).all()


@pytest.mark.thorough
def test_a_gigabyte_in_one_line_is_cut_at_its_limit() -> None:
    """Two such lines among 50 in flight; the others are answered meanwhile."""
    with faulty(lambda n: HUGE if n % 50 == 0 else None) as (p, met):
        run = run_against(p.url, timeout_s=60)
    rows_are_right(run, met)
    assert (run.requests["outcome"] == "malformed").sum() == 2


def test_all_faults_mixed_with_whole_answers() -> None:
    kinds: list[Fault | None] = [None, *(f for f in FAULTS if f is not HUGE)]
    with faulty(lambda n: kinds[n % len(kinds)]) as (p, met):
        run = run_against(p.url, requests=4 * len(kinds), timeout_s=3)
    rows_are_right(run, met)
    assert Counter(met.fault.values()) == dict.fromkeys([f.name if f else "" for f in kinds], 4)
    assert {f.code for f in run.findings} >= {"some_failed"}


def test_a_refused_port_is_a_row() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    run = run_against(f"http://127.0.0.1:{port}/v1/chat/completions")
    assert (run.requests["outcome"] == "connection_error").all()
    assert run.requests["error_message"].str.contains("refused").all()
    assert run.requests["sent_s"].null_count() == 100


def test_a_name_that_no_server_has_is_a_row() -> None:
    run = run_against("http://no-such-host.invalid/v1/chat/completions", timeout_s=20)
    assert (run.requests["outcome"] == "connection_error").all()
    assert run.requests["error_message"].str.contains("host name 'no-such-host.invalid' cannot be resolved").all()


@pytest.mark.parametrize("kind", TLS)
def test_a_handshake_that_fails_is_a_row(kind: str, tmp_path: Path) -> None:
    context = Handshakes([kind])
    context.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with faulty(lambda _: None, context) as (p, met):
        run = run_against(p.url.replace("http", "https"), timeout_s=20, verify=str(tmp_path / "ca.pem"))
    assert met.fault == {}
    assert (run.requests["outcome"] == "connection_error").all()
    messages = set(run.requests["error_message"])
    assert all(re.search(TLS[kind], m) for m in messages), messages


def test_handshakes_that_fail_among_those_that_hold(tmp_path: Path) -> None:
    context = Handshakes(["good", *TLS])
    context.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with faulty(lambda _: None, context) as (p, met):
        run = run_against(p.url.replace("http", "https"), timeout_s=20, verify=str(tmp_path / "ca.pem"))
    ok = run.requests.filter(pl.col("outcome") == "ok")
    assert set(ok["request_id"]) == met.whole
    assert set(run.requests["outcome"]) == {"ok", "connection_error"}


def test_a_server_that_restarts_under_load_loses_no_row() -> None:
    with restarting() as (port, met):
        run = run_against(f"http://127.0.0.1:{port}/v1/chat/completions", requests=1500, timeout_s=5)
    counts = dict(run.requests["outcome"].value_counts().iter_rows())
    assert counts.keys() <= {"ok", "connection_error", "incomplete"}
    assert counts["ok"] > 0
    assert counts["connection_error"] > 0
    ok = set(run.requests.filter(pl.col("outcome") == "ok")["request_id"])
    assert ok <= met.whole
    assert met.fault.keys() <= set(run.requests["request_id"])


def test_everything_at_once_loses_no_row(tmp_path: Path) -> None:
    """Every fault of an answer and of a handshake, from a server that restarts meanwhile, beside a run to a name that no
    server has: each row names the fault of its request, or that the server went away meanwhile."""
    kinds: list[Fault] = [SLOW, *(f for f in FAULTS if f is not HUGE)]
    context = Handshakes(["good"] * 12 + list(TLS))
    context.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    nowhere = bk.Endpoint(url="https://no-such-host.invalid/v1/chat/completions", model="m")
    beside = bk.start(
        bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=nowhere,
            scenarios="D(10,5)",
            concurrency=IN_FLIGHT,
            max_requests=200,
            abort_after_failures=None,
        )
    )
    with restarting(lambda n: kinds[n % len(kinds)], context, up_s=2.5, down_s=0.05) as (port, met):
        url = f"https://127.0.0.1:{port}/v1/chat/completions"
        run = run_against(url, requests=1200, timeout_s=1.5, verify=str(tmp_path / "ca.pem"))
    nothing_lost(beside.result(60), 200)
    seen: Counter[str] = Counter()
    for row in run.requests.iter_rows(named=True):
        seen[what_it_shows(row, met)] += 1
    assert seen.keys() >= {f.name for f in kinds} | set(TLS.values()) | {"refused"}, seen


def what_it_shows(row: dict[str, Any], met: Met) -> str:
    """The fault that the row names (for a handshake, its words), which must be the one that its request met."""
    words = row["error_message"] or ""
    if (
        row["request_id"] not in met.fault
    ):  # its connection failed, or ended with the server before the request was read
        assert row["outcome"] == "connection_error", row
        return next((w for w in ("refused", *TLS.values()) if re.search(w, words)), "ended")
    fault = {**BY_NAME, SLOW.name: SLOW}[met.fault[row["request_id"]]]
    if row["outcome"] == fault.outcome and re.search(fault.words, words):
        assert row["outcome"] != "ok" or row["request_id"] in met.whole
        return fault.name
    assert row["outcome"] in ("connection_error", "incomplete"), (fault, row)
    return "ended"


def test_two_runs_at_once_in_one_process_do_not_mix_their_bytes() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        many = [
            bk.RunConfig(
                steady=False,
                preflight=False,
                endpoint=bk.Endpoint(url=server.url),
                scenarios="D(10,50)",
                concurrency=10,
                max_requests=100,
                salt=salt,
            )
            for salt in ("a", "b", "c")
        ]
        runs = [live.result(60) for live in [bk.start(config) for config in many]]
    for run in runs:
        assert (run.requests["outcome"] == "ok").all()
        assert (run.requests["output_chunks"] == 50).all()
