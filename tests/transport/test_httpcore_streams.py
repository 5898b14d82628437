"""The frames of an HTTP/2 connection, however its bytes are cut, and what a read of a real socket proves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import httpcore
import pytest

from basetenkit.transport.clock import NoPoller, mono
from basetenkit.transport.httpcore_streams import Backend, Frames, Read, StampedStream

DATA, HEADERS = 0, 1


def frame(kind: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + stream.to_bytes(4, "big") + payload


CONNECTION = [
    frame(HEADERS, 1, b"head"),
    frame(DATA, 1, b"one"),
    frame(DATA, 3, b"two" * 100),
    frame(DATA, 1, b""),
    frame(DATA, 3, b"three"),
]


def taken(frames: Frames, stream: int) -> list[Read]:
    return list(iter(lambda: frames.next(stream), None))


@pytest.mark.parametrize("size", [1, 2, 7, 9, 10, 64, 10_000])
def test_each_data_frame_has_the_read_that_completed_it(size: int) -> None:
    whole, frames = b"".join(CONNECTION), Frames()
    for at in range(0, len(whole), size):
        frames.feed(whole[at : at + size], (at, at))
    ends = [sum(map(len, CONNECTION[: i + 1])) for i in range(len(CONNECTION))]
    completed = [(end - 1) // size * size for end in ends]
    assert [read for read, _ in taken(frames, 1)] == [completed[1], completed[3]]
    assert [read for read, _ in taken(frames, 3)] == [completed[2], completed[4]]


def test_a_stream_that_is_over_is_forgotten() -> None:
    frames = Frames()
    frames.feed(b"".join(CONNECTION), (5, 4))
    frames.forget(3)
    assert frames.next(3) is None
    assert frames.next(1) == (5, 4)


@contextlib.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_a_read_states_the_interval_in_which_its_bytes_came() -> None:
    async def work(ours: socket.socket, theirs: socket.socket) -> tuple[StampedStream, int, int]:
        stream = StampedStream(ours, NoPoller())
        reading = asyncio.ensure_future(stream.read(100))
        await asyncio.sleep(0.02)
        before = mono()
        theirs.sendall(b"late")
        after = mono()
        assert await reading == b"late"
        return stream, before, after

    with pair() as (ours, theirs):
        stream, before, after = asyncio.run(work(ours, theirs))
    ((returned, earliest),) = stream.reads
    assert earliest <= after
    assert returned >= before


def test_what_a_full_read_left_behind_may_be_as_old_as_what_it_took() -> None:
    async def work(ours: socket.socket, theirs: socket.socket) -> StampedStream:
        stream = StampedStream(ours, NoPoller())
        theirs.sendall(b"abcdef")
        assert [await stream.read(3), await stream.read(100)] == [b"abc", b"def"]
        theirs.close()
        assert await stream.read(100) == b""
        return stream

    with pair() as (ours, theirs):
        stream = asyncio.run(work(ours, theirs))
    first, second = stream.reads  # the end of the stream brought no bytes
    assert first[1] == second[1]


def test_nobody_listening_is_a_sentence() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(httpcore.ConnectError, match=f"no connection to 127.0.0.1:{port}"):
        asyncio.run(Backend(NoPoller()).connect_tcp("127.0.0.1", port))
