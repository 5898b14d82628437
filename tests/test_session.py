"""Whole runs against the embedded endpoint, in its own process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import StoreError
from basetenkit.results.schema import CHUNK_SCHEMA, SCHEMA

from .making import number

KEY = "planted-secret-key-0815"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=20, itl_ms=2, tail_ms=5) as server:
        yield server


def config(server: Any, **kw: Any) -> bk.RunConfig:
    endpoint = bk.Endpoint(url=server.url, model="m", api_key=KEY, **kw.pop("endpoint", {}))
    fields = {"scenarios": "D(50,20)", "concurrency": 4, "max_requests": 12}
    return bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, **(fields | kw))


@pytest.fixture(scope="module")
def run(server: Any) -> bk.Run:
    server.truth(reset=True)
    return bk.run_sync(config(server, capture="all", warmup_requests=2))


def test_a_run_has_one_row_a_request_in_the_schema(run: bk.Run, server: Any) -> None:
    rows = run.requests
    assert dict(rows.schema) == SCHEMA
    assert rows.height == 14
    assert (rows["outcome"] == "ok").all()
    assert rows["request_id"].is_unique().all()
    assert sorted(rows["phase"].to_list()) == ["measured"] * 12 + ["warmup"] * 2
    truth = server.truth()
    assert truth["peak_in_flight"] == 4
    assert {r["request_id"] for r in truth["requests"]} == set(rows["request_id"])


def test_token_counts_agree_four_ways(run: bk.Run) -> None:
    rows = run.requests
    assert (rows["output_tokens_server"] == 20).all()
    assert (rows["output_tokens_client"] == 20).all()
    assert (rows["output_chunks"] == 20).all()
    assert (rows["input_tokens_client"] == 50).all()
    assert (rows["input_tokens_server"] == 50).all()
    assert (rows["token_source"] == "server").all()


def test_times_are_in_order_and_bounded(run: bk.Run) -> None:
    rows = run.requests
    assert (rows["scheduled_s"] <= rows["start_s"]).all()
    assert (rows["start_s"] <= rows["sent_s"]).all()
    assert (rows["sent_s"] <= rows["end_s"]).all()
    assert (rows["ttft_s"] >= 0.019).all()
    assert (rows["first_byte_s"] <= rows["ttft_s"]).all()  # a role frame came first
    assert (rows["ttft_s"] < rows["e2e_s"]).all()
    assert (rows["ttft_error_s"] >= 0).all()
    assert (rows["clock"] == "kernel").all()
    assert rows["connect_s"].count() == 4
    expected = (
        rows["e2e_s"] - rows["ttft_s"]
    ) / 19  # of the tokens after the first moment, which may have brought several
    assert ((rows["tpot_s"] / expected).is_between(0.999999, 19 / 9)).all()


def test_every_output_chunk_is_kept_with_its_place_in_the_text(run: bk.Run) -> None:
    chunks = run.chunks.collect()
    assert dict(chunks.schema) == CHUNK_SCHEMA
    assert chunks.height == 14 * 20
    row = run.requests.row(0, named=True)
    own = chunks.filter(pl.col("request_id") == row["request_id"])
    assert own["index"].to_list() == list(range(20))
    assert own["arrival_s"].is_sorted()
    assert own["arrival_s"][0] == row["ttft_s"]
    assert own["arrival_s"][-1] == row["e2e_s"]
    pieces = [row["text"][a:b] for a, b in zip(own["text_start"], own["text_end"], strict=True)]
    assert "".join(pieces) == row["text"]


def test_a_kept_exchange_has_its_bytes_and_arrivals_and_parses_again_the_same(run: bk.Run) -> None:
    row = run.requests.row(3, named=True)
    x = run.exchange(row["request_id"])
    assert x.status == 200
    assert x.arrivals[-1][2] == len(x.body)
    parsed = bk.parse(
        [(at, x.body[a:b]) for (at, _, b), a in zip(x.arrivals, [0, *(e for _, _, e in x.arrivals)], strict=False)],
        headers=dict(x.headers),
    )
    assert parsed.text == row["text"]
    assert parsed.events[0].arrival_s == row["ttft_s"]
    again = run.reparse()
    assert again.height == 14
    assert again["changed"].list.len().sum() == 0
    with pytest.raises(KeyError, match="no raw bytes"):
        run.exchange("nope")


def test_summary_and_fates_add_up(run: bk.Run) -> None:
    assert run.complete
    assert run.summary.height == 1
    fates = run.fates.row(0, named=True)
    assert fates["planned"] == fates["sent"] == 14
    assert fates["ok"] == 14
    assert fates["never_sent"] == 0


def test_a_saved_run_loads_as_it_was(run: bk.Run, tmp_path: Path) -> None:
    run.save(tmp_path / "r")
    again = bk.load(tmp_path / "r")
    assert again.requests.equals(run.requests)
    assert again.chunks.collect().equals(run.chunks.collect())
    assert again.summary.equals(run.summary)
    assert again.findings == run.findings
    assert again.metadata["salt"] == run.metadata["salt"]
    with pytest.raises(StoreError, match="not empty"):
        run.save(tmp_path / "r")


def test_the_key_is_sent_and_stands_nowhere_else(server: Any, tmp_path: Path) -> None:
    server.truth(reset=True)
    url = f"{server.url}?token={KEY}"
    endpoint = bk.Endpoint(url=url, model="m", api_key=KEY, headers={"x-api-key": KEY})
    live = bk.start(
        bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=endpoint,
            scenarios="D(10,3)",
            concurrency=2,
            max_requests=4,
            capture="all",
        ),
        save_to=tmp_path / "r",
    )
    run = live.result(60)
    assert (run.requests["outcome"] == "ok").all()
    left = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert KEY.encode() not in left
    for shown in (
        repr(run),
        repr(live),
        repr(endpoint),
        str(run.metadata),
        repr(run.config),
        str(run.requests.to_dicts()),
    ):
        assert KEY not in shown


def test_prompts_differ_between_runs_unless_the_salt_is_given(server: Any) -> None:
    def bodies(**kw: Any) -> list[str]:
        server.truth(reset=True)
        bk.run_sync(config(server, max_requests=4, concurrency=1, **kw))
        return [
            json.loads(b["body"] if isinstance(b, dict) else b)["messages"][0]["content"]
            for b in server.truth()["bodies"]
        ]

    first, second = bodies(), bodies()
    assert not set(first) & set(second)
    assert bodies(salt="fixed") == bodies(salt="fixed")


def test_a_run_in_a_running_loop_leaves_the_loop_free(server: Any) -> None:
    async def main() -> tuple[bk.Run, int]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        task = asyncio.ensure_future(beat())
        run = await bk.run(config(server, max_requests=8))
        task.cancel()
        return run, beats

    run, beats = asyncio.run(main())
    assert run.requests.height == 8
    assert beats >= 3


def test_run_sync_works_inside_a_running_loop(server: Any) -> None:
    code = f"""
