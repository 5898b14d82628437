"""What goes out: the requests of a level, built ahead as they go on the wire, and the guard on what they spend."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import httpx

from . import __version__
from .config import Endpoint, RunConfig
from .types import Request
from .workload.sampler import Sampler

LOOK_AHEAD = 2048


def request_head(endpoint: Endpoint) -> bytes:
    """The request's head up to its request id and content length. It holds the key: never log it."""
    url = httpx.URL(endpoint.url)
    target, host = url.raw_path.decode("ascii"), url.netloc.decode("ascii")
    # Never `accept: application/json` on a stream: Truss then gathers all of it into one JSON string.
    headers = {
        "host": host,
        "user-agent": f"basetenkit/{__version__}",
        "accept": "text/event-stream, */*" if endpoint.stream else "*/*",
        "accept-encoding": "identity",
        "content-type": "application/json",
    }
    if authorization := endpoint.authorization():
        headers["authorization"] = authorization
    headers |= {name.lower(): value for name, value in endpoint.headers.items()}
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1", "replace")


class Source:
    """The requests of one level, built ahead: called by the engine for the next, refilled in the Backlog's turns."""

    def __init__(self, config: RunConfig, sampler: Sampler, head: bytes, prefix: str, spend: Spend) -> None:
        self._config, self._sampler, self._head, self._prefix, self._spend = config, sampler, head, prefix, spend
        self._total = config.warmup_requests + config.max_requests
        self._ready: deque[tuple[Request, bytes]] = deque()
        self._built = 0

    def _build(self) -> None:
        phase = "warmup" if self._built < self._config.warmup_requests else "measured"
        request = self._sampler.request(f"{self._prefix}-{self._built:06d}", phase)
        # Not x-request-id: some servers refuse one that is no UUID.
        tail = f"x-baseten-customer-request-id: {request.request_id}\r\ncontent-length: {len(request.body)}\r\n\r\n".encode()
        self._ready.append((request, self._head + tail + request.body))
        self._built += 1

    def refill(self) -> bool:
        """Builds one more where there is room; False where there is nothing to do."""
        if self._built >= self._total or len(self._ready) >= LOOK_AHEAD:
            return False
        self._build()
        return True

    def fill(self, count: int) -> None:
        """Builds up to `count` before the level starts."""
        while len(self._ready) < count and self.refill():
            pass

    def __call__(self) -> tuple[Request, bytes] | None:
        if not self._ready and self._built < self._total:
            self._build()
        if not self._ready or not self._spend.allow(self._ready[0][0]):
            return None
        return self._ready.popleft()


@dataclass
class Spend:
    """The guard on tokens: counts what was promised to requests in flight, then what they really took."""

    limit: int | None = None
    tokens: int = 0
    reached: bool = False

    @staticmethod
    def _promised(request: Request) -> int:
        return (request.input_tokens_client or request.input_tokens_target or 0) + (request.output_tokens_target or 0)

    def allow(self, request: Request) -> bool:
        promised = self._promised(request)
        if self.limit is not None and self.tokens + promised > self.limit:
            self.reached = True
            return False
        self.tokens += promised
        return True

    def settle(self, request: Request, row: dict[str, Any]) -> None:
        if row["sent_s"] is None:
            self.tokens -= self._promised(request)
        elif row["input_tokens"] is not None and row["output_tokens"] is not None:
            self.tokens += row["input_tokens"] + row["output_tokens"] - self._promised(request)
