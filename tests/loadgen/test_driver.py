from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from basetenkit.core.reasons import Stop, StopReason
from basetenkit.core.types import Exchange, Outcome, Request
from basetenkit.loadgen.driver import Level
from basetenkit.loadgen.stop_conditions import TimeLimit
from basetenkit.transport.clock import Poller
from basetenkit.transport.http_request import HttpRequest
from basetenkit.transport.pool import SENDS_A_TURN, Origin, Pool

from ..peer import END, HEAD, OK, chunk, peer
from ..transport.loop import on_loop, payload


class Gauge:
    """How many requests the peer holds at once."""

    def __init__(self, hold_s: float) -> None:
        self.hold_s, self.now, self.peak, self.lock = hold_s, 0, 0, threading.Lock()

    def __call__(self, sock: socket.socket, _request: bytes) -> None:
        with self.lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
        time.sleep(self.hold_s)
        with self.lock:
            self.now -= 1
        sock.sendall(OK)


def drive(
    url: str, total: int, go: Callable[[Level], Coroutine[Any, Any, None]], max_seconds: float = 30.0
) -> tuple[list[Exchange], Level]:
    numbers = iter(range(total))

    def source() -> tuple[Request, HttpRequest] | None:
        n = next(numbers, None)
        return None if n is None else (Request(str(n), b"{}", "s"), payload(request_id=str(n)))

    async def work(poller: Poller) -> tuple[list[Exchange], Level]:
        done: list[Exchange] = []
        pool = Pool(Origin.of(url), poller=poller)
        level = Level(pool, poller, source, done.append, limit=TimeLimit(max_seconds))
        await go(level)
        await pool.close()
        return done, level

    return on_loop(work)


def test_exactly_so_many_are_in_flight_and_each_request_is_sent_once() -> None:
    gauge = Gauge(0.02)
    with peer(gauge) as p:
        done, level = drive(p.url, 60, lambda lv: lv.closed_loop(6))
        assert p.connections == 6
    assert sorted(int(x.request.request_id) for x in done) == list(range(60))
    assert all(x.failure is None for x in done)
    assert gauge.peak == level.peak == 6
    assert level.sent == 60
    assert level.stop_reason is None


def test_what_is_in_flight_at_max_seconds_is_cancelled_and_told_and_not_lost() -> None:
    with peer(Gauge(0.25)) as p:
        done, level = drive(p.url, 1000, lambda lv: lv.closed_loop(4), max_seconds=0.6)
    cut = [x for x in done if x.failure is not None]
    assert len(done) == level.sent
    assert len(cut) == 4
    assert all(
        x.failure.outcome is Outcome.CANCELLED and "max_seconds=0.6" in x.failure.message for x in cut if x.failure
    )
    assert all(x.end_ns is not None and x.sent_ns is not None for x in cut)


def test_a_stop_while_connecting_still_leaves_one_exchange_a_request() -> None:
    async def go(level: Level) -> None:
        asyncio.get_running_loop().call_later(0.2, level.stop, Stop(StopReason.STOPPED, {"why": "stop() was called"}))
        await level.closed_loop(3)

    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:  # accepts, and says nothing within the handshake
        done, level = drive(f"https://127.0.0.1:{silent.getsockname()[1]}/", 50, go)
    assert len(done) == level.sent == 3
    assert {x.failure.outcome for x in done if x.failure} == {Outcome.CANCELLED}
    assert all(x.sent_ns is None for x in done)


def test_an_open_loop_sends_by_its_schedule_however_slow_the_answers_are() -> None:
    due = [i * 0.02 for i in range(20)]
    with peer(Gauge(0.3)) as p:
        done, level = drive(p.url, 100, lambda lv: lv.open_loop(iter(due), None))
    assert level.sent == 20
    assert level.peak >= 10
    scheduled = sorted((x.scheduled_ns - level.origin_ns) / 1e9 for x in done)
    assert all(abs(a - b) < 1e-6 for a, b in zip(scheduled, due, strict=True))
    assert all(x.start_ns >= x.scheduled_ns for x in done)


