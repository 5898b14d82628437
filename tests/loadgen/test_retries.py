"""Which requests are sent again, and when: by the numbers, and in a run whose server starts late."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.types import Exchange, Failure, Outcome, Request
from basetenkit.loadgen.retries import pause_before_again, retry_after_s

from ..serving import serving

BODY = b'data: {"choices":[{"index":0,"delta":{"content":"one two"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def ended(status: int | None, *, failure: Outcome | None = None, retry_after: str | None = None) -> Exchange:
    exchange = Exchange(Request("r", b"", ""), status=status)
    exchange.headers = [] if retry_after is None else [("Retry-After", retry_after)]
    exchange.failure = None if failure is None else Failure(failure, "why")
    return exchange


@pytest.mark.parametrize("status", [429, 502, 503, 529])
def test_pauses_grow_and_have_an_end(status: int) -> None:
    pauses = [pause_before_again(ended(status), attempt) for attempt in (1, 2, 3, 9)]
    assert pauses == [0.125, 0.5, 2.0, 45.0]


@pytest.mark.parametrize("status", [200, 400, 401, 404, 422, 500, 504])
def test_what_no_wait_will_mend_is_not_tried_again(status: int) -> None:
    assert pause_before_again(ended(status), 1) is None


@pytest.mark.parametrize(
    ("failure", "pause"),
    [(Outcome.CONNECTION_ERROR, 0.125), (Outcome.TIMEOUT, None), (Outcome.INCOMPLETE, None), (Outcome.CANCELLED, None)],
)
def test_of_failures_only_a_missing_connection_is(failure: Outcome, pause: float | None) -> None:
    assert pause_before_again(ended(None, failure=failure), 1) == pause


def test_what_the_server_asks_for_goes_before_and_is_not_waited_for_for_ever() -> None:
    assert pause_before_again(ended(503, retry_after="7"), 3) == 7.0
    assert pause_before_again(ended(503, retry_after="46"), 1) is None
    assert pause_before_again(ended(503, retry_after="soon"), 1) == 0.125


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("-3", None),
        ("1.5", None),
        ("", None),
        (None, None),
    ],
)
def test_both_forms_of_the_header_are_read(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now=1445412480.0) == seconds


class Waking(BaseHTTPRequestHandler):
    """Answers 503 to the first `server.asleep` requests."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append(self.headers["x-baseten-customer-request-id"])
        asleep = len(self.server.seen) <= self.server.asleep
        self.send_response(503 if asleep else 200)
        if asleep:
            self.send_header("retry-after", self.server.retry_after)
        self.send_header("content-type", "text/plain" if asleep else "text/event-stream")
        self.send_header("content-length", str(0 if asleep else len(BODY)))
        self.end_headers()
        self.wfile.write(b"" if asleep else BODY)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def waking() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Waking)
    server.seen, server.asleep, server.retry_after = [], 0, "0"
    with serving(server):
        yield server


def run(port: int, **fields: Any) -> bk.Run:
    endpoint = bk.Endpoint(url=f"http://127.0.0.1:{port}/v1/chat/completions", model="m")
    fields = {"scenarios": "D(20,8)", "concurrency": 1, "max_requests": 3, "warmup_requests": 1} | fields
    return bk.run_sync(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, **fields))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_warm_up_waits_for_a_server_that_wakes_and_each_try_is_a_row(waking: Any, workers: int) -> None:
    waking.asleep = 2
    got = run(waking.server_port, workers=workers, max_total_tokens=100_000)
    rows = got.requests.sort("start_s")
    assert rows["outcome"].to_list() == ["http_error"] * 2 + ["ok"] * 4
    assert rows["phase"].to_list() == ["warmup"] * 3 + ["measured"] * 3
    assert rows["attempt"].to_list() == [1, 2, 3, 1, 1, 1]
    assert rows["request_id"].to_list() == waking.seen
    assert len(set(waking.seen)) == 6
    fates = got.fates.row(0, named=True)
    assert (fates["planned"], fates["sent"], fates["never_sent"]) == (6, 6, 0)
    assert got.complete


def test_the_measured_phase_never_sends_twice(waking: Any) -> None:
    waking.asleep = 2
    got = run(waking.server_port, warmup_requests=0)
    assert got.requests["outcome"].to_list() == ["http_error"] * 2 + ["ok"]
    assert set(got.requests["attempt"]) == {1}


@pytest.mark.parametrize("retries", [0, 2])
def test_tries_have_an_end(waking: Any, retries: int) -> None:
    waking.asleep = 100
    got = run(waking.server_port, warmup_retries=retries)
    assert got.requests["attempt"].to_list() == [*range(1, retries + 2), 1, 1, 1]


def test_a_stop_ends_the_wait(waking: Any) -> None:
    waking.asleep, waking.retry_after = 100, "40"
    endpoint = bk.Endpoint(url=f"http://127.0.0.1:{waking.server_port}/v1/chat/completions", model="m")
    fields: dict[str, Any] = {"scenarios": "D(20,8)", "concurrency": 1, "max_requests": 3, "warmup_requests": 1}
    live = bk.start(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, **fields))
    while not waking.seen:
        time.sleep(0.02)
    live.stop("enough")
    got = live.result()
    assert got.requests["outcome"].to_list() == ["http_error"]
    assert got.fates["never_sent"].to_list() == [3]


def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    got = run(port, warmup_retries=2, max_requests=1)
    assert got.requests["attempt"].to_list() == [1, 2, 3, 1]
    assert set(got.requests["outcome"]) == {"connection_error"}
