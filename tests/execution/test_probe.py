"""The request before the levels: what it costs, what stops a run, what does not, and where its row lies."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.types import Cause
from basetenkit.execution.probe import MOST_TOKENS, PHASE, nothing_answers

from ..peer import peer


def config(url: str, **kw: Any) -> bk.RunConfig:
    endpoint = bk.Endpoint(url=url, model="m", **kw.pop("endpoint", {}))
    fields: dict[str, Any] = {
        "scenarios": "D(10,3)",
        "concurrency": [2, 3],
        "max_requests": 6,
        "steady": False,
    }
    return bk.RunConfig(endpoint=endpoint, **(fields | kw))


def codes(run: bk.Run) -> list[str]:
    return [f.code for f in run.findings]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_begins_with_one_request_that_is_in_no_figure(workers: int) -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        run = bk.run_sync(config(server.url, workers=workers))
        received = [r["request_id"] for r in server.truth()["requests"]]
    first = run.requests.filter(run.requests["phase"] == PHASE)
    assert first.height == 1
    assert received[0] == first["request_id"][0]
    assert sorted(received) == sorted(run.requests["request_id"])
    assert not first["in_window"][0]
    assert (first["scenario"][0], first["level"][0]) == ("D(10,3)", 2.0)
    assert run.fates["preflight"].to_list() == [1, 0]
    assert run.fates["sent"].to_list() == run.fates["planned"].to_list() == [6, 6]
    assert run.summary_wide["sent"].to_list() == [6, 6]
    assert run.complete


def test_preflight_false_sends_none() -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        run = bk.run_sync(config(server.url, preflight=False))
    assert PHASE not in set(run.requests["phase"])
    assert run.requests.height == 12


@pytest.mark.parametrize("workers", [0, 2])
def test_its_tokens_count_in_the_guard_on_tokens(workers: int) -> None:
    """Each request costs 13 tokens: with 40 allowed, the first one leaves room for two and no third."""
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server:
        fields: dict[str, Any] = {"concurrency": 1, "max_total_tokens": 40, "max_requests": 50, "workers": workers}
        own = bk.run_sync(config(server.url, **fields)).requests["phase"].to_list()
        without = bk.run_sync(config(server.url, **fields, preflight=False)).requests["phase"].to_list()
    assert sorted(own) == ["measured", "measured", PHASE]
    assert without == ["measured"] * 3


def test_its_words_are_its_own_and_a_long_answer_is_cut() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server:
        bk.run_sync(config(server.url, scenarios="D(50,300)", salt="same", concurrency=1, max_requests=2))
        sent = [json.loads(b["body"] if isinstance(b, dict) else b) for b in server.truth()["bodies"]]
    assert [s["max_tokens"] for s in sent] == [MOST_TOKENS, 300, 300]
    texts = [s["messages"][0]["content"] for s in sent]
    assert len({text[:20] for text in texts}) == 3


def test_a_least_length_of_the_users_is_not_undercut() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server:
        bk.run_sync(config(server.url, scenarios="D(50,300)", request_params={"min_tokens": 200}, max_requests=1))
        sent = [json.loads(b["body"] if isinstance(b, dict) else b) for b in server.truth()["bodies"]]
    assert {s["max_tokens"] for s in sent} == {300}


DEAD = [
    ({"url": "http://127.0.0.1:9/v1/chat/completions"}, "Connection refused", "Check the host and the port"),
    ({"url": "http://no-such-host.invalid/v1/chat/completions"}, "cannot be resolved", "Check the host name"),
    ({"status": 401}, "no", "The key is missing or wrong"),
    ({"status": 403}, "no", "not for this model"),
    ({"status": 404}, "no", "nothing at this URL"),
    ({"status": 405}, "no", "does not accept POST"),
    ({"status": 307, "location": "https://elsewhere.example/"}, "redirects to https://elsewhere", "Endpoint.url"),
]


def answering(status: int, message: str = "no", location: str = "") -> Any:
    body = json.dumps({"error": {"message": message}}).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    head += f"location: {location}\r\n" if location else ""
    return peer(lambda sock, _: sock.sendall(head.encode() + b"\r\n" + body))


def run_against(what: dict[str, Any], **kw: Any) -> tuple[bk.Run, int]:
    """(the run, requests that the server read)"""
    if "url" in what:
        return bk.run_sync(config(what["url"], **kw)), 0
    with answering(**what) as p:
        return bk.run_sync(config(p.url, **kw)), len(p.requests)


@pytest.mark.parametrize(("what", "message", "cure"), DEAD)
def test_a_dead_endpoint_costs_one_request_and_says_why(
    what: dict[str, Any], message: str, cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run, received = run_against(what)
    assert received == ("status" in what)
    assert run.requests["phase"].to_list() == [PHASE]
    assert not run.complete
    assert codes(run) == ["nothing_answers"]
    assert message in run.findings[0].sentence
    assert cure in run.findings[0].cure
    assert "abort_after_failures" not in str(run.findings[0])
    assert run.fates["never_sent"].sum() == 12
    said = capsys.readouterr().err
    assert message in said
    assert cure in said


@pytest.mark.parametrize("workers", [0, 1])
def test_the_same_call_goes_on_when_the_endpoint_is_there(tmp_path: Path, workers: int) -> None:
    with answering(404) as p:
        port = p.port
        wanted = config(p.url, workers=workers)
        first = bk.run_sync(wanted, save_to=tmp_path / "r")
    assert codes(first) == ["nothing_answers"]
    with bk.emulator.serve(port=port, ttft_ms=2, itl_ms=1) as server:
        assert server.url == wanted.endpoint.url
        second = bk.run_sync(wanted, save_to=tmp_path / "r")
        sent = len(server.truth()["requests"])
        third = bk.run_sync(wanted, save_to=tmp_path / "r")
        assert len(server.truth()["requests"]) == sent == 13
    assert second.complete
    assert "nothing_answers" not in codes(second)
    assert (second.requests["phase"] == PHASE).sum() == 2  # each was sent, and neither row is lost
    assert second.requests["request_id"].is_unique().all()
    assert third.requests.height == second.requests.height == bk.load(tmp_path / "r").requests.height


@pytest.mark.parametrize(
    ("status", "message"),
    [(503, "no"), (429, "no"), (500, "no"), (404, "the model is being deployed"), (403, "scaled to zero"), (400, "no")],
)
def test_what_may_pass_is_told_and_the_levels_are_run(status: int, message: str) -> None:
    run, received = run_against({"status": status, "message": message}, max_requests=2)
    assert received == 5
    assert "preflight_failed" in codes(run)
    assert "nothing_answers" not in codes(run)
    assert run.complete


def test_progress_and_the_interrupt_hold_in_it_too() -> None:
    with peer(lambda sock, _: bool(sock.recv(1))) as p:  # reads the request and says nothing
        live = bk.start(config(p.url))
        while not p.requests:
            time.sleep(0.01)
        live.stop()
        run = live.result(20)
        assert len(p.requests) == 1
    assert run.requests["outcome"].to_list() == ["cancelled"]
    assert run.requests["phase"].to_list() == [PHASE]
    assert "stopped_early" in codes(run)
    dead = bk.start(config("http://127.0.0.1:9/v1/chat/completions"))
    dead.result(20)
    assert "Connection refused" in dead.progress["last_error"]


def row(
    outcome: str,
    status: int | None = None,
    message: str = "",
    sent_s: float | None = 0.0,
    cause: Cause | None = None,
) -> dict[str, Any]:
    known = {"outcome": outcome, "status": status, "error_message": message, "sent_s": sent_s, "error_code": None}
    return known | {"error_cause": cause}


@pytest.mark.parametrize(
    ("found", "waits", "dead"),
    [
        (row("ok", 200), False, False),
        (row("connection_error", cause=Cause.REFUSED, sent_s=None), False, True),
        (row("connection_error", cause=Cause.REFUSED, sent_s=None), True, False),
        (row("connection_error", cause=Cause.UNRESOLVED, sent_s=None), True, True),
        (row("connection_error", message="the connection broke"), False, False),
        (row("connection_error", cause=Cause.OWN_LIMIT, sent_s=None), False, False),
        (row("timeout", message="no connection within 30 s", sent_s=None), False, True),
        (row("timeout", message="over 600 s"), False, False),
        (row("malformed", 200), False, False),
        (row("http_error", 422), False, False),
        (row("http_error", 404), True, True),
        (row("http_error", 404, "model_not_ready"), False, False),
    ],
)
def test_only_what_no_further_request_could_mend_stops_a_run(found: dict[str, Any], waits: bool, dead: bool) -> None:
    assert nothing_answers(found, waits) is dead
