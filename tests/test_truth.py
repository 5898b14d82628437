"""A run's results against the truth that the embedded endpoint recorded: counts, and times on the same machine's monotonic clock.

These are claims of accuracy, not of speed: a figure's bound widens on a busy machine, and the claims hold within it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.transport.clock import SLICE

from .making import number

SLACK_NS = 100_000


def truth_frame(server: Any) -> pl.DataFrame:
    rows = []
    for r in server.truth(reset=True, writes=True)["requests"]:
        rows.append(
            {
                "request_id": r["request_id"],
                "received_ns": r["received_ns"],
                "true_tokens": r["tokens"],
                "writes": r["writes"],
            }
        )
    return pl.DataFrame(rows)


@pytest.mark.parametrize("tls", [False, True])
def test_96_of_96_at_8_and_16_with_a_role_frame_first_and_usage_late(tls: bool) -> None:
    with bk.emulator.serve(ttft_ms=50, itl_ms=4, tail_ms=5, tls=tls) as server:
        for level in (8, 16):
            server.truth(reset=True)
            endpoint = bk.Endpoint(url=server.url, model="m", verify=server.ca_file or True)
            run = bk.run_sync(
                bk.RunConfig(
                    steady=False,
                    preflight=False,
                    endpoint=endpoint,
                    scenarios="D(100,40)",
                    concurrency=level,
                    max_requests=96,
                    capture="all",
                )
            )
            assert server.truth()["peak_in_flight"] == level
            rows = run.requests.join(truth_frame(server), on="request_id")
            assert rows.height == 96
            assert (rows["outcome"] == "ok").all()
            assert (rows["output_tokens_server"] == rows["true_tokens"]).all()
            assert (rows["output_tokens_client"] == rows["true_tokens"]).all()
            assert (rows["output_chunks"] == rows["true_tokens"]).all()
            assert (rows["clock"] == "kernel").all()
            first = rows["writes"].list.first()
            # From when the request left: a late read by the server is not an error of the client.
            sent = [run.exchange(request_id).sent_ns for request_id in rows["request_id"]]
            before, after = ((first.list.get(end) - pl.Series(sent)) / 1e9 for end in (0, 1))
            early, late = rows["ttft_s"] - before, rows["ttft_s"] - after - rows["ttft_error_s"]
            assert number(early.min()) > -0.0002, "a first token came before it was written"
            assert number(late.max()) < 0.0002, "a first token is later than its write by more than its proven error"


@contextlib.contextmanager
def busy(numbers: int) -> Iterator[None]:
    """A thread of this process that adds up so many numbers at a time, and keeps the interpreter from the engine's meanwhile:
    three million stall it for some 30 ms."""
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(numbers))

    thread = threading.Thread(target=compute)
    if numbers:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if numbers:
            thread.join()


# A client that is late by some ten tokens acknowledges as late, and the server's kernel then holds back what was written: a
# write would no longer be a departure. So tokens come the more slowly the more there is to keep up with.
@pytest.mark.parametrize(
    ("numbers", "users", "itl_ms"), [(0, 32, 3), (2_000, 32, 9), (3_000_000, 32, 9), (2_000, 4 * SLICE, 15)]
)
def test_every_token_lies_within_its_stated_bound(numbers: int, users: int, itl_ms: float) -> None:
    requests = max(96, users)
    with busy(numbers), bk.emulator.serve(ttft_ms=20, itl_ms=itl_ms, jitter=0.5, tail_ms=2) as server:
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=bk.Endpoint(url=server.url),
            scenarios="D(20,60)",
            concurrency=users,
            max_requests=requests,
            capture="all",
        )
        run = bk.run_sync(config)
        truth = truth_frame(server)
    assert (run.requests["outcome"] == "ok").all()
    sent = {request_id: run.exchange(request_id).sent_ns for request_id in run.requests["request_id"]}
    writes = truth.explode("writes").with_columns(index=pl.int_range(pl.len()).over("request_id").cast(pl.Int32))
    both = run.chunks.collect().join(writes, on=["request_id", "index"])
    assert both.height == requests * 60
    # One clock for both: the server stamps before and after each write, and an interval may miss neither by 0.1 ms.
    at = both["request_id"].replace_strict(sent) + (both["arrival_s"] * 1e9).cast(pl.Int64)
    low, high = at - (both["error_s"] * 1e9).cast(pl.Int64) - SLACK_NS, at + SLACK_NS
    outside = (both["writes"].list.get(0) > high) | (both["writes"].list.get(1) < low)
    assert outside.sum() == 0, both.filter(outside)
    if numbers > 1_000_000:  # tokens did merge
        assert (both["error_s"] > 0.003).any()


def test_a_loop_that_stalls_sends_late_by_the_schedule_and_says_so() -> None:
    with busy(3_000_000), bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=bk.Endpoint(url=server.url),
            scenarios="D(20,4)",
            request_rate=40,
            arrival="constant",
            max_requests=40,
            warmup_requests=0,
        )
        run = bk.run_sync(config)
    rows = run.requests.sort("scheduled_s")
    lag = rows["start_s"] - rows["scheduled_s"]
    assert number(lag.min()) >= 0
    assert number(lag.quantile(0.99)) > 0.01
    assert rows["scheduled_s"].diff().drop_nulls().to_list() == pytest.approx([1 / 40] * 39, abs=1e-6)
    assert "schedule_lag" in {finding.code for finding in run.findings}
