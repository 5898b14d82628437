"""A request that met the end of a kept connection goes out again, once, and only if nothing of an answer came."""

from __future__ import annotations

import socket
import time
from array import array
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.engine.kept import KEPT_END_S, met_the_end
from basetenkit.types import Exchange, Failure, Outcome, Request

from ..peer import OK, peer, reset
from .loop import exchange_all, payload

ENDED = Failure(Outcome.CONNECTION_ERROR, "the server closed the connection without an answer")


def ended(**fields: Any) -> Exchange:
    return Exchange(Request("r", b"", "s"), **({"sent_ns": 1_000, "end_ns": 2_000, "failure": ENDED} | fields))


@pytest.mark.parametrize(
    ("exchange", "kept", "again"),
    [
        (ended(), True, True),
        (ended(), False, False),
        (ended(resent=1), True, False),
        (ended(status=200), True, False),
        (ended(reads=array("q", [1, 1, 0, 0])), True, False),
        (ended(failure=None), True, False),
        (ended(failure=Failure(Outcome.TIMEOUT, "")), True, False),
        (ended(sent_ns=None), True, False),
        (ended(end_ns=1_000 + int(KEPT_END_S * 1e9)), True, True),
        (ended(end_ns=1_001 + int(KEPT_END_S * 1e9)), True, False),
    ],
)
def test_only_the_quick_end_of_a_kept_connection_counts(exchange: Exchange, kept: bool, again: bool) -> None:
    assert met_the_end(exchange, kept) is again


def once_a_connection(end: Any) -> Any:
    """Answers the first request of each connection, and lets the connection end at the second."""
    seen: set[socket.socket] = set()

    def answer(sock: socket.socket, _request: bytes) -> bool:
        if sock in seen:
            end(sock)
            return False
        seen.add(sock)
        sock.sendall(OK)
        return True

    return answer


@pytest.mark.parametrize("end", [lambda sock: None, reset], ids=["closed", "reset"])
def test_it_goes_out_again_on_a_fresh_connection_and_times_count_from_that_send(end: Any) -> None:
    with peer(once_a_connection(end)) as p:
        done = exchange_all(p.url, [payload(request_id=str(i)) for i in range(3)])
        assert p.connections == 3
        assert len(p.requests) == 5
    assert [x.failure for x in done] == [None] * 3
    assert [x.resent for x in done] == [0, 1, 1]
    for x in done:
        assert x.connect_ns is not None
        assert x.sent_ns is not None
        assert x.sent_ns >= x.start_ns
        assert min(x.reads[1::4]) >= x.sent_ns


def test_a_request_that_the_server_worked_on_is_not_sent_again() -> None:
    with peer(once_a_connection(lambda sock: time.sleep(KEPT_END_S + 0.3))) as p:
        first, second = exchange_all(p.url, [payload(), payload()])
        assert len(p.requests) == 2
    assert first.failure is None
    assert second.failure is not None
    assert second.resent == 0


def test_the_fresh_connection_may_fail_in_its_turn_and_that_counts() -> None:
    answered: list[bool] = []

    def answer(sock: socket.socket, _request: bytes) -> bool:
        if answered:
            return False
        answered.append(True)
        sock.sendall(OK)
        return True

    with peer(answer) as p:
        _, second = exchange_all(p.url, [payload(), payload()])
        assert len(p.requests) == 3
    assert second.failure is not None
    assert second.failure.outcome is Outcome.CONNECTION_ERROR
    assert second.resent == 1


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.filterwarnings("ignore:through a proxy")
def test_the_row_says_that_it_was_sent_twice(proxied: bool) -> None:
    with peer(once_a_connection(lambda sock: None)) as p:
        how: dict[str, Any] = {"proxy": f"http://127.0.0.1:{p.port}"} if proxied else {}
        endpoint = bk.Endpoint(url=p.url, model="m", stream=False, **how)
        config = bk.RunConfig(steady=False, endpoint=endpoint, scenarios="D(8,1)", concurrency=1, max_requests=3)
        rows = bk.run_sync(config).requests.sort("start_s").to_dicts()
    assert {row["outcome"] for row in rows} == {"ok"}
    notes = [[w for w in row["warnings"] if w.startswith("sent_again:")] for row in rows]
    assert [len(n) for n in notes] == [0] + [1] * (len(rows) - 1)
    assert "sent 2 times" in notes[-1][0]
