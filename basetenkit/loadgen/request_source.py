"""The requests of a level, built in advance as bytes, the limit on their tokens, and the connections."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import httpx

from ..config.endpoint import Endpoint
from ..config.loads import Load
from ..config.run_config import RunConfig
from ..core.types import Exchange, NewRow, Request
from ..core.version import __version__
from ..transport.clock import Poller, WallClock
from ..transport.connection import Timeouts
from ..transport.http_request import Head, HttpRequest
from ..transport.httpcore_pool import HttpxPool
from ..transport.pool import Origin, Pool
from .counters import COOLDOWN, MEASURED, RAMP, WARMUP, Quota, SharedCounters
from .driver import NextTurn
from .retries import pause_before_again
from .stop_conditions import TokenLimit

ID_HEADER = "x-baseten-customer-request-id"  # not x-request-id: some servers refuse one that is no UUID
# Whole bodies wait: so many, or so many bytes of them, as a body with images is of megabytes.
LOOK_AHEAD, LOOK_AHEAD_BYTES = 2048, 64 << 20
STEADY_AHEAD = 16


def request_head(endpoint: Endpoint) -> Head:
    """What all requests to an endpoint have in common. It holds the key: never log it."""
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
    return Head("POST", target, tuple(headers.items()))


class Maker(Protocol):
    """A Sampler, or who else makes the next request; `opening` makes one of the first that a steady level sends, `drawn` the one
    of a given draw of the level (None if that is no longer known)."""

    def request(self, request_id: str) -> Request: ...

    def opening(self) -> Request: ...

    def drawn(self, draw: int) -> Request | None: ...


def quota(config: RunConfig, load: Load) -> Quota:
    """The requests that a level of `config` has under this load."""
    return Quota(config.requests_of(load), config.warmup_requests, config.steady, load.scheduled)


class RequestSource:
    """The requests of one sender's part of a level, built ahead: called by the engine for the next, refilled in the ResponseQueue's
    turns. A request's number, and with it its id and phase, is given when it goes: by the tally, so that of several senders
    none runs dry before the others; or, with `stride`, by a schedule that gives this sender every `stride`-th.

    `openings`: how many users begin at once. In a steady level the first request of each is in the middle of its response, so
    to say: drawn in proportion to its output length and cut at a random place, as a stationary load would have found it.
    `around`: who makes the load around the measured requests, so that those are the same in every run of one seed."""

    def __init__(
        self,
        config: RunConfig,
        sampler: Maker,
        head: Head,
        prefix: str,
        spend: TokenBudget,
        *,
        first: int = 0,
        stride: int | None = None,
        openings: int = 0,
        around: Maker | None = None,
    ) -> None:
        self._config, self._sampler, self._head, self._prefix, self._spend = config, sampler, head, prefix, spend
        self._around, self._spare = around, deque[Request]()
        self._total = spend.tally.warmup + spend.tally.goal
        self._openings = openings if config.steady else 0
        self._beyond = max(openings, STEADY_AHEAD) if config.steady else 0
        self._ready: deque[Request] = deque()
        self._ready_bytes = 0
        self._at, self._stride = first, stride
        self._by_place = stride is not None and spend.tally.numbered_by_schedule

    @property
    def next_turn(self) -> NextTurn | None:
        """The source of the request that follows an exchange, when it is due; None if requests are independent."""
        return None

    def due(self, times: Iterator[float]) -> Iterator[float]:
        """Of the times of a schedule, in s since the level's start, those at which this sender has a request to begin."""
        return itertools.islice(times, self._at, None, self._stride)

    def answered(self, request: Request, text: str | None) -> None:
        """Receives the text of a response when it has been read; None if it failed. Nothing depends on it here."""

    @property
    def _left(self) -> int:
        """How many more this sender may come to send; of the load around a steady level's measured requests, a few."""
        if self._stride is None or not self._by_place:
            return max(self._total - self._spend.tally.taken, 0) + self._beyond
        return max(0, -((self._at - self._total) // self._stride)) + self._beyond

    def refill(self) -> bool:
        """Builds one more if there is room; False if there is nothing to do."""
        if self._around is not None and len(self._spare) < self._beyond:
            self._spare.append(self._around.request(""))
            return True
        if len(self._ready) >= min(self._left, LOOK_AHEAD) or self._ready_bytes >= LOOK_AHEAD_BYTES:
            return False
        self._build()
        return True

    def _build(self) -> None:
        if self._openings:
            self._openings -= 1
            request = replace((self._around or self._sampler).opening(), opening=True)
        else:
            request = self._sampler.request("")
        self._ready.append(request)
        self._ready_bytes += len(request.body)

    def begin_whole(self) -> None:
        """From here on no user begins in the middle of a response: the endpoint is full, and has not begun what waits."""
        self._openings = 0
        while self._ready and self._ready[0].opening:
            self._ready_bytes -= len(self._ready.popleft().body)

    def fill(self, count: int) -> None:
        """Builds up to `count` before the level starts."""
        while len(self._ready) < count and self.refill():
            pass

    def __call__(self, settled: bool = True) -> tuple[Request, HttpRequest] | None:
        """The next request, and as HTTP has it; `settled`: whether the load has settled. None if nothing is left to send."""
        if not self._ready:
            self._build()
        taken = self._spend.take(self._ready[0], self._at if self._by_place else None, settled)
        if taken is None:
            return None
        self._at += self._stride or 0
        if self._around is not None and taken[1] in (RAMP, COOLDOWN) and not self._ready[0].opening:
            return self._addressed(self._instead(self._around), *taken)
        if (other := self._taken_over(taken[1])) is not None:
            return self._addressed(other, *taken)
        request = self._ready.popleft()
        self._ready_bytes -= len(request.body)
        return self._addressed(request, *taken)

    def _taken_over(self, phase: str) -> Request | None:
        """The request that goes in place of the next one built, where that one's draw is past the level's end and another sender
        has draws left: near the end of a closed loop that several send."""
        if self._stride is not None or phase not in (WARMUP, MEASURED) or self._ready[0].opening:
            return None
        draw = self._spend.tally.draw()
        request = None if draw is None else self._sampler.drawn(draw)
        if request is not None:
            self._spend.swap(self._ready[0], request)
        return request

    def unnumbered(self) -> tuple[Request, HttpRequest]:
        """The next request outside of the level's numbers and of the guard on tokens, and as HTTP has it."""
        if not self._ready:
            self._build()
        return self._addressed(self._ready[0], 0, WARMUP)

    def _instead(self, around: Maker) -> Request:
        """A request of the load around the measured ones, in place of the next measured one: how many of those go depends on the
        endpoint, and the measured ones are the same whatever it does."""
        request = self._spare.popleft() if self._spare else around.request("")
        self._spend.swap(self._ready[0], request)
        return request

    def _addressed(self, request: Request, number: int, phase: str) -> tuple[Request, HttpRequest]:
        """The request under its number in the level and in its phase, and as HTTP has it."""
        number = self._spend.tally.place(number)
        request = replace(request, request_id=request_id(self._prefix, number), number=number, phase=phase)
        return request, HttpRequest(self._head, ((ID_HEADER, request.request_id),), request.body)

    def retry(self, exchange: Exchange) -> tuple[float, Request, HttpRequest] | None:
        """(seconds to wait, the request as it goes again, in HTTP) after a try in the warm-up; None if that was the last."""
        before = exchange.request
        if before.number is None or before.phase != "warmup" or before.attempt > self._config.warmup_retries:
            return None
        pause = pause_before_again(exchange, before.attempt)
        if pause is None:
            return None
        attempt = before.attempt + 1
        request = replace(before, request_id=request_id(self._prefix, before.number, attempt), attempt=attempt)
        self._spend.reserve(request)
        return pause, request, HttpRequest(self._head, ((ID_HEADER, request.request_id),), request.body)


def request_id(prefix: str, number: int, attempt: int = 1) -> str:
    return f"{prefix}-{number:06d}" if attempt == 1 else f"{prefix}-t{attempt}-{number:06d}"


class TokenBudget:
    """The guard on tokens: counts what was promised to requests in flight, then what they really took; over all senders."""

    def __init__(self, limit: int | None = None, tally: SharedCounters | None = None) -> None:
        self._limit, self.tally = TokenLimit(limit), tally or SharedCounters()

    @staticmethod
    def _reserved(request: Request) -> int:
        return (request.input_tokens_client or request.input_tokens_target or 0) + (request.output_tokens_target or 0)

    def take(self, request: Request, at: int | None = None, settled: bool = True) -> tuple[int, str] | None:
        """The number and phase under which `request` may go, its tokens promised; None if all are taken or the limit forbids
        it."""
        return self.tally.take(self._reserved(request), self._limit, at, settled)

    def take_reserved(self, request: Request, number: int, phase: str) -> bool:
        """Whether `request` may go under a number that was reserved for it."""
        return self.tally.take_reserved(number, phase, self._reserved(request), self._limit)

    def reserve(self, request: Request) -> None:
        """The tokens of one that goes again, whatever the limit: the row of the try before gave its own back."""
        self.tally.spend(self._reserved(request))

    def swap(self, promised: Request, sent: Request) -> None:
        """Another request goes than the one whose tokens were promised."""
        self.tally.spend(self._reserved(sent) - self._reserved(promised))

    def commit(self, request: Request, row: NewRow) -> None:
        if row["sent_s"] is None:
            self.tally.spend(-self._reserved(request))
        elif row["input_tokens"] is not None and row["output_tokens"] is not None:
            self.tally.spend(row["input_tokens"] + row["output_tokens"] - self._reserved(request))


def connections(endpoint: Endpoint, poller: Poller, wall: WallClock) -> Pool | HttpxPool:
    """The engine's own connections, or httpx's where an endpoint needs a proxy or HTTP/2."""
    if not endpoint.by_httpx:
        origin = Origin.of(endpoint.url, endpoint.verify, endpoint.client_cert)
        return Pool(origin, timeouts(endpoint), poller=poller, wall=wall)
    return HttpxPool(
        endpoint.url,
        timeouts(endpoint),
        proxy=endpoint.proxy,
        http2=endpoint.http2,
        verify=endpoint.verify,
        client_cert=endpoint.client_cert,
        poller=poller,
        wall=wall,
    )


def timeouts(endpoint: Endpoint) -> Timeouts:
    """The engine's limits out of an endpoint's fields."""
    return Timeouts(
        endpoint.connect_timeout_s, endpoint.first_byte_timeout_s, endpoint.between_bytes_timeout_s, endpoint.timeout_s
    )
