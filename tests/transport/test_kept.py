"""A request that met the end of a kept connection goes out again, once, and only if the server cannot have taken it."""

from __future__ import annotations

import asyncio
import socket
import time
from array import array
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.types import Exchange, Failure, Outcome, Request
from basetenkit.transport.clock import Poller, WallClock, mono
from basetenkit.transport.connection import Connection, Timeouts
from basetenkit.transport.kept import KEPT_END_S, met_the_end

from ..peer import OK, peer, reset
from .loop import exchange_all, on_loop, payload

ENDED = Failure(Outcome.CONNECTION_ERROR, "the server closed the connection without an answer")


def ended(**fields: Any) -> Exchange:
    given: dict[str, Any] = {"sent_ns": 1_000, "end_ns": 2_000, "failure": ENDED, "not_taken": True}
    return Exchange(Request("r", b"", "s"), **(given | fields))


@pytest.mark.parametrize(
    ("exchange", "kept", "again"),
    [
        (ended(), True, True),
        (ended(), False, False),
        (ended(not_taken=False), True, False),
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
def test_a_server_that_takes_a_request_and_closes_has_failed(end: Any) -> None:
    with peer(once_a_connection(end)) as p:
        done = exchange_all(p.url, [payload(request_id=str(i)) for i in range(4)])
        assert len(p.requests) == 4
    assert [x.failure is None for x in done] == [True, False, True, False]
    assert [x.resent for x in done] == [0] * 4
    for x in (done[1], done[3]):
        assert x.failure is not None
        assert x.failure.outcome is Outcome.CONNECTION_ERROR
        assert x.failure.message.endswith("(on a kept connection)")


def test_the_system_says_whether_the_peer_took_the_request() -> None:
    """A connection whose peer has closed answers a request with a reset and acknowledges nothing of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        async def work(poller: Poller) -> Exchange:
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setblocking(False)
            other, _ = listener.accept()
            loop = asyncio.get_running_loop()
            connection = Connection(sock, loop=loop, poller=poller, wall=WallClock(), timeouts=Timeouts())
            other.close()  # its end of file is here, and not yet read
            x = Exchange(Request("r", b"", "s"), start_ns=mono())
            await connection.send(x, payload().encode())
            connection.close()
            return x

        x = on_loop(work)
    assert x.not_taken
    assert x.failure is not None
    assert met_the_end(x, kept=True)


def test_a_request_that_crosses_the_servers_close_is_whole_or_names_the_kept_connection() -> None:
    """The server closes a moment after each answer, without reading on: some requests are under way then."""
    pauses = iter([0.0002 * (n % 10) for n in range(1000)])

    def answer(sock: socket.socket, _request: bytes) -> bool:
        sock.sendall(OK)
        time.sleep(next(pauses))
        return False

    with peer(answer) as p:
        done = exchange_all(p.url, [payload(request_id=str(i)) for i in range(60)])
    for x in done:
        assert x.failure is None or x.failure.message.endswith("(on a kept connection)")
        if x.resent and x.failure is None:
            assert x.sent_ns is not None
            assert min(x.reads[1::4]) >= x.sent_ns


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.filterwarnings("ignore:there are no OS receive timestamps")
def test_the_row_names_the_kept_connection(proxied: bool) -> None:
    with peer(once_a_connection(lambda sock: None)) as p:
        how: dict[str, Any] = {"proxy": f"http://127.0.0.1:{p.port}"} if proxied else {}
        endpoint = bk.Endpoint(url=p.url, model="m", stream=False, **how)
        config = bk.RunConfig(
            steady=False, preflight=False, endpoint=endpoint, scenarios="D(8,1)", concurrency=1, max_requests=4
        )
        rows = bk.run_sync(config).requests.filter(pl.col("phase") == "measured").sort("start_s").to_dicts()
    failed = [row["error_message"] for row in rows if row["outcome"] != "ok"]
    assert len(failed) == 2
    assert all("on a kept connection" in message for message in failed)
