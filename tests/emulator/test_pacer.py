"""The engine model in the running emulator: real requests, whose tokens leave when the model has them."""

from __future__ import annotations

import contextlib
import itertools
import threading
from typing import Any

import httpx

import basetenkit as bk
from tests.emulator.asking import CHAT, STREAM, USAGE, client, content, messages, post

ROUTE = "/v1/chat/completions"
QUICK: dict[str, Any] = {"batch_slots": 4, "decode_ms": 5.0, "decode_slope_ms": 0.0, "prefill_tokens_per_s": 10_000.0}


def test_a_stream_has_its_tokens_at_the_times_of_the_model() -> None:
    with bk.emulator.serve(**QUICK) as server:
        events = messages(post(server, ROUTE, USAGE | {"max_tokens": 12}))
        (seen,) = server.truth(writes=True)["requests"]
    assert events[-1] == "[DONE]"
    assert events[-2]["usage"]["completion_tokens"] == 12
    assert len(seen["writes"]) == 12
    first, last = seen["writes"][0][0], seen["writes"][-1][0]
    assert first - seen["received_ns"] >= seen["prompt_tokens"] * 1e5
    assert last - seen["received_ns"] >= seen["prompt_tokens"] * 1e5 + 11 * 5e6


def test_documents_and_chunks_of_several_tokens_are_whole() -> None:
    with bk.emulator.serve(**QUICK, tokens_per_chunk=5) as server:
        whole = post(server, ROUTE, CHAT | {"max_tokens": 7}).json()
        events = messages(post(server, ROUTE, STREAM | {"max_tokens": 7}))
        predict = post(server, "/predict", {"prompt": "hi", "max_tokens": 3, "stream": True}).text
    assert whole["usage"]["completion_tokens"] == 7
    assert len(content(events).split()) == 7
    assert len(predict.split()) == 3


def test_tokens_that_are_all_there_at_once_are_all_written() -> None:
    """As after a pause of the process, in which several iterations of the model have passed."""
    with bk.emulator.serve(batch_slots=4, decode_ms=0, decode_slope_ms=0, prefill_tokens_per_s=1e9) as server:
        events = messages(post(server, ROUTE, USAGE | {"max_tokens": 50}))
        told = server.truth()
    assert len(content(events).split()) == events[-2]["usage"]["completion_tokens"] == 50
    assert (events[-1], told["in_flight"], told["engine"]["in_flight"]) == ("[DONE]", 0, 0)


def test_with_one_slot_the_second_request_waits_for_the_first() -> None:
    with bk.emulator.serve(**(QUICK | {"batch_slots": 1})) as server:
        threads = [threading.Thread(target=post, args=(server, ROUTE, STREAM | {"max_tokens": 20})) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = server.truth()
    spans = sorted((r["first_write_ns"][0], r["last_write_ns"][0]) for r in told["requests"])
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert told["engine"] == {"replicas": 1, "starting": 0, "most_replicas": 1, "in_flight": 0, "preemptions": 0}


def test_hits_of_the_prefix_cache_are_reported_as_cached_tokens() -> None:
    long = {"messages": [{"role": "user", "content": "the same words again " * 30}], "max_tokens": 2}
    with bk.emulator.serve(**QUICK, prefix_cache_tokens=1000) as server:
        first, again = (post(server, ROUTE, long).json()["usage"] for _ in range(2))
        run = bk.run_sync(
            bk.RunConfig(
                endpoint=bk.Endpoint(url=server.url, model="m"),
                scenarios="D(200,2)",
                max_requests=2,
                concurrency=[1],
                preflight=False,
                steady=False,
            )
        )
        told = [request["cached_tokens"] for request in server.truth()["requests"]]
    assert first["prompt_tokens_details"] == {"cached_tokens": 0}
    cached = again["prompt_tokens_details"]["cached_tokens"]
    assert cached == again["prompt_tokens"] // 16 * 16
    assert told[:2] == [0, cached]
    assert sorted(run.requests["cached_tokens"].to_list()) == sorted(told[2:])


def test_without_a_cache_nothing_is_said_of_one() -> None:
    with bk.emulator.serve(**QUICK) as server:
        assert "prompt_tokens_details" not in post(server, ROUTE, CHAT).json()["usage"]


def test_the_limiter_refuses_with_a_time_to_come_back() -> None:
    with bk.emulator.serve(ttft_ms=1, rate_limit=0.4, rate_burst=2) as server:
        done = [post(server, ROUTE, CHAT) for _ in range(4)]
        outcomes = [request["outcome"] for request in server.truth()["requests"]]
    assert [response.status_code for response in done] == [200, 200, 429, 429]
    assert {response.headers["retry-after"] for response in done[2:]} <= {"1", "2", "3"}
    assert outcomes == ["ok", "ok", "http_429", "http_429"]


def test_a_client_that_goes_away_frees_its_slot() -> None:
    with bk.emulator.serve(**(QUICK | {"batch_slots": 1})) as server, client(server) as c:
        with c.stream("POST", ROUTE, json=STREAM | {"max_tokens": 100_000}) as response:
            next(response.iter_bytes())
        assert len(messages(post(server, ROUTE, STREAM | {"max_tokens": 3}))) > 3
        told = server.truth()
    assert [request["outcome"] for request in told["requests"]] == ["disconnected", "ok"]
    assert told["engine"]["in_flight"] == 0


def test_failures_end_a_reply_in_the_middle_and_leave_nothing_in_the_engine() -> None:
    with bk.emulator.serve(**QUICK) as server:
        for failure in ("truncate", "error_event", "empty", "http_500"):
            post(server, ROUTE, STREAM | {"max_tokens": 10}, headers={"x-emulator-fail": failure})
        with contextlib.suppress(httpx.TransportError):
            post(server, ROUTE, STREAM | {"max_tokens": 10}, headers={"x-emulator-fail": "reset"})
        told = server.truth()
        after = messages(post(server, ROUTE, USAGE))
    tokens = {request["outcome"]: request["tokens"] for request in told["requests"]}
    assert tokens["truncate"] == tokens["error_event"] == tokens["reset"] == 5
    assert told["engine"]["in_flight"] == 0
    assert after[-1] == "[DONE]"


def test_pipelined_requests_are_answered_in_turn() -> None:
    with bk.emulator.serve(**QUICK) as server, client(server) as c:
        for _ in range(5):
            assert c.post(ROUTE, json=CHAT).json()["usage"]["completion_tokens"] == 4
