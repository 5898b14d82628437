"""Requests through a proxy or over HTTP/2: uses httpx's own connections (httpcore) instead of the engine's pool.

The result is the same: an Exchange with its bytes and their intervals, or a Failure. There are no OS timestamps here, so each
interval ends when Python read the bytes (`clock` is "user"), and begins at the time that `streams` proves. The send is bounded
by httpcore's own report of when it wrote the request's head.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from typing import TypeVar

import httpcore
import httpx

from ..core.types import Cause, Exchange, Failure, Outcome
from .clock import NoPoller, Poller, WallClock, mono
from .connection import Timeouts
from .http1 import BODY_LIMIT
from .http_request import HttpRequest
from .httpcore_streams import Backend, Read, StampedStream
from .kept import name_kept
from .limits import cause_of
from .pool import ConnectBarrier, tls_context

T = TypeVar("T")


class HttpxPool:
    """What `Pool` is, for one URL through `proxy`, or over HTTP/2."""

    def __init__(
        self,
        url: str,
        timeouts: Timeouts,
        *,
        proxy: str | None = None,
        http2: bool = False,
        verify: bool | str | ssl.SSLContext = True,
        client_cert: str | None = None,
        poller: Poller | NoPoller | None = None,
        wall: WallClock | None = None,
    ) -> None:
        self._url, self._timeouts, self._proxy = httpx.URL(url), timeouts, proxy
        self._poller, self._wall = poller or NoPoller(), wall or WallClock()
        context = tls_context(verify, client_cert)
        if http2:
            context.set_alpn_protocols(["h2", "http/1.1"])
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            proxy=_proxy(proxy, context) if proxy else None,
            max_connections=None,
            http2=http2,
            network_backend=Backend(self._poller),
        )

    async def exchange(self, exchange: Exchange, message: HttpRequest, gate: ConnectBarrier | None = None) -> None:
        """Sends `message` and fills `exchange`; any error is in `exchange.failure`. Cancelling it marks the exchange
        `cancelled`, and goes on as a cancellation. Nobody waits for the others of a wave: who connects when is httpcore's."""
        exchange.start_ns = exchange.start_ns or mono()
        if gate is not None:
            gate.leave()
        self._poller.begin()
        try:
            async with asyncio.timeout(self._timeouts.total):
                await self._perform(exchange, message)
        except asyncio.CancelledError:
            exchange.failure = exchange.failure or Failure(
                Outcome.CANCELLED, "the request was cancelled while it was in flight"
            )
            raise
        except TimeoutError:
            exchange.failure = Failure(
                Outcome.TIMEOUT, f"the request took longer than {self._timeouts.total:g} s (timeout_s)"
            )
        except _Late as late:
            exchange.failure = Failure(Outcome.TIMEOUT, str(late))
        except (httpcore.TimeoutException, httpcore.ConnectError, httpcore.ProxyError) as error:
            exchange.failure = self._unconnected(error)
        except Exception as error:
            if not isinstance(error, (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol)):
                raise
            exchange.failure = exchange.failure or _broken(exchange, error)
        finally:
            self._poller.end()
            exchange.end_ns = exchange.end_ns or mono()

    def _unconnected(self, error: Exception) -> Failure:
        through = f" (through the proxy {httpx.URL(self._proxy).host})" if self._proxy else ""
        if isinstance(error, httpcore.TimeoutException):
            return Failure(Outcome.TIMEOUT, f"{error or 'no connection in time'} (connect_timeout_s){through}")
        if isinstance(error, httpcore.ProxyError):
            return Failure(Outcome.CONNECTION_ERROR, f"the proxy refused: {error}{through}", Cause.REFUSED)
        system = error.__cause__  # `streams` raises its errors from the system's own
        cause = cause_of(system) if isinstance(system, OSError) else None
        return Failure(Outcome.CONNECTION_ERROR, f"{error}{through}", cause)

    async def _perform(self, exchange: Exchange, message: HttpRequest) -> None:
        headers = [(name.encode("latin-1", "replace"), v.encode("latin-1", "replace")) for name, v in message.headers]
        url, target = self._url, message.head.target.encode("ascii")
        exchange.clock = "user"
        trace = _Trace(exchange, self._wall)
        request = httpcore.Request(
            message.head.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=target),
            headers=headers,
            content=message.body,
            extensions={"trace": trace, "timeout": {"connect": self._timeouts.connect}},
        )
        try:
            response = await self._in_time(self._pool.handle_async_request(request), exchange)
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            # Nothing here tells whether the other side had taken the request, so it is not sent again.
            exchange.failure = _broken(exchange, error)
            name_kept(exchange, kept=not trace.connected)
            raise
        try:
            exchange.status = response.status
            exchange.headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in response.headers]
            exchange.body = body = bytearray()
            await self._body(response, exchange, body)
        finally:
            await response.aclose()

    async def _in_time(self, wanted: Awaitable[T], exchange: Exchange) -> T:
        """The awaited value, within the limit on the first byte or on later ones."""
        limit, name = self._timeouts.between_bytes, "between_bytes_timeout_s"
        words, left = "no byte for {:g} s within the response", limit
        if not exchange.body:
            limit, name, words = self._timeouts.first_byte, "first_byte_timeout_s", "no answer within {:g} s"
            left = limit and limit - (mono() - (exchange.sent_ns or mono())) / 1e9
        try:
            return await asyncio.wait_for(wanted, left)
        except TimeoutError:
            if limit is None:
                raise
            raise _Late(f"{words.format(limit)} ({name})") from None

    async def _body(self, response: httpcore.Response, exchange: Exchange, body: bytearray) -> None:
        stream, number = response.extensions.get("network_stream"), response.extensions.get("stream_id")
        pieces = response.aiter_stream().__aiter__()
        interval = Clock(stream, number)
        try:
            while (piece := await self._in_time(anext(pieces, None), exchange)) is not None:
                latest, earliest = interval.of_next(exchange.sent_ns or exchange.start_ns)
                body += piece
                exchange.reads.extend((latest, earliest, 0, len(body)))
                if len(body) > BODY_LIMIT:
                    exchange.failure = Failure(Outcome.MALFORMED, f"the body is longer than {BODY_LIMIT >> 20} MiB")
                    return
        finally:
            interval.close()

    async def close(self) -> None:
        """Closes every connection."""
        await self._pool.aclose()


