"""The true times of the embedded endpoint, on CLOCK_MONOTONIC, to compare a client's times with."""

from __future__ import annotations

import time
from array import array
from collections import deque

from .words import JsonObject


def realtime_offset() -> int:
    """CLOCK_REALTIME - CLOCK_MONOTONIC, ns: the narrowest of 50 sandwiches."""
    best, offset = 1 << 62, 0
    for _ in range(50):
        a, wall, b = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if b - a < best:
            best, offset = b - a, wall - (a + b) // 2
    return offset


class ServedRequest:
    """What happened to one request. The writes of its tokens are one flat array, before and after in turn: millions of small
    objects would make the garbage collector stop the endpoint for long."""

    __slots__ = ("_writes", "cached_tokens", "outcome", "prompt_tokens", "received_ns", "request_id", "tokens")

    def __init__(self, request_id: str | None, received_ns: int) -> None:
        self.request_id, self.received_ns = request_id, received_ns
        self.outcome, self.tokens = "ok", 0
        self.prompt_tokens: int | None = None
        self.cached_tokens: int | None = None
        self._writes = array("q")

    def wrote(self, before_ns: int, after_ns: int, tokens: int) -> None:
        """A write of output, begun and done at these times."""
        self._writes.append(before_ns)
        self._writes.append(after_ns)
        self.tokens += tokens

    def shown(self, writes: bool) -> JsonObject:
        """As GET /truth has it; null is what did not happen."""
        flat = self._writes.tolist()
        out = {
            "request_id": self.request_id,
            "received_ns": self.received_ns,
            "first_write_ns": flat[:2] or None,
            "last_write_ns": flat[-2:] or None,
            "tokens": self.tokens,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "outcome": self.outcome,
        }
        return out | {"writes": [list(w) for w in zip(flat[::2], flat[1::2], strict=True)]} if writes else out


class Truth:
    """What really happened: one record a request, and the last bodies as they came."""

    def __init__(self) -> None:
        self.records: list[ServedRequest] = []
        self.bodies: deque[dict[str, object]] = deque(maxlen=32)
        self.in_flight = self.peak = 0

    def begin(self, record: ServedRequest, head: dict[str, str], body: bytes) -> None:
        self.records.append(record)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        shown = {k: "***" if k in ("authorization", "x-api-key", "cookie") else v for k, v in head.items()}
        self.bodies.append({"body": body.decode("utf8", "replace"), "headers": shown})

    def answer(self, writes: bool, reset: bool) -> dict[str, object]:
        out = {
            "requests": [record.shown(writes) for record in self.records],
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak,
            "bodies": list(self.bodies),
        }
        if reset:
            self.records, self.peak = [], self.in_flight
            self.bodies.clear()
        return out
