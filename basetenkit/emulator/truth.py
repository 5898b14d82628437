"""What really happened at the embedded endpoint, on CLOCK_MONOTONIC, for a client to be held against."""

from __future__ import annotations

import time
from collections import deque
from typing import Any


def realtime_offset() -> int:
    """CLOCK_REALTIME - CLOCK_MONOTONIC, ns: the narrowest of 50 sandwiches."""
    best, offset = 1 << 62, 0
    for _ in range(50):
        a, wall, b = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if b - a < best:
            best, offset = b - a, wall - (a + b) // 2
    return offset


class Truth:
    """What really happened: one record a request, and the last bodies as they came."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.bodies: deque[dict[str, Any]] = deque(maxlen=32)
        self.in_flight = self.peak = 0

    def begin(self, record: dict[str, Any], head: dict[str, str], body: bytes) -> None:
        self.records.append(record)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        shown = {k: "***" if k in ("authorization", "x-api-key", "cookie") else v for k, v in head.items()}
        self.bodies.append({"body": body.decode("utf8", "replace"), "headers": shown})

    def answer(self, writes: bool, reset: bool) -> dict[str, Any]:
        records = [r if writes else {k: v for k, v in r.items() if k != "writes"} for r in self.records]
        out = {
            "requests": records,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak,
            "bodies": list(self.bodies),
        }
        if reset:
            self.records, self.peak = [], self.in_flight
            self.bodies.clear()
        return out
