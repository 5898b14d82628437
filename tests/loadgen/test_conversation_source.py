"""Conversations from end to end: each turn after the one before, with the model's answer in it; none is lost from the plan."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk

from ..execution.processes.test_executor import until, workers_of
from ..making import number

LISTS = [[{"role": "user", "content": f"{name}{i}"} for i in range(3)] for name in ("good", "fail")]
LOADS: list[dict[str, Any]] = [{"concurrency": 2}, {"request_rate": 100.0}]


class Listener(ThreadingHTTPServer):
    """Answers `re: ` and the last message: 503 to the first `asleep` requests, 500 to `fail1`, each after `pause_s`; a
    request that is `kept_waiting` has no answer until `answer` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1/chat/completions"
        self.came: list[list[str]] = []
        self.asleep, self.pause_s, self.kept_waiting, self.answer = 0, 0.0, "", threading.Event()

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is not an error of this server."""

    def status(self, messages: list[str]) -> int:
        self.came.append(messages)
        if messages[-1] == self.kept_waiting:
            self.answer.wait(60)
        time.sleep(self.pause_s)
        self.asleep -= 1
        return 503 if self.asleep >= 0 else 500 if messages[-1] == "fail1" else 200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def do_POST(self) -> None:
        messages = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"]
        said = [message["content"] for message in messages]
        status, answer = self.server.status(said), {"role": "assistant", "content": f"re: {said[-1]}"}
        body = json.dumps({"choices": [{"message": answer, "finish_reason": "stop"}]}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""


@pytest.fixture
def server() -> Iterator[Listener]:
    with Listener() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.answer.set()
        server.shutdown()


def plan(url: str, lists: list[Any], **kw: Any) -> bk.RunConfig:
    endpoint = bk.Endpoint(url=url, model="m", stream=False)
    fields: dict[str, Any] = {"max_requests": 10, "warmup_requests": 2, **kw}
    return bk.RunConfig(
        steady=False, preflight=False, endpoint=endpoint, dataset=pl.DataFrame({"messages": lists}), **fields
    )


def held(url: str, lists: list[Any], **kw: Any) -> bk.Run:
    return bk.run_sync(plan(url, lists, **kw))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("load", LOADS, ids=str)
def test_a_turn_waits_for_the_one_before_and_holds_its_answer(
    server: Listener, load: dict[str, Any], workers: int
) -> None:
    run = held(server.url, LISTS[:1], workers=workers, **load)
    rows = run.requests.sort("request_id")
    assert rows["outcome"].to_list() == ["ok"] * 12
    assert rows["turn"].to_list() == [1, 2, 3] * 4
    assert rows["phase"].to_list() == ["warmup"] * 2 + ["measured"] * 10
    assert rows["conversation_id"].to_list() == [rows["request_id"][i // 3 * 3] for i in range(12)]
    whole = ["good0", "re: good0", "good1", "re: good1", "good2"]
    assert sorted(server.came, key=len) == [whole[:1]] * 4 + [whole[:3]] * 4 + [whole] * 4
    for _, talk in rows.group_by("conversation_id"):
        ends, due, starts = (talk.sort("turn")[name].to_list() for name in ("end_s", "scheduled_s", "start_s"))
        assert all(end <= at <= start for end, at, start in zip(ends, due[1:], starts[1:], strict=False))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("load", LOADS, ids=str)
def test_a_failed_turn_ends_its_conversation_and_the_rest_is_never_sent(
    server: Listener, load: dict[str, Any], workers: int
) -> None:
    run = held(server.url, LISTS[1:], workers=workers, warmup_requests=0, max_requests=12, **load)
    (fates,) = run.fates.to_dicts()
    assert (fates["planned"], fates["sent"], fates["ok"], fates["http_error"], fates["never_sent"]) == (12, 8, 4, 4, 4)
    assert sorted(run.requests["turn"].to_list()) == [1] * 4 + [2] * 4
    assert not any("fail2" in messages for messages in server.came)


def test_the_plan_cuts_the_last_conversation(server: Listener) -> None:
    run = held(server.url, LISTS[:1], concurrency=1, warmup_requests=0, max_requests=5)
    assert run.requests.sort("start_s")["turn"].to_list() == [1, 2, 3, 1, 2]
    assert run.fates["never_sent"].to_list() == [0]


def test_a_failure_in_the_answers_of_the_data_set_ends_it_too(server: Listener) -> None:
    own = [part for message in LISTS[1] for part in (message, {"role": "assistant", "content": "theirs"})]
    run = held(server.url, [own], concurrency=1, warmup_requests=0, max_requests=3, history_from="dataset")
    assert server.came == [["fail0"], ["fail0", "theirs", "fail1"]]
    assert run.fates["never_sent"].to_list() == [1]


def test_a_warm_up_turn_that_meets_a_sleeping_server_goes_again_and_then_the_conversation_on(server: Listener) -> None:
    server.asleep = 1
    run = held(server.url, LISTS[:1], concurrency=1, warmup_requests=2, max_requests=1)
    rows = run.requests.sort("start_s")
    assert rows.select("turn", "attempt", "outcome", "phase").rows() == [
        (1, 1, "http_error", "warmup"),
        (1, 2, "ok", "warmup"),
        (2, 1, "ok", "warmup"),
        (3, 1, "ok", "measured"),
    ]
    assert rows["conversation_id"].n_unique() == 1
    assert server.came[:2] == [["good0"], ["good0"]]
    assert server.came[2:] == [["good0", "re: good0", "good1"], ["good0", "re: good0", "good1", "re: good1", "good2"]]
    assert run.fates.select("planned", "sent", "never_sent").row(0) == (4, 4, 0)


def test_a_limit_on_tokens_ends_a_conversation_before_the_turn_that_would_pass_it(server: Listener) -> None:
    one = {"concurrency": 1, "warmup_requests": 0, "max_requests": 3}
    spent = held(server.url, LISTS[:1], **one).requests.sort("turn")
    enough = int(number(spent["input_tokens"].sum()) + number(spent["output_tokens"][:2].sum()))
    for limit, turns in ((enough, 3), (enough - 1, 2)):
        run = held(server.url, LISTS[:1], max_total_tokens=limit, **one)
        assert sorted(run.requests["turn"].to_list()) == [1, 2, 3][:turns]
        assert run.fates.select("planned", "sent", "never_sent").row(0) == (3, turns, 3 - turns)
        assert ("tokens_spent" in [f.code for f in run.findings]) == (turns == 2)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stop_in_mid_conversation_cancels_the_turn_and_the_next_run_says_it_all_again(
    server: Listener, tmp_path: Path, workers: int
) -> None:
    server.kept_waiting = "good1"
    config = plan(server.url, LISTS[:1], concurrency=1, warmup_requests=0, max_requests=3, workers=workers)
    live = bk.start(config, save_to=tmp_path / "r")
    until(lambda: len(server.came) == 2)
    live.stop()
    run = live.result(30)
    assert not run.complete
    assert run.requests.sort("turn").select("turn", "outcome").rows() == [(1, "ok"), (2, "cancelled")]
    assert run.fates.select("planned", "sent", "never_sent").row(0) == (3, 2, 1)
    server.answer.set()
    again = bk.run_sync(config, save_to=tmp_path / "r")
    assert again.complete
    assert again.requests.sort("turn").select("turn", "outcome").rows() == [(1, "ok"), (2, "ok"), (3, "ok")]


@pytest.mark.parametrize("load", [{"concurrency": 4}, {"request_rate": 30.0}], ids=str)
def test_a_lost_worker_takes_its_own_conversations_along_and_no_others(server: Listener, load: dict[str, Any]) -> None:
    server.pause_s = 0.1
    config = plan(server.url, LISTS[:1], warmup_requests=0, max_requests=90, workers=2, **load)
    live = bk.start(config)
    until(lambda: live.progress["finished"] >= 10)
    os.kill(workers_of(os.getpid())[1], signal.SIGKILL)
    run = live.result(60)
    lost = run.requests.filter(pl.col("outcome") == "cancelled")
    (told,) = run.metadata["levels"][0]["workers_lost"]
    assert told["requests"] == lost.height
    assert run.requests.height - lost.height == (run.requests["outcome"] == "ok").sum()
    (fates,) = run.fates.to_dicts()
    assert (fates["planned"], fates["sent"]) == (90, run.requests.height)
    assert fates["sent"] + fates["never_sent"] == 90
    assert len(server.came) <= fates["sent"], "every request that came is a row"
    if "concurrency" in load:  # its users' share is taken over: unsaid is what was left of the two that it held
        assert fates["never_sent"] <= 2 * 2
    for _, talk in run.requests.drop_nulls("turn").group_by("conversation_id"):
        assert sorted(talk["turn"].to_list()) == list(range(1, talk.height + 1))
