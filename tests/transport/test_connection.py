from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time

import pytest

from basetenkit.core.types import Exchange, Outcome, Request
from basetenkit.transport.clock import Poller, mono
from basetenkit.transport.connection import READ_BYTES, Timeouts
from basetenkit.transport.http1 import ResponseReader
from basetenkit.transport.pool import Origin, Pool

from ..making import number
from ..peer import END, HEAD, OK, chunk, peer, reset
from .loop import exchange_all, on_loop, payload


def failure(x: Exchange) -> tuple[Outcome, str]:
    assert x.failure is not None
    assert x.end_ns is not None
    return x.failure.outcome, x.failure.message


def inside(x: Exchange, at: float, error: float, write: tuple[int, int]) -> bool:
    """Whether an arrival's interval misses neither the moment before the peer's write nor that after it by over 0.1 ms."""
    assert x.sent_ns is not None
    arrived = x.sent_ns + at * 1e9
    return arrived - error * 1e9 - 100_000 <= write[1] and arrived + 100_000 >= write[0]


def test_each_arrival_lies_within_its_bound_of_the_peers_write() -> None:
    writes: list[tuple[int, int]] = []

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD)
        for i in range(20):
            time.sleep(0.003)
            before = mono()
            sock.sendall(chunk(b"data: %d\n\n" % i))
            writes.append((before, mono()))
        sock.sendall(END)

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()])
    assert x.failure is None
    assert x.clock == "kernel"
    assert len(x.arrivals) >= 15
    last = {end: (at, error) for at, error, end in x.arrivals}
    end = 0
    for i, write in enumerate(writes):
        end += len(b"data: %d\n\n" % i)
        if end in last:  # else merged with the next, and judged by that one's bound
            assert inside(x, *last[end], write)


def test_an_exchange_that_is_over_goes_without_the_collector() -> None:
    def cut_off(sock: socket.socket, _request: bytes) -> bool:
        sock.sendall(OK[:-3])
        return False  # it closes

    def readers() -> int:
        return sum(isinstance(x, ResponseReader) for x in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        with peer(lambda sock, _: sock.sendall(OK)) as p:
            assert all(x.failure is None for x in exchange_all(p.url, [payload()] * 20))
        with peer(cut_off) as p:
            (cut,) = exchange_all(p.url, [payload()])
        assert failure(cut)[0] is Outcome.INCOMPLETE
        left = readers()
    finally:
        gc.enable()
    assert left == 0


def test_without_kernel_stamps_the_clock_is_the_processs_own_and_nothing_is_exact() -> None:
    with peer(lambda sock, _: sock.sendall(OK)) as p:
        (x,) = exchange_all(p.url, [payload()], stamps=False)
    assert x.failure is None
    assert x.clock == "user"
    assert not any(x.reads[2::4])
    assert all(error > 0 for _, error, _ in x.arrivals)


def test_a_read_that_fills_its_buffer_is_not_exact_and_hands_its_bound_on() -> None:
    body = b"x" * (3 * READ_BYTES)

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()])
    assert len(x.body) == len(body)
    sizes = [b - a for a, b in zip([0, *x.read_ends], x.read_ends, strict=False)]
    full = [i for i, n in enumerate(sizes) if n == READ_BYTES]
    assert all(not x.reads[4 * i + 2] for i in full)
    assert all(x.reads[4 * (i + 1) + 1] <= x.reads[4 * i + 1] for i in full if i + 1 < len(sizes))


