"""What the embedded endpoint says it did, held against what it was told to do and what a client saw."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import basetenkit as bk
from basetenkit.emulator.truth import ServedRequest, Truth, realtime_offset

from .asking import CHAT, STREAM, client, post

PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=30, itl_ms=10, tail_ms=20) as server:
        yield server


@pytest.fixture(autouse=True)
def forgotten(server: Any) -> None:
    server.truth(reset=True)


def until_in_flight(server: Any, n: int) -> None:
    until = time.monotonic() + 20
    while server.truth()["in_flight"] != n:
        assert time.monotonic() < until, f"there never were {n} in flight"
        time.sleep(0.005)


def test_realtime_less_its_offset_is_monotonic() -> None:
    offset = realtime_offset()
    before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
    assert before - 1_000_000 <= wall - offset <= after + 1_000_000


def test_no_token_is_written_before_it_is_due_and_each_write_is_bracketed(server: Any) -> None:
    sent = time.monotonic_ns()
    post(server, PATH, STREAM | {"max_tokens": 8})
    over = time.monotonic_ns()
    (record,) = server.truth(writes=True)["requests"]
    assert record["outcome"] == "ok"
    assert record["tokens"] == len(record["writes"]) == 8
    # The OS kernel's stamp is put on this clock by an offset, which is good to some microseconds.
    assert sent - 100_000 <= record["received_ns"] <= over
    due = [record["received_ns"] + 30_000_000 + i * 10_000_000 for i in range(8)]
    for (before, after), at in zip(record["writes"], due, strict=True):
        assert at - 100_000 <= before <= after <= over
    flat = [t for write in record["writes"] for t in write]
    assert flat == sorted(flat)
    assert record["first_write_ns"] == record["writes"][0]
    assert record["last_write_ns"] == record["writes"][-1]


def test_neither_the_role_frame_nor_the_end_counts_as_a_write_of_output(server: Any) -> None:
    post(server, PATH, STREAM | {"max_tokens": 2})
    (record,) = server.truth(writes=True)["requests"]
    assert len(record["writes"]) == 2
    assert record["first_write_ns"][0] >= record["received_ns"] + 29_900_000


def test_a_document_and_embeddings_have_one_write(server: Any) -> None:
    post(server, PATH, CHAT)
    post(server, "/v1/embeddings", {"input": "x"})
    document, vectors = server.truth(writes=True)["requests"]
    assert (document["tokens"], len(document["writes"])) == (4, 1)
    assert (vectors["tokens"], len(vectors["writes"])) == (0, 1)
    assert vectors["first_write_ns"][0] >= vectors["received_ns"] + 29_900_000


def test_writes_are_shown_only_when_asked_for_and_reset_forgets(server: Any) -> None:
    post(server, PATH, CHAT, headers={"x-baseten-customer-request-id": "r-7"})
    short = server.truth()
    assert [r["request_id"] for r in short["requests"]] == ["r-7"]
    assert "writes" not in short["requests"][0]
    whole = server.truth(writes=True, reset=True)
    assert len(whole["requests"][0]["writes"]) == 1
    assert server.truth() == {"requests": [], "in_flight": 0, "peak_in_flight": 0, "bodies": []}


def test_what_did_not_happen_is_null() -> None:
    record = ServedRequest("r", 5)
    assert record.shown(writes=True) == {
        "request_id": "r",
        "received_ns": 5,
        "first_write_ns": None,
        "last_write_ns": None,
        "tokens": 0,
        "prompt_tokens": None,
        "cached_tokens": None,
        "outcome": "ok",
        "writes": [],
    }
    record.wrote(7, 8, 1)
    record.wrote(9, 12, 2)
    shown = record.shown(writes=True)
    assert (shown["first_write_ns"], shown["last_write_ns"], shown["tokens"]) == ([7, 8], [9, 12], 3)
    assert shown["writes"] == [[7, 8], [9, 12]]


def test_a_request_may_be_named_by_either_header(server: Any) -> None:
    post(server, PATH, CHAT, headers={"x-request-id": "a"})
    post(server, PATH, CHAT, headers={"x-request-id": "a", "x-baseten-customer-request-id": "b"})
    post(server, PATH, CHAT)
    requests = server.truth()["requests"]
    assert [r["request_id"] for r in requests] == ["a", "b", None]
    assert len({r["prompt_tokens"] for r in requests}) == 1
    assert requests[0]["prompt_tokens"] > 0


def test_bodies_are_kept_as_they_came_and_keys_are_not(server: Any) -> None:
    secret = {"authorization": "Bearer abc", "cookie": "abc", "x-api-key": "abc", "x-team": "us"}
    post(server, PATH, CHAT, headers=secret)
    (kept,) = server.truth()["bodies"]
    assert '"hello there"' in kept["body"]
    assert kept["headers"]["x-team"] == "us"
    assert "abc" not in str(kept)
    assert kept["headers"]["authorization"] == "***"


def test_only_the_last_32_bodies_are_kept() -> None:
    truth = Truth()
    for i in range(40):
        truth.begin(ServedRequest(None, i), {}, b"%d" % i)
    assert [b["body"] for b in truth.bodies] == [str(i) for i in range(8, 40)]


def test_in_flight_and_its_peak_are_counted_and_a_reset_starts_the_peak_from_what_is_there(server: Any) -> None:
    long = STREAM | {"max_tokens": 3000}
    with client(server) as c:
        with c.stream("POST", PATH, json=long):
            with c.stream("POST", PATH, json=long):
                truth = server.truth(reset=True)
                assert (truth["in_flight"], truth["peak_in_flight"]) == (2, 2)
                assert server.truth()["peak_in_flight"] == 2
            until_in_flight(server, 1)
            server.truth(reset=True)
            assert server.truth()["peak_in_flight"] == 1
        until_in_flight(server, 0)


def test_a_client_that_goes_away_is_seen(server: Any) -> None:
    with client(server) as c, c.stream("POST", PATH, json=STREAM | {"max_tokens": 1000}) as response:
        next(response.iter_raw())
    until_in_flight(server, 0)
    (record,) = server.truth()["requests"]
    assert record["outcome"] == "disconnected"
    assert record["tokens"] < 1000


def test_stamped_frames_carry_the_time_of_their_write() -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=2, stamp_frames=True) as server:
        response = post(server, PATH, STREAM)
        (record,) = server.truth(writes=True)["requests"]
    stamps = [int(part.split(",")[0]) for part in response.text.split('"t": ')[1:]]
    assert len(stamps) == 1 + 4 + 1  # role, tokens, finish
    assert stamps == sorted(stamps)
    for stamp, (_before, after) in zip(stamps[1:5], record["writes"], strict=True):
        assert record["received_ns"] < stamp <= after


def test_a_place_is_waited_for_and_the_schedule_counts_from_its_getting() -> None:
    with bk.emulator.serve(ttft_ms=60, itl_ms=0, max_concurrency=1) as server:
        threads = [threading.Thread(target=post, args=(server, PATH, CHAT)) for _ in range(3)]
        for i, thread in enumerate(threads):
            thread.start()
            while len(server.truth()["requests"]) <= i:
                time.sleep(0.002)
        for thread in threads:
            thread.join()
        truth = server.truth()
    assert [r["outcome"] for r in truth["requests"]] == ["ok"] * 3
    writes = sorted(r["first_write_ns"] for r in truth["requests"])
    for (_, done), (begun, _) in itertools.pairwise(writes):
        assert begun - done >= 59_000_000  # worked on one after the other, 60 ms each
    first_come = [r["first_write_ns"] for r in sorted(truth["requests"], key=lambda r: r["received_ns"])]
    assert first_come == writes


def test_one_who_leaves_the_queue_frees_no_place() -> None:
    with bk.emulator.serve(ttft_ms=300, itl_ms=0, max_concurrency=1) as server:
        threads = [threading.Thread(target=post, args=(server, PATH, CHAT))]
        threads[0].start()
        while not server.truth()["requests"]:
            time.sleep(0.002)
        with client(server) as impatient, pytest.raises(httpx.ReadTimeout):
            impatient.post(PATH, json=CHAT, timeout=0.05)
        post(server, PATH, CHAT)
        threads[0].join()
        records = server.truth()["requests"]
        assert [r["outcome"] for r in records] == ["ok", "disconnected", "ok"]
        assert records[2]["first_write_ns"][0] - records[0]["first_write_ns"][1] >= 299_000_000
        assert server.truth()["in_flight"] == 0
