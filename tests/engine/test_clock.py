from __future__ import annotations

import socket
import sys
import time

import pytest

from basetenkit.engine import clock


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
