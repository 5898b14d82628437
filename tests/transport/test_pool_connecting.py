"""How a pool connects: TLS, refused ports, names, and connections that the peer closed."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time

import pytest
import trustme

from basetenkit.core.types import Exchange, Outcome, Request
from basetenkit.transport.clock import Poller, mono
from basetenkit.transport.connection import Timeouts
from basetenkit.transport.pool import Origin, Pool

from ..peer import HEAD, OK, chunk, peer
from .loop import exchange_all, on_loop, payload
from .test_pool import fresh


def test_a_certificate_of_an_unknown_authority_is_not_accepted() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with peer(lambda s, _: s.sendall(OK), context) as p:
        (x,) = exchange_all(f"https://127.0.0.1:{p.port}/", [payload()])
    assert p.requests == []
    assert x.failure is not None
    assert x.failure.outcome is Outcome.CONNECTION_ERROR
    assert f"the TLS certificate of 127.0.0.1:{p.port} was not accepted" in x.failure.message
    assert x.sent_ns is None


def test_what_speaks_no_tls_is_told() -> None:
    def answer(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        (x,) = exchange_all(f"https://127.0.0.1:{listener.getsockname()[1]}/", [payload()])
        thread.join(timeout=20)
    assert x.failure is not None
    assert "the TLS handshake with 127.0.0.1" in x.failure.message


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


def test_a_connection_that_closes_while_it_waits_for_its_turn_is_replaced() -> None:
    open_sockets: list[socket.socket] = []

    def answer(sock: socket.socket, _request: bytes) -> None:
        open_sockets.append(sock)
        sock.sendall(OK)

    async def work(poller: Poller) -> list[Exchange]:
        pool = Pool(Origin.of(p.url), poller=poller)
        await asyncio.gather(*(pool.exchange(fresh(), payload()) for _ in range(100)))
        wave = [fresh() for _ in range(100)]
        sending = [asyncio.ensure_future(pool.exchange(x, payload())) for x in wave]
        await asyncio.sleep(0)  # each has taken a connection, and most wait at the turnstile
        for sock in open_sockets[:100]:
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        await asyncio.gather(*sending)
        await pool.close()
        return wave

    with peer(answer) as p:
        wave = on_loop(work)
    assert all(x.end_ns for x in wave)
    assert {x.failure.outcome for x in wave if x.failure} <= {Outcome.CONNECTION_ERROR}
    # A request that was sent already is not sent again; most had written nothing.
    assert sum(x.status == 200 for x in wave) > 50
