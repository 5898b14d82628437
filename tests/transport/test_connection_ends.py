"""Connections whose head, body or peer ends in an unusual way."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from basetenkit.core.types import Exchange, Outcome, Request
from basetenkit.transport import http1
from basetenkit.transport.clock import Poller, WallClock, mono
from basetenkit.transport.connection import Timeouts
from basetenkit.transport.pool import Origin, Pool

from ..peer import END, HEAD, OK, chunk, peer
from .loop import exchange_all, on_loop, payload
from .test_connection import failure, inside


def test_a_crlf_in_a_segment_of_its_own_makes_no_token_early() -> None:
    writes: list[tuple[int, int]] = []

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD)
        for i in range(10):
            time.sleep(0.005)
            before = mono()
            sock.sendall(chunk(b"data: %d\n\n" % i)[:-2])
            writes.append((before, mono()))
            time.sleep(0.005)
            sock.sendall(b"\r\n")
        sock.sendall(END)

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()])
    assert x.failure is None
    ends = [end for _, _, end in x.arrivals]
    assert set(ends) <= {9 * (i + 1) for i in range(10)}  # what a busy client reads together has one arrival
    assert ends[-1] == 90
    for at, error, end in x.arrivals:
        assert inside(x, at, error, writes[end // 9 - 1])


@pytest.mark.parametrize("whole", [True, False])
def test_a_peer_that_closes_its_half_has_said_all(whole: bool) -> None:
    over = threading.Event()
    head = HEAD.replace(b"transfer-encoding: chunked\r\n", b"") if whole else HEAD
    said = b"data: 1\n\n" if whole else chunk(b"data: 1\n\n")

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(head + said)
        sock.shutdown(socket.SHUT_WR)
        over.wait(20)  # it would still read

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()])
        over.set()
    assert bytes(x.body) == b"data: 1\n\n"
    if whole:
        assert x.failure is None
    else:
        assert failure(x)[0] is Outcome.INCOMPLETE


def test_a_head_that_trickles_in_is_no_first_byte_of_the_body() -> None:
    def answer(sock: socket.socket, _request: bytes) -> None:
        for i in range(200):
            sock.sendall(b"a" if i else b"HTTP/1.1 200 OK\r\nx-slow: ")
            time.sleep(0.01)

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()], Timeouts(first_byte=0.3))
    assert failure(x) == (Outcome.TIMEOUT, "no body byte came within 0.3 s (first_byte_timeout_s)")


def test_a_body_that_has_no_end_is_cut_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "BODY_LIMIT", 2 << 20)

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD)
        while True:
            sock.sendall(chunk(b"data: 1\n\n" * 1000))

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()])
    assert failure(x) == (Outcome.MALFORMED, "the body is longer than 2 MiB")
    assert len(x.body) <= 2 << 20


@pytest.mark.parametrize("how", ["timeout", "cut"])
def test_what_failed_before_its_first_token_is_no_longer_read_first(how: str) -> None:
    def answer(sock: socket.socket, _request: bytes) -> bool:
        if how == "timeout":
            sock.recv(1)
        return False

    with peer(answer) as p:  # on_loop looks whether anything stays hastened
        (x,) = exchange_all(p.url, [payload()], Timeouts(first_byte=0.1))
    assert x.failure is not None


def test_a_send_on_a_connection_that_is_closed_is_a_failure_and_no_exception() -> None:
    async def work(poller: Poller) -> Exchange:
        pool, x = Pool(Origin.of(p.url), poller=poller), Exchange(Request("r", b"", "s"), start_ns=mono())
        connection = await pool.open(x)
        assert connection is not None
        connection.close()
        await connection.send(x, payload().encode())
        await pool.close()
        return x

    with peer(lambda sock, _: sock.sendall(OK)) as p:
        x = on_loop(work)
    assert failure(x)[0] is Outcome.CONNECTION_ERROR


@pytest.mark.parametrize("step_ns", [5_000_000_000, -5_000_000_000])
def test_a_wall_clock_that_is_stepped_within_a_response_bends_no_arrival(step_ns: int) -> None:
    writes: list[tuple[int, int]] = []

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD)
        for i in range(8):
            time.sleep(0.02)
            before = mono()
            sock.sendall(chunk(b"data: %d\n\n" % i))
            writes.append((before, mono()))
        sock.sendall(END)

    async def work(poller: Poller) -> tuple[Exchange, WallClock]:
        wall = WallClock()
        pool, x = Pool(Origin.of(p.url), poller=poller, wall=wall), Exchange(Request("r", b"", "s"), start_ns=mono())

        def step() -> None:
            wall.offset -= step_ns  # what it would hold had the clock been stepped since it was measured

        asyncio.get_running_loop().call_later(0.07, step)
        await pool.exchange(x, payload())
        await pool.close()
        return x, wall

    with peer(answer) as p:
        x, wall = on_loop(work)
    assert len(wall.steps) == 1
    assert wall.steps[0][1] == pytest.approx(step_ns, abs=1_000_000)
    assert [end for _, _, end in x.arrivals] == [9 * (i + 1) for i in range(8)]
    for (at, error, _), write in zip(x.arrivals, writes, strict=True):
        assert inside(x, at, error, write)
        assert error < abs(step_ns) / 1e10, "the step is not within the bound"
