"""What a run says against what the embedded endpoint knows: counts, and times on the same machine's monotonic clock.

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
from basetenkit.engine.clock import SLICE

# Between a server's clock and its send lies a system call, and the server may be put to sleep there.
SLACK_S = 0.0002


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
                bk.RunConfig(endpoint=endpoint, scenarios="D(100,40)", concurrency=level, max_requests=96)
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
            truth = (first.list.get(1) - rows["received_ns"]) / 1e9
            off = rows["ttft_s"].median() - truth.median()  # type: ignore[operator]
            assert -0.0002 < off < 0.0002 + rows["ttft_error_s"].median(), (
                f"TTFT p50 is {off * 1e3:.3f} ms off the server's truth"
            )


@contextlib.contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """A thread of this process that computes all the time, and takes the interpreter from the engine's."""
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(2000))

    thread = threading.Thread(target=compute)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if wanted:
            thread.join()


@pytest.mark.parametrize(("computing", "users"), [(False, 32), (True, 32), (True, 4 * SLICE)])
def test_every_token_lies_within_its_stated_bound(computing: bool, users: int) -> None:
    requests = max(96, users)
    with busy(computing), bk.emulator.serve(ttft_ms=20, itl_ms=3, jitter=0.5, tail_ms=2) as server:
        run = bk.run_sync(
            bk.RunConfig(
                endpoint=bk.Endpoint(url=server.url), scenarios="D(20,60)", concurrency=users, max_requests=requests
            )
        )
        truth = truth_frame(server)
    assert (run.requests["outcome"] == "ok").all()
    writes = truth.explode("writes").with_columns(index=pl.int_range(pl.len()).over("request_id").cast(pl.Int32))
    both = run.chunks.collect().join(writes, on=["request_id", "index"])
    assert both.height == requests * 60
    arrival = both["arrival_s"]
    before = (both["writes"].list.get(0) - both["received_ns"]) / 1e9
    after = (both["writes"].list.get(1) - both["received_ns"]) / 1e9
    # The send, which the client counts from, comes just before the server's receipt, which these count from.
    rtt = 0.001
    late = (arrival - both["error_s"]) - (after + rtt)
    early = before - SLACK_S - arrival
    assert (late > 0).sum() == 0, late.max()
    assert (early > 0).sum() == 0, early.max()
