from __future__ import annotations

import asyncio
import socket
import time

import httpx
import pytest

from basetenkit import TimedTransport
from basetenkit.engine.clock import Poller, mono
from basetenkit.engine.connection import Timeouts
from basetenkit.engine.pool import Origin, Pool
from basetenkit.types import Exchange, Outcome, Request

from ..peer import END, HEAD, OK, chunk, peer
from .loop import exchange_all, on_loop, payload


def test_a_connection_is_kept_and_only_the_first_request_has_connected() -> None:
    with peer(lambda s, _: s.sendall(OK)) as p:
        first, second = exchange_all(p.url, [payload(), payload()])
        assert p.connections == 1
    assert first.connect_ns is not None
    assert second.connect_ns is None
    assert second.status == 200


def test_a_kept_connection_that_the_peer_has_closed_is_replaced_before_anything_is_written() -> None:
    def answer(sock: socket.socket, _request: bytes) -> bool:
        sock.sendall(OK)
        return False

    async def work(poller: Poller) -> list[Exchange]:
        pool = Pool(Origin.of(url), poller=poller)
        done = []
        for _ in range(3):
            x = Exchange(Request("r", b"", "s"), start_ns=mono())
            await pool.exchange(x, payload())
            done.append(x)
            time.sleep(0.05)  # noqa: ASYNC251  the loop is to see nothing of the close meanwhile
        await pool.close()
        return done

    with peer(answer) as p:
        url = p.url
        done = on_loop(work)
        assert p.connections == 3
    assert [x.failure for x in done] == [None] * 3
    assert all(x.connect_ns is not None for x in done)


def test_a_refused_port_an_unknown_host_and_a_silent_one_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (refused,) = exchange_all(f"http://127.0.0.1:{port}/", [payload()])
    (unknown,) = exchange_all("http://no-such-host.invalid/", [payload()])
    assert refused.failure is not None
    assert refused.failure.outcome is Outcome.CONNECTION_ERROR
    assert f"127.0.0.1:{port}" in refused.failure.message
    assert "refused" in refused.failure.message.lower()
    assert unknown.failure is not None
    assert unknown.failure.outcome is Outcome.CONNECTION_ERROR
    assert "'no-such-host.invalid' cannot be resolved" in unknown.failure.message
    assert unknown.sent_ns is None
    assert unknown.end_ns is not None


def test_a_tls_handshake_that_hangs_is_a_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        (x,) = exchange_all(url, [payload()], Timeouts(connect=0.2))
    assert x.failure is not None
    assert x.failure.outcome is Outcome.TIMEOUT
    assert "connect_timeout_s" in x.failure.message


def test_a_name_is_looked_up_and_timed_and_an_address_is_not() -> None:
    with peer(lambda s, _: s.sendall(OK)) as p:
        (by_name,) = exchange_all(f"http://localhost:{p.port}/", [payload()])
        (by_address,) = exchange_all(p.url, [payload()])
    assert by_name.status == 200
    assert by_name.dns_ns is not None
    assert by_name.dns_ns > 0
    assert by_address.dns_ns is None


def test_a_cancelled_exchange_says_so_and_closes_its_connection() -> None:
    async def work(poller: Poller) -> Exchange:
        pool = Pool(Origin.of(url), poller=poller)
        x = Exchange(Request("r", b"", "s"), start_ns=mono())
        task = asyncio.ensure_future(pool.exchange(x, payload()))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await pool.close()
        return x

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD + chunk(b"data: 1\n\n"))
        sock.recv(1)

    with peer(answer) as p:
        url = p.url
        x = on_loop(work)
    assert x.failure is not None
    assert x.failure.outcome is Outcome.CANCELLED
    assert bytes(x.body) == b"data: 1\n\n"
    assert x.end_ns is not None


def stream_three(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(HEAD)
    for i in range(3):
        time.sleep(0.02)
        sock.sendall(chunk(b"data: %d\n\n" % i))
    sock.sendall(END)


def test_an_httpx_client_gets_each_responses_exact_arrivals() -> None:
    async def work(_poller: Poller) -> tuple[list[bytes], httpx.Response]:
        async with (
            httpx.AsyncClient(transport=TimedTransport()) as client,
            client.stream("POST", p.url, json={"a": 1}) as response,
        ):
            return [piece async for piece in response.aiter_raw()], response

    with peer(stream_three) as p:
        pieces, response = on_loop(work)
        assert b'{"a":1}' in p.requests[0]
    assert b"".join(pieces) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    arrivals = response.extensions["arrivals"]
    assert arrivals[-1][2] == 27
    assert [at for at, _, _ in arrivals] == sorted(at for at, _, _ in arrivals)
    assert arrivals[0][0] >= 0.02


def test_httpx_sees_its_own_errors() -> None:
    async def work(_poller: Poller) -> None:
        async with httpx.AsyncClient(transport=TimedTransport(), timeout=0.2) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("http://127.0.0.1:1/")
            with pytest.raises(httpx.ReadTimeout):
                await client.get(p.url)

    with peer(lambda s, _: bool(s.recv(1))) as p:
        on_loop(work)
        assert len(p.requests) == 1


def test_an_httpx_response_closed_early_leaves_nothing_behind() -> None:
    async def work(_poller: Poller) -> int:
        async with httpx.AsyncClient(transport=TimedTransport()) as client, client.stream("GET", p.url) as response:
            async for piece in response.aiter_raw():
                return len(piece)
        return 0

    with peer(stream_three) as p:
        assert on_loop(work) > 0
