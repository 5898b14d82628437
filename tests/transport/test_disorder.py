"""A segment that is lost and comes late: the data behind it waits in the OS kernel with its own, earlier stamp.

The peer is a real one, but for one segment: the later half of an answer is put on the wire by a raw socket, ahead of its turn,
and the earlier half is sent by the peer's own socket 80 ms after. That is what a lost segment and its repetition look like."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from ..peer import END, HEAD, chunk, peer
from .loop import exchange_all, payload

FIRST, SECOND = chunk(b"data: first\n\n"), chunk(b"data: second\n\n")
LATE_S = 0.08


@contextlib.contextmanager
def wiretap() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.settimeout(5)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        yield raw


def last_numbers(raw: socket.socket, client: int, server: int) -> tuple[int, int]:
    """(sequence, acknowledgement) after the last segment that the client sent, out of what the wiretap has kept."""
    found = None
    raw.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            packet = raw.recv(65536)
            tcp = packet[(packet[0] & 15) * 4 :]
            source, target, sequence, acknowledgement, offset = struct.unpack_from("!HHIIB", tcp)
            if (source, target) == (client, server):
                found = (sequence + len(tcp) - (offset >> 4) * 4) % (1 << 32), acknowledgement
    assert found is not None
    return found


def segment(source: int, target: int, sequence: int, acknowledgement: int, data: bytes) -> bytes:
    """A TCP segment between two ports of this machine, with its checksum."""
    head = struct.pack("!HHIIBBHHH", source, target, sequence % (1 << 32), acknowledgement, 5 << 4, 0x18, 512, 0, 0)
    here = socket.inet_aton("127.0.0.1")
    whole = here + here + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(head) + len(data)) + head + data
    total = sum(struct.unpack(f"!{(len(whole) + 1) // 2}H", whole + b"\0" * (len(whole) % 2)))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return head[:16] + struct.pack("!H", total) + head[18:] + data


@pytest.mark.raw
def test_a_lost_segment_that_comes_late_is_not_taken_for_an_early_one() -> None:
    written: list[int] = []

    def answer(sock: socket.socket, _request: bytes) -> None:
        client, server = sock.getpeername()[1], sock.getsockname()[1]
        sock.sendall(HEAD)
        time.sleep(0.05)  # acknowledged, and nothing else is under way
        sequence, acknowledgement = last_numbers(raw, client, server)
        ahead = segment(server, client, acknowledgement + len(FIRST), sequence, SECOND)
        raw.sendto(ahead, ("127.0.0.1", 0))
        time.sleep(LATE_S)
        written.append(time.monotonic_ns())
        sock.sendall(FIRST)
        time.sleep(0.02)
        sock.sendall(SECOND + END)  # the client has that half and lets it go by

    with wiretap() as raw, peer(answer) as p:
        (x,) = exchange_all(p.url, [payload()])
    assert x.failure is None
    assert bytes(x.body) == b"data: first\n\ndata: second\n\n"
    assert x.out_of_order
    assert x.sent_ns is not None
    at, error, end = x.arrivals[0]
    assert end == len(x.body)  # both halves came with one read, whose stamp is that of the half that had waited
    true = (written[0] - x.sent_ns) / 1e9
    assert at - error <= true <= at
    assert error > LATE_S / 2  # the stamp lies that far back, and the interval reaches down to it
