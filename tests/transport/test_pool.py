"""Connections to one origin: which is used, when all of a wave may be sent, and the message if there is none."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from typing import Any

import httpx
import pytest
import trustme

from basetenkit.core.types import Exchange, Outcome, Request
from basetenkit.transport.clock import Poller, mono
from basetenkit.transport.connection import Timeouts
from basetenkit.transport.pool import ConnectBarrier, Origin, Pool, tls_context

from ..peer import HEAD, OK, chunk, peer
from .loop import exchange_all, on_loop, payload


def fresh() -> Exchange:
    return Exchange(Request("r", b"", "s"), start_ns=mono())


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("http://h/x", "http", "h", 80),
        ("https://h", "https", "h", 443),
        ("https://user:p@h:8443/x?y", "https", "h", 8443),
        ("http://[::1]:81/", "http", "::1", 81),
        ("HTTP://H/", "http", "h", 80),
    ],
)
def test_an_origin_is_a_urls_scheme_host_and_port(url: str, scheme: str, host: str, port: int) -> None:
    for given in (url, httpx.URL(url)):
        origin = Origin.of(given)
        assert (origin.scheme, origin.host, origin.port) == (scheme, host, port)
        assert (origin.context is not None) == (scheme == "https")


def test_how_tls_is_checked_is_no_part_of_an_origins_name() -> None:
    assert Origin.of("https://h/", True) == Origin.of("https://h/", False)
    assert "context" not in repr(Origin.of("https://h/"))


def test_a_context_checks_as_it_is_told(tmp_path: Any) -> None:
    own = ssl.create_default_context()
    assert tls_context(own) is own
    assert tls_context(True).verify_mode is ssl.CERT_REQUIRED
    assert tls_context(False).verify_mode is ssl.CERT_NONE
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = tls_context(str(tmp_path / "ca.pem"))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) >= 1


def test_a_gate_holds_all_until_the_last_has_come() -> None:
    async def work(_poller: Poller) -> list[str]:
        gate, seen = ConnectBarrier(3, patience_s=60), []

        async def come(name: str) -> None:
            seen.append(f"{name} comes")
            await gate.arrive()
            seen.append(f"{name} goes")

        early = [asyncio.ensure_future(come(name)) for name in "ab"]
        await asyncio.sleep(0.02)
        assert seen == ["a comes", "b comes"]
        await come("c")
        await asyncio.gather(*early)
        await come("late")
        return seen

    seen = on_loop(work)
    assert seen[2] == "c comes"
    assert sorted(seen[3:6]) == ["a goes", "b goes", "c goes"]
    assert seen[6:] == ["late comes", "late goes"]


def test_a_gate_waits_no_longer_than_its_patience() -> None:
    async def work(_poller: Poller) -> float:
        began = mono()
        await ConnectBarrier(2, patience_s=0.05).arrive()
        return (mono() - began) / 1e9

    assert on_loop(work) >= 0.049


def test_the_first_wave_sends_only_when_all_of_it_is_connected() -> None:
    accepted: list[int] = []

    def answer(sock: socket.socket, _request: bytes) -> None:
        accepted.append(p.connections)
        sock.sendall(OK)

    async def work(poller: Poller) -> list[Exchange]:
        pool = Pool(Origin.of(p.url), poller=poller)
        gate, wave = ConnectBarrier(5, patience_s=60), [fresh() for _ in range(5)]
        await asyncio.gather(*(pool.exchange(x, payload(), gate) for x in wave))
        await pool.close()
        return wave

    with peer(answer) as p:
        wave = on_loop(work)
    assert [x.status for x in wave] == [200] * 5
    assert len(accepted) == p.connections == 5
    connected = max(x.start_ns + (x.connect_ns or 0) for x in wave)
    assert min(x.sent_ns or 0 for x in wave) >= connected


def test_one_that_cannot_connect_does_not_keep_the_others_at_the_gate() -> None:
    async def work(poller: Poller) -> list[Exchange]:
        here, nowhere = (
            Pool(Origin.of(p.url), poller=poller),
            Pool(Origin.of(f"http://127.0.0.1:{port}/"), poller=poller),
        )
        gate, wave = ConnectBarrier(2, patience_s=60), [fresh(), fresh()]
        await asyncio.gather(here.exchange(wave[0], payload(), gate), nowhere.exchange(wave[1], payload(), gate))
        for pool in (here, nowhere):
            await pool.close()
        return wave

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with peer(lambda s, _: s.sendall(OK)) as p:
        good, bad = on_loop(work)
    assert (good.status, good.failure) == (200, None)
    assert bad.failure is not None
    assert bad.sent_ns is None


def test_a_connection_lost_at_the_gate_is_replaced() -> None:
    def hang_up_first(listener: socket.socket) -> None:
        first, _ = listener.accept()
        first.close()
        gone.set()
        second, _ = listener.accept()
        with second:
            second.recv(65536)
            second.sendall(OK)

    async def work(poller: Poller) -> Exchange:
        pool, gate, x = Pool(Origin.of(url), poller=poller), ConnectBarrier(2, patience_s=60), fresh()
        task = asyncio.ensure_future(pool.exchange(x, payload(), gate))
        await asyncio.to_thread(gone.wait, 20)
        await gate.arrive()
        await task
        await pool.close()
        return x

    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread = threading.Thread(target=hang_up_first, args=(listener,))
        thread.start()
        x = on_loop(work)
        thread.join(timeout=20)
    assert (x.status, x.failure) == (200, None)


def test_as_many_connections_as_requests_at_once_and_they_serve_again() -> None:
    async def work(poller: Poller) -> list[Exchange]:
        pool = Pool(Origin.of(p.url), poller=poller)
        done: list[Exchange] = []
        for _ in range(3):
            wave = [fresh() for _ in range(4)]
            await asyncio.gather(*(pool.exchange(x, payload()) for x in wave))
            done += wave
        await pool.close()
        return done

    def answer(sock: socket.socket, _request: bytes) -> None:
        time.sleep(0.1)
        sock.sendall(OK)

    with peer(answer) as p:
        done = on_loop(work)
    assert [x.failure for x in done] == [None] * 12
    assert p.connections == 4
    assert [x.connect_ns is not None for x in done] == [True] * 4 + [False] * 8


def test_requests_that_ask_for_a_name_together_share_one_look_up() -> None:
    async def work(poller: Poller) -> list[Exchange]:
        pool, wave = Pool(Origin.of(f"http://localhost:{p.port}/"), poller=poller), [fresh() for _ in range(3)]
        await asyncio.gather(*(pool.exchange(x, payload()) for x in wave))
        wave.append(fresh())
        await pool.exchange(wave[-1], payload(b"{}"))
        await pool.close()
        return wave

    with peer(lambda s, _: s.sendall(OK)) as p:
        *first, last = on_loop(work)
    assert [x.status for x in first] == [200] * 3
    assert all((x.dns_ns or 0) > 0 for x in first)
    assert last.dns_ns is None


def test_a_name_that_could_not_be_resolved_is_asked_for_again() -> None:
    done = exchange_all("http://no-such-host.invalid/", [payload(), payload()])
    for x in done:
        assert x.failure is not None
        assert "cannot be resolved" in x.failure.message
        assert x.connect_ns is None


def test_closing_a_pool_ends_what_is_in_flight_as_a_failure() -> None:
    async def work(poller: Poller) -> Exchange:
        pool, x = Pool(Origin.of(p.url), poller=poller), fresh()
        task = asyncio.ensure_future(pool.exchange(x, payload()))
        while not x.body:  # noqa: ASYNC110  the engine does not report a first byte
            await asyncio.sleep(0.005)
        await pool.close()
        await task
        return x

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD + chunk(b"data: 1\n\n"))
        sock.recv(1)

    with peer(answer) as p:
        x = on_loop(work)
    assert x.failure is not None
    assert x.failure.outcome in (Outcome.CONNECTION_ERROR, Outcome.INCOMPLETE)
    assert x.end_ns is not None


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
