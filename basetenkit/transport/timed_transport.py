"""httpx's and httpx2's interface to the engine: any SDK that takes such a client gets the exact arrival times of each response.

client = httpx.AsyncClient(transport=basetenkit.TimedTransport())
response = await client.post(...)
response.extensions["arrivals"]  # [(seconds since the send, proven error in s, end offset in the body), ...]

The current openai and anthropic SDKs are built on httpx2, which has the classes of httpx under another name. The class of a
request shows which of the two is in use; responses, streams and errors are of the same one. httpx2 need not be installed.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpx

from ..core.types import Exchange, Failure, Outcome, Request
from .clock import WallClock, mono
from .connection import Connection, Timeouts
from .pool import Origin, Pool

if TYPE_CHECKING:
    import httpx2

    class _AsyncBaseTransport(httpx.AsyncBaseTransport, httpx2.AsyncBaseTransport):
        """What a type checker sees: a transport of both libraries. When it runs httpx's class is enough: httpx2 does not check."""

        async def handle_async_request(self, request: object) -> Any: ...

else:
    _AsyncBaseTransport = httpx.AsyncBaseTransport


class TimedTransport(_AsyncBaseTransport):
    """A transport for `httpx.AsyncClient` and `httpx2.AsyncClient` whose responses have the arrival time of each byte:
    `response.extensions["arrivals"]` is a list of (seconds since the send, proven error in s, end offset in the body), which
    grows as the body is read. It supports HTTP/1.1 without proxies."""

    def __init__(self, verify: bool | str | ssl.SSLContext = True) -> None:
        self._verify = verify
        self._pools: dict[tuple[str, str, int | None, Timeouts], Pool] = {}
        self._wall: WallClock | None = None

    async def handle_async_request(self, request: Any) -> Any:
        limits = request.extensions.get("timeout", {})
        timeouts = Timeouts(limits.get("connect"), limits.get("read"), limits.get("read"), None)
        self._wall = self._wall or WallClock()
        key = (request.url.scheme, request.url.host, request.url.port, timeouts)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(Origin.of(str(request.url), self._verify), timeouts, wall=self._wall)
        exchange = Exchange(Request("", b"", ""), start_ns=mono())
        connection = await pool.open(exchange)
        if connection is None:
            raise _httpx_error(exchange, request)
        library = _library(request)
        stream = _stream_class(library)(pool, connection, exchange, request, await _payload(request))
        await stream.head()
        return library.Response(
            exchange.status or 0,
            headers=exchange.headers,
            stream=stream,
            extensions={"arrivals": stream.arrivals, "exchange": exchange},
        )

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.close()
        self._pools.clear()


def _library(request: httpx.Request) -> ModuleType:
    """httpx or httpx2: whose class the request is of."""
    return sys.modules[type(request).__module__.partition(".")[0]]


@cache
def _stream_class(library: ModuleType) -> type[_TimedStream]:
    """`_Stream` as that library knows a stream: its client looks at the class."""
    made: type[_TimedStream] = type("_Stream", (_TimedStream, library.AsyncByteStream), {})
    return made


async def _payload(request: httpx.Request) -> bytes:
    """The request as it goes on the wire. Its body is read whole: the clock starts when all of it is ready."""
    body = await request.aread()
    head = [b"%s %s HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)]
    names = {name.lower() for name, _ in request.headers.raw}
    head += [b"%s: %s\r\n" % pair for pair in request.headers.raw if pair[0].lower() != b"transfer-encoding"]
    if body and b"content-length" not in names:
        head.append(b"content-length: %d\r\n" % len(body))
    return b"".join((*head, b"\r\n", body))


def _httpx_error(exchange: Exchange, request: httpx.Request) -> httpx.TransportError:
    failure = exchange.failure or Failure(Outcome.INCOMPLETE, "the connection ended before the response's head")
    outcome, sent = failure.outcome, exchange.sent_ns is not None
    if outcome is Outcome.TIMEOUT:
        name = "ReadTimeout" if sent else "ConnectTimeout"
    elif not sent:
        name = "ConnectError"
    else:
        name = "RemoteProtocolError" if outcome is Outcome.MALFORMED else "ReadError"
    error: httpx.TransportError = getattr(_library(request), name)(failure.message, request=request)
    return error


class _TimedStream:
    """A response's body, given on as it comes."""

    def __init__(
        self, pool: Pool, connection: Connection, exchange: Exchange, request: httpx.Request, payload: bytes
    ) -> None:
        self._pool, self._connection, self._exchange, self._request = pool, connection, exchange, request
        self.arrivals: list[tuple[float, float, int]] = []
        self._news = asyncio.Event()
        connection.on_progress = self._news.set
        self._over = connection.send(exchange, payload)

    async def _wait(self) -> None:
        self._news.clear()
        if not self._over.done():
            await self._news.wait()

    async def head(self) -> None:
        """Waits for the status line and headers."""
        try:
            while self._exchange.status is None and not self._over.done():
                await self._wait()
        except BaseException:
            await self.aclose()
            raise
        if self._exchange.status is None:
            await self.aclose()
            raise _httpx_error(self._exchange, self._request)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        given = 0
        while True:
            over = self._over.done()
            body = self._exchange.body
            if len(body) > given:
                piece = bytes(memoryview(body)[given:])
                given += len(piece)
                self.arrivals[:] = self._exchange.arrivals
                yield piece
            elif over:
                break
            else:
                await self._wait()
        if self._exchange.failure is not None:
            raise _httpx_error(self._exchange, self._request)

    async def aclose(self) -> None:
        if not self._over.done():
            self._connection.abort(Failure(Outcome.CANCELLED, "the response was closed before its end"))
        self._connection.on_progress = None
        self._pool.give_back(self._connection)
