from __future__ import annotations

import contextlib
import select
import selectors
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from basetenkit.transport import clock


def test_the_offset_turns_wall_time_into_monotonic_time() -> None:
    offset = clock.measure_offset()
    before = time.monotonic_ns()
    wall = time.time_ns()
    after = time.monotonic_ns()
    assert before - 1_000_000 < wall - offset < after + 1_000_000


def test_a_stepped_wall_clock_is_noticed_and_an_unmoved_one_is_not() -> None:
    wall = clock.WallClock()
    assert not wall.refresh()
    wall.offset -= 5_000_000  # what it would hold had the clock been stepped by 5 ms since
    assert wall.refresh()
    assert wall.steps[0][1] == pytest.approx(5_000_000, abs=100_000)
    assert not wall.refresh()


def test_the_poller_notes_its_last_two_polls_and_wakes_each_millisecond_while_in_flight() -> None:
    poller = clock.Poller()
    poller.select(0)
    first = poller.began
    poller.in_flight = 1
    poller.select(60)  # would sleep for a minute if nothing were in flight
    assert poller.previous == first
    assert first < poller.began < poller.returned
    poller.close()


@contextlib.contextmanager
def polled(count: int) -> Iterator[tuple[clock.Poller, list[socket.socket], list[socket.socket]]]:
    """A Poller with `count` connections registered, those, and their other ends."""
    poller, pairs = clock.Poller(), [socket.socketpair() for _ in range(count)]
    for ours, _ in pairs:
        poller.register(ours, selectors.EVENT_READ)
    try:
        yield poller, [ours for ours, _ in pairs], [theirs for _, theirs in pairs]
    finally:
        poller.close()
        for pair in pairs:
            for sock in pair:
                sock.close()


@contextlib.contextmanager
def two_waiting() -> Iterator[tuple[clock.Poller, socket.socket, socket.socket]]:
    """A Poller that has handed out a slice, and the two connections that wait for the next."""
    with polled(clock.SLICE + 2) as (poller, ours, theirs):
        for sock in theirs:
            sock.send(b"x")
        handed_out = set(numbers(poller.select(0)))
        one, other = (sock for sock in ours if sock.fileno() not in handed_out)
        yield poller, one, other


def numbers(ready: clock.Ready) -> list[int]:
    return [key.fd for key, _ in ready]


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="slices need epoll")
def test_what_is_ready_is_handed_out_once_a_slice_a_turn_and_the_hastened_before_it() -> None:
    with polled(3 * clock.SLICE) as (poller, ours, theirs):
        early, late = ours[-1].fileno(), ours[-2].fileno()
        poller.prioritize(early)
        poller.prioritize(late)
        for sock in theirs[:-2]:
            sock.send(b"x")
        theirs[-1].send(b"x")
        first = numbers(poller.select(0))
        began, previous = poller.began, poller.previous
        assert first[0] == early
        assert len(first) == clock.SLICE + 1
        ours[-1].recv(1)
        theirs[-2].send(b"x")  # while others wait
        second = numbers(poller.select(60))  # something is ready: it does not wait
        assert second[0] == late
        assert len(second) == clock.SLICE + 1
        assert (poller.began, poller.previous) == (began, previous)  # the others were reported by the poll before
        assert poller.prev_priority_poll == began
        ours[-2].recv(1)
        third = numbers(poller.select(0))
        assert poller.prev_priority_poll > began
        assert sorted(first + second + third) == sorted(sock.fileno() for sock in ours)
        poller.deprioritize(early)
        for sock in (ours[0], ours[-1]):
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.recv(1)
        theirs[-1].send(b"x")
        assert early not in numbers(poller.select(0))  # a socket that is no longer hastened takes its turn
        assert poller.previous == began
        poller.deprioritize(late)


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="slices need epoll")
def test_what_is_closed_while_it_waits_is_not_handed_out_under_its_numbers_next_owner() -> None:
    with two_waiting() as (poller, gone, left):
        number = gone.fileno()
        poller.unregister(gone)
        gone.close()
        with socket.socket() as other:
            assert other.fileno() == number
            poller.register(other, selectors.EVENT_WRITE)
            assert numbers(poller.select(0)) == [left.fileno()]
            poller.unregister(other)


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="slices need epoll")
def test_what_waits_is_handed_out_with_what_it_is_registered_for_now() -> None:
    with two_waiting() as (poller, one, other):
        assert poller.behind_s > 0
        poller.modify(one, selectors.EVENT_READ, "new")
        poller.modify(other, selectors.EVENT_WRITE, "not asked for")
        second = {key.data: mask for key, mask in poller.select(0)}
        assert second == {"new": selectors.EVENT_READ, "not asked for": 0}
        assert poller.behind_s == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernel stamps are Linux's")
def test_the_kernel_stamps_when_bytes_came_and_not_when_they_were_read() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    assert clock.enable_stamps(client)
    offset, before = clock.measure_offset(), time.monotonic_ns()
    server.send(b"x")
    after = time.monotonic_ns()
    time.sleep(0.05)
    data, ancillary, _, _ = client.recvmsg(16, clock.ANCILLARY_BYTES)
    stamp = clock.stamp_of(ancillary) - offset
    info = clock.tcp_info(client)
    for sock in (client, server, listener):
        sock.close()
    assert data == b"x"
    assert before - 50_000 <= stamp <= after + 50_000
    assert info is not None
    assert info[0] > 0


def test_a_read_without_a_stamp_has_none() -> None:
    assert clock.stamp_of([]) == 0
    assert clock.stamp_of([(socket.SOL_SOCKET, 1, b"12345678")]) == 0


def test_a_closed_socket_has_no_tcp_info() -> None:
    sock = socket.socket()
    sock.close()
    assert clock.tcp_info(sock) is None
