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
