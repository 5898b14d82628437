"""Conversations from end to end: each turn after the one before, with the model's answer in it; none is lost from the plan."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import polars as pl
import pytest

import basetenkit as bk

LISTS = [[{"role": "user", "content": f"{name}{i}"} for i in range(3)] for name in ("good", "fail")]
LOADS: list[dict[str, Any]] = [{"concurrency": 2}, {"request_rate": 100.0}]


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    """(URL, the lists of messages that came): answers `re: ` and the last message, and 500 to `fail1`."""
    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            messages = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"]
            came.append([message["content"] for message in messages])
            last = messages[-1]["content"]
            answer = {
                "choices": [{"message": {"role": "assistant", "content": f"re: {last}"}, "finish_reason": "stop"}]
            }
            body = json.dumps(answer).encode()
            self.send_response(500 if last == "fail1" else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is said."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/chat/completions", came
        server.shutdown()


def held(url: str, lists: list[Any], **kw: Any) -> bk.Run:
    endpoint = bk.Endpoint(url=url, model="m", stream=False)
    fields: dict[str, Any] = {"max_requests": 10, "warmup_requests": 2, **kw}
    return bk.run_sync(bk.RunConfig(endpoint=endpoint, dataset=pl.DataFrame({"messages": lists}), **fields))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("load", LOADS, ids=str)
def test_a_turn_waits_for_the_one_before_and_holds_its_answer(
    server: tuple[str, list[Any]], load: dict[str, Any], workers: int
) -> None:
    url, came = server
    run = held(url, LISTS[:1], workers=workers, **load)
    rows = run.requests.sort("request_id")
    assert rows["outcome"].to_list() == ["ok"] * 12
    assert rows["turn"].to_list() == [1, 2, 3] * 4
    assert rows["phase"].to_list() == ["warmup"] * 2 + ["measured"] * 10
    assert rows["conversation_id"].to_list() == [rows["request_id"][i // 3 * 3] for i in range(12)]
    whole = ["good0", "re: good0", "good1", "re: good1", "good2"]
    assert sorted(came, key=len) == [whole[:1]] * 4 + [whole[:3]] * 4 + [whole] * 4
    for _, talk in rows.group_by("conversation_id"):
        ends, due, starts = (talk.sort("turn")[name].to_list() for name in ("end_s", "scheduled_s", "start_s"))
        assert all(end <= at <= start for end, at, start in zip(ends, due[1:], starts[1:], strict=False))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("load", LOADS, ids=str)
def test_a_failed_turn_ends_its_conversation_and_the_rest_is_never_sent(
    server: tuple[str, list[Any]], load: dict[str, Any], workers: int
) -> None:
    url, came = server
    run = held(url, LISTS[1:], workers=workers, warmup_requests=0, max_requests=12, **load)
    (fates,) = run.fates.to_dicts()
    assert (fates["planned"], fates["sent"], fates["ok"], fates["http_error"], fates["never_sent"]) == (12, 8, 4, 4, 4)
    assert sorted(run.requests["turn"].to_list()) == [1] * 4 + [2] * 4
    assert not any("fail2" in messages for messages in came)


def test_the_plan_cuts_the_last_conversation(server: tuple[str, list[Any]]) -> None:
    run = held(server[0], LISTS[:1], concurrency=1, warmup_requests=0, max_requests=5)
    assert run.requests.sort("start_s")["turn"].to_list() == [1, 2, 3, 1, 2]
    assert run.fates["never_sent"].to_list() == [0]


def test_a_failure_in_the_answers_of_the_data_set_ends_it_too(server: tuple[str, list[Any]]) -> None:
    own = [part for message in LISTS[1] for part in (message, {"role": "assistant", "content": "theirs"})]
    run = held(server[0], [own], concurrency=1, warmup_requests=0, max_requests=3, answers="dataset")
    assert server[1] == [["fail0"], ["fail0", "theirs", "fail1"]]
    assert run.fates["never_sent"].to_list() == [1]