@pytest.mark.parametrize(
    ("timeouts", "words", "says_head"),
    [
        (Timeouts(first_byte=0.1), "no body byte came within 0.1 s (first_byte_timeout_s)", False),
        (Timeouts(between_bytes=0.1), "nothing came for 0.1 s (between_bytes_timeout_s)", True),
        (Timeouts(total=0.15), "the whole request took over 0.15 s (timeout_s)", True),
    ],
)
def test_each_timeout_is_a_timeout_and_says_which(timeouts: Timeouts, words: str, says_head: bool) -> None:
    def answer(sock: socket.socket, _request: bytes) -> None:
        if says_head:
            sock.sendall(HEAD + chunk(b"data: 1\n\n"))
        sock.recv(1)  # until the client gives up

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()], timeouts)
    assert failure(x) == (Outcome.TIMEOUT, words)
    assert bytes(x.body) == (b"data: 1\n\n" if says_head else b"")


def test_a_trickle_does_not_outlive_the_total_timeout() -> None:
    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD)
        for _ in range(200):
            sock.sendall(chunk(b"."))
            time.sleep(0.01)

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()], Timeouts(between_bytes=5, total=0.3))
    assert failure(x)[0] is Outcome.TIMEOUT
    assert (number(x.end_ns) - x.start_ns) / 1e9 < 1.5


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (b"", Outcome.CONNECTION_ERROR),
        (b"HTTP/1.1 200 OK\r\ncontent-", Outcome.CONNECTION_ERROR),
        (HEAD + chunk(b"data: 1\n\n"), Outcome.INCOMPLETE),
    ],
)
@pytest.mark.parametrize("how", ["reset", "closed"])
def test_a_connection_that_ends_early_is_told_by_its_stage(sent: bytes, outcome: Outcome, how: str) -> None:
    def answer(sock: socket.socket, _request: bytes) -> bool:
        if sent:
            sock.sendall(sent)
            time.sleep(0.05)
        if how == "reset":
            reset(sock)
        return False

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()])
    assert failure(x)[0] is outcome


def test_a_large_request_is_sent_in_parts_and_its_upload_is_timed() -> None:
    body = b"a" * (8 << 20)

    def answer(sock: socket.socket, request: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n%08d" % (len(request) % 10**8))

    with peer(answer) as p:
        (x,) = exchange_all(p.url, [payload(body)])
        assert len(p.requests[0]) == len(payload(body).encode())
    assert x.failure is None
    assert x.uploaded_ns is not None
    assert x.sent_ns is not None
    assert x.uploaded_ns > x.sent_ns + x.send_bound_ns


def test_a_first_answer_before_the_upload_ended_is_read_and_the_connection_is_not_used_again() -> None:
    def answer(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        time.sleep(0.2)

    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            answer(sock)

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    (x,) = exchange_all(url, [payload(b"a" * (16 << 20))])
    thread.join()
    listener.close()
    assert x.status == 413
    assert x.failure is None


def test_what_the_kernel_hands_out_late_is_bounded_by_the_read_before() -> None:
    async def work(poller: Poller) -> tuple[Exchange, list[tuple[int, int, bool]]]:
        pool, x = Pool(Origin.of(p.url), poller=poller), Exchange(Request("r", b"", "s"), start_ns=mono())
        connection = await pool.open(x)
        assert connection is not None
        news = asyncio.Event()
        connection.on_progress = news.set
        over = connection.send(x, payload().encode())
        await news.wait()
        await asyncio.sleep(0.02)
        now = mono()
        wall, judged = connection._wall.offset, []
        for stamp, earliest in ((now - 2_000_000, now - 1_000_000), (now - 1_010_000, now - 1_000_000)):
            judged.append(connection._bound_stamp(x, stamp + wall, earliest, full=False))
        go_on.set()
        await over
        await pool.close()
        return x, [(at - now, low - x.reads[0], exact) for at, low, exact in judged]

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD + chunk(b"data: 1\n\n"))
        go_on.wait(20)
        sock.sendall(END)

    go_on = threading.Event()
    with peer(answer) as p:
        x, (late, hardly) = on_loop(work)
    assert x.failure is None
    assert late == (-2_000_000, 0, True)  # down to the stamp of the read before
    assert hardly[0] == -1_010_000
    assert hardly[1] > 0