import asyncio, basetenkit as bk
async def main():
    endpoint = bk.Endpoint(url={server.url!r}, model="m")
    config = bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, scenarios="D(10,3)", concurrency=2, max_requests=4)
    print(bk.run_sync(config).requests.height)
asyncio.run(main())
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert out.stdout.strip() == "4", out.stderr


def test_stop_keeps_what_finished_and_loses_nothing(server: Any) -> None:
    live = bk.start(config(server, scenarios="D(50,200)", max_requests=1000, concurrency=[4, 8]))
    while not live.progress["finished"]:
        time.sleep(0.02)
    assert live.requests.height >= 1
    assert live.summary.height == 1
    live.stop()
    run = live.result(60)
    assert not run.complete
    counts = dict(run.requests["outcome"].value_counts().iter_rows())
    assert counts["cancelled"] == 4
    assert counts["ok"] >= 1
    assert run.fates["sent"].sum() == run.requests.height
    assert run.fates["never_sent"].sum() == 2000 - run.requests.height
    assert "stopped_early" in [f.code for f in run.findings]
    assert bk.last_run() is run
    assert not [
        t for t in threading.enumerate() if t.name == "basetenkit-engine" and t.is_alive() and t is live._thread
    ]


def test_cancelling_an_awaited_run_stops_the_engine(server: Any) -> None:
    server.truth(reset=True)

    async def main() -> None:
        task = asyncio.ensure_future(bk.run(config(server, scenarios="D(50,500)", max_requests=1000)))
        while (await asyncio.to_thread(server.truth))["peak_in_flight"] < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    last = bk.last_run()
    assert last is not None
    assert not last.complete
    assert last.requests.height >= 4


def test_max_seconds_ends_a_level_and_cuts_what_is_in_flight(server: Any) -> None:
    run = bk.run_sync(config(server, scenarios="D(50,400)", max_requests=1000, max_seconds=0.5, concurrency=3))
    assert not run.complete
    assert (run.requests["outcome"] == "cancelled").sum() == 3
    cut = run.requests.filter(pl.col("outcome") == "cancelled")
    assert cut["end_s"].null_count() == 0
    assert "max_seconds" in cut["error_message"][0]


def test_the_same_call_again_does_only_the_levels_that_are_missing(server: Any, tmp_path: Path) -> None:
    c = config(server, scenarios="D(50,100)", concurrency=[2, 3], max_requests=6)
    live = bk.start(c, save_to=tmp_path / "r")
    while live.progress["levels_done"] < 1 or not live.progress["sent"]:
        time.sleep(0.01)
    live.stop()
    first = live.result(60)
    assert not first.complete
    assert bk.load(tmp_path / "r").requests.height == first.requests.height
    server.truth(reset=True)
    second = bk.run_sync(c, save_to=tmp_path / "r")
    assert second.complete
    assert second.requests.height == 12
    assert len(server.truth()["requests"]) == 6
    assert second.metadata["salt"] == first.metadata["salt"]
    done = second.requests.filter(pl.col("level") == 2)
    assert done.equals(first.requests.filter(pl.col("level") == 2))
    third = bk.run_sync(c, save_to=tmp_path / "r")
    assert third.requests.equals(second.requests)
    with pytest.raises(StoreError, match="contains another run: max_requests differ"):
        bk.run_sync(config(server, scenarios="D(50,100)", concurrency=[2, 3], max_requests=7), save_to=tmp_path / "r")


def test_an_open_loop_sends_at_its_rate(server: Any) -> None:
    run = bk.run_sync(config(server, request_rate=40, concurrency=[], arrival="constant", max_requests=20))
    rows = run.requests.sort("scheduled_s")
    assert (rows["load"] == "request_rate").all()
    gaps = rows["scheduled_s"].diff().drop_nulls()
    assert number((gaps - 0.025).abs().max()) < 1e-6
    assert (rows["start_s"] >= rows["scheduled_s"]).all()