def test_max_in_flight_holds_an_open_loop_back_and_counts_it() -> None:
    with peer(Gauge(0.05)) as p:
        done, level = drive(p.url, 12, lambda lv: lv.open_loop(itertools.repeat(0.0), 3))
    assert len(done) == 12
    assert level.peak == 3
    assert level.held_back >= 3


def test_users_that_end_at_once_go_on_a_few_a_turn() -> None:
    users = 100
    together = threading.Barrier(users, timeout=20)
    asked: list[int] = []
    turn = 0

    def answer(sock: socket.socket, _request: bytes) -> None:
        together.wait()
        sock.sendall(OK)

    async def go(level: Level) -> None:
        loop = asyncio.get_running_loop()
        take = level._source

        def source() -> tuple[Request, HttpRequest] | None:
            if len(asked) == users:
                time.sleep(0.3)  # all answers have come when the loop looks again
            asked.append(turn)
            return take()

        def count() -> None:
            nonlocal turn
            turn += 1
            counting[0] = loop.call_soon(count)

        level._source = source
        counting = [loop.call_soon(count)]
        await level.closed_loop(users)
        counting[0].cancel()

    with peer(answer) as p:
        done, _ = drive(p.url, 2 * users, go)
    assert len(done) == 2 * users
    assert all(x.failure is None for x in done)
    later = asked[users:]
    assert max(later.count(t) for t in later) <= SENDS_A_TURN < users
    assert all(x.start_ns >= x.scheduled_ns for x in done)


def first_byte_then_end(first_s: float, hold_s: float, places: int) -> Callable[[socket.socket, bytes], None]:
    """An endpoint that works on `places` requests at once: each has its first byte `first_s` after it got its place, and ends
    `hold_s` later. The others wait."""
    free = threading.Semaphore(places)

    def answer(sock: socket.socket, _request: bytes) -> None:
        with free:
            time.sleep(first_s)
            sock.sendall(HEAD + chunk(b"data: 1\n\n"))
            time.sleep(hold_s)
            sock.sendall(END)

    return answer


def test_users_that_begin_a_few_at_a_time_wait_for_first_bytes() -> None:
    users, silent, most = 32, [0], [0]
    answer = first_byte_then_end(0.0, 1.5, users)

    def counted(sock: socket.socket, request: bytes) -> None:
        silent[0] += 1
        most[0] = max(most[0], silent[0])
        time.sleep(0.05)
        silent[0] -= 1
        answer(sock, request)

    with peer(counted) as p:
        done, level = drive(p.url, users, lambda lv: lv.closed_loop(users, few=True))
    assert len(done) == level.sent == users
    assert all(x.failure is None for x in done)
    assert level.peak == users
    begun = sorted(x.start_ns for x in done)
    assert begun[-1] - begun[0] > 0.25e9, "sixteen pairs wait 50 ms each"
    assert most[0] <= 8


def test_an_endpoint_that_lets_first_requests_wait_is_full_and_all_users_begin() -> None:
    users, told = 32, []

    async def go(level: Level) -> None:
        take = level._source

        def source() -> tuple[Request, HttpRequest] | None:
            told.append(level.full)
            return take()

        level._source = source
        await level.closed_loop(users, few=True)

    with peer(first_byte_then_end(0.02, 2.0, 12)) as p:
        done, level = drive(p.url, users, go)
    assert len(done) == users
    assert level.full
    assert told[:12] == [False] * 12, "twelve places had a request before one waited"
    assert told[16:users] == [True] * (users - 16)


def test_users_begin_even_if_the_first_request_hangs() -> None:
    def hangs(sock: socket.socket, _request: bytes) -> None:
        sock.recv(1)

    with peer(hangs) as p:
        done, level = drive(p.url, 100, lambda lv: lv.closed_loop(4, few=True), max_seconds=1.0)
    assert len(done) == level.peak == 4
    assert not level.full