class Clock:
    """The interval in which each piece of one response came: that of its frame, or of the reads since the piece before."""

    def __init__(self, stream: object, number: int | None) -> None:
        self._stream = stream if isinstance(stream, StampedStream) else None
        self._number, self._earliest = number, 0

    def of_next(self, sent_ns: int) -> Read:
        """(latest, earliest) of the piece that was just handed on."""
        stream, now = self._stream, mono()
        if stream is None:
            return now, sent_ns
        if stream.frames is not None and self._number is not None:
            found = stream.frames.next(self._number)
            return (now, sent_ns) if found is None else (found[0], max(found[1], sent_ns))
        latest = now
        if stream.reads:  # of HTTP/1.1 only this response reads the connection
            latest, self._earliest = stream.reads[-1][0], stream.reads[0][1]
            stream.reads.clear()
        return latest, max(self._earliest, sent_ns)

    def close(self) -> None:
        if self._stream is not None and self._stream.frames is not None and self._number is not None:
            self._stream.frames.forget(self._number)


class _Late(Exception):
    """A limit of the endpoint's that passed; its text says which."""


class _Trace:
    """httpcore's own account of a request -> the exchange's times. The last head that was written is the request's: through a
    proxy a CONNECT goes before."""

    def __init__(self, exchange: Exchange, wall: WallClock) -> None:
        self._exchange, self._wall, self._since = exchange, wall, 0
        self.connected = False  # whether this request opened the connection that it goes out on

    async def __call__(self, name: str, _info: dict[str, object]) -> None:
        exchange, now = self._exchange, mono()
        what = name.partition(".")[2]
        if what == "send_request_headers.started":
            exchange.sent_ns, exchange.started_at_ns = now, now + self._wall.offset
        elif what == "send_request_headers.complete":
            exchange.send_bound_ns = now - (exchange.sent_ns or now)
        elif what == "send_request_body.complete":
            exchange.uploaded_ns = now
        elif what in ("connect_tcp.started", "start_tls.started"):
            self._since, self.connected = now, True
        elif what == "connect_tcp.complete":
            exchange.connect_ns = now - self._since
        elif what == "start_tls.complete":
            exchange.tls_ns = now - self._since


def _proxy(url: str, context: ssl.SSLContext) -> httpcore.Proxy:
    parts = httpx.URL(url)
    login = (parts.username.encode(), parts.password.encode()) if parts.username else None
    return httpcore.Proxy(
        str(parts.copy_with(userinfo=b"")), auth=login, ssl_context=context if parts.scheme == "https" else None
    )


def _broken(exchange: Exchange, error: Exception) -> Failure:
    """A connection that broke, by how far the response had come."""
    why = str(error) or type(error).__name__
    if exchange.status is None:
        return Failure(Outcome.CONNECTION_ERROR, f"the connection closed without an answer: {why}")
    return Failure(Outcome.INCOMPLETE, f"the connection broke after {len(exchange.body)} bytes of the body: {why}")
