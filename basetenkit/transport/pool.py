"""The pool of connections to one origin: an exchange goes out on an idle connection that is still open, or on a new one. Once a
byte was written, nothing is sent again, unless the server was closing the kept connection (see `kept`). A failure before a byte
was written names its stage: DNS, connect, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from dataclasses import dataclass, field

import aiohappyeyeballs
import httpx

from ..core.types import Exchange, Failure, Outcome
from .clock import NoPoller, Poller, WallClock, enable_stamps, mono
from .connection import Connection, Timeouts
from .http1 import describe_error
from .http_request import HttpRequest
from .kept import met_the_end, name_kept
from .limits import cause_of, own_limit
from .redirects import forget, redirected
from .tls import TlsLayer

SENDS_A_TURN = 16
DNS_KEPT_NS = 60 * 1_000_000_000
HAPPY_EYEBALLS_DELAY_S = 0.25
AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


@dataclass(frozen=True)
class Origin:
    """Where connections go: scheme, host and port of a URL, and how TLS is checked there."""

    scheme: str
    host: str
    port: int
    context: ssl.SSLContext | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls, url: str | httpx.URL, verify: bool | str | ssl.SSLContext = True, client_cert: str | None = None
    ) -> Origin:
        url = httpx.URL(url)
        tls = url.scheme == "https"
        context = tls_context(verify, client_cert) if tls else None
        return cls(url.scheme, url.host, url.port or (443 if tls else 80), context)


def tls_context(verify: bool | str | ssl.SSLContext, client_cert: str | None = None) -> ssl.SSLContext:
    """A client's context: certifi's authorities, those of a CA file, a context as given, or no check at all. `client_cert`:
    a PEM file with the certificate and the key that identify the client (mutual TLS)."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    context = (
        ssl.create_default_context(cafile=verify)
        if isinstance(verify, str)
        else httpx.create_ssl_context(verify=verify)
    )
    context.set_alpn_protocols(["http/1.1"])
    if client_cert is not None:
        context.load_cert_chain(client_cert)
    return context


class ConnectBarrier:
    """The first requests of a closed loop wait here until all of them are connected, so that handshakes do not disturb the
    arrivals of those that were sooner. Opens after `patience_s` at the latest: one slow connection holds nobody up for long."""

    def __init__(self, expected: int, patience_s: float = 3.0) -> None:
        self._missing = expected
        self._open = asyncio.Event()
        self._timer = asyncio.get_running_loop().call_later(patience_s, self._open.set)

    async def arrive(self) -> None:
        self.leave()
        await self._open.wait()

    def leave(self) -> None:
        """One that will not wait, and need not be waited for."""
        self._missing -= 1
        if self._missing <= 0:
            self._open.set()
            self._timer.cancel()


class SendThrottle:
    """Lets so many sends through each turn of the loop, so that reads come in between: when a thousand responses end at
    once, a thousand new requests must not keep the next tokens waiting in the OS kernel, where they would merge."""

    def __init__(self, a_turn: int = SENDS_A_TURN) -> None:
        self._a_turn = self._left = a_turn
        self._queue: deque[asyncio.Future[None]] = deque()
        self._armed = False
        self._loop = asyncio.get_running_loop()

    async def enter(self) -> None:
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._turn)
        if self._left and not self._queue:
            self._left -= 1
            return
        turn = self._loop.create_future()
        self._queue.append(turn)
        await turn

    def _turn(self) -> None:
        self._left = self._a_turn
        while self._queue and self._left:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        self._armed = bool(self._queue)
        if self._armed:
            self._loop.call_soon(self._turn)


class Pool:
    """Connections to one origin, on the running loop. `stamps=False` does without the OS kernel's clock (for comparison)."""

    def __init__(
        self,
        origin: Origin,
        timeouts: Timeouts | None = None,
        *,
        poller: Poller | NoPoller | None = None,
        wall: WallClock | None = None,
        stamps: bool = True,
    ) -> None:
        self._origin, self._timeouts = origin, timeouts or Timeouts()
        self._loop = asyncio.get_running_loop()
        self._poller, self._wall, self._stamps = poller or NoPoller(), wall or WallClock(), stamps
        self._turnstile = SendThrottle()
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._lookup: asyncio.Task[list[AddrInfo]] | None = None
        self._looked_up = 0

    async def exchange(self, exchange: Exchange, message: HttpRequest, gate: ConnectBarrier | None = None) -> None:
        """Sends `message` and fills `exchange`; any error is in `exchange.failure`. Cancelling it closes the
        connection, marks the exchange `cancelled`, and goes on as a cancellation. `gate`: where to wait, once connected,
        for the others of a wave."""
        connection: Connection | None = None
        exchange.start_ns = exchange.start_ns or mono()
        try:
            connection = await self.open(exchange)
            if gate is not None:
                await gate.arrive()
                if connection is not None and not connection.usable:
                    self._all.discard(connection)
                    connection = await self.open(exchange)
            await self._turnstile.enter()
            if connection is not None and connection.closed:  # while it waited: nothing was written yet
                self._all.discard(connection)
                connection = await self.open(exchange)
            data = message.encode()
            while connection is not None:
                await connection.send(exchange, data)
                if met_the_end(exchange, connection.kept):
                    self._all.discard(connection)
                    connection = await self._once_more(exchange)
                    continue
                name_kept(exchange, connection.kept)
                onward = redirected(exchange, message, self._url)
                if onward is None:
                    break
                self.give_back(connection)
                forget(exchange)
                exchange.redirects += 1
                message, connection = onward, None
                data = message.encode()
                connection = await self.open(exchange)
        except asyncio.CancelledError:
            stopped = Failure(Outcome.CANCELLED, "the request was cancelled while it was in flight")
            if connection is not None:
                connection.abort(stopped)
            exchange.failure, exchange.end_ns = exchange.failure or stopped, exchange.end_ns or mono()
            raise
        finally:
            exchange.end_ns = exchange.end_ns or mono()
            if connection is not None:
                self.give_back(connection)

    async def _once_more(self, exchange: Exchange) -> Connection | None:
        """A fresh connection for an exchange that met the end of a kept one; None if there is none."""
        exchange.failure = exchange.end_ns = None
        connection = await self._connect(exchange)
        if connection is not None:
            forget(exchange)
            exchange.resent += 1
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keeps an open connection for the next exchange."""
        connection.kept = True
        if connection.closed:
            self._all.discard(connection)
        else:
            self._idle.append(connection)

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            self._all.discard(connection)
        return None

    async def open(self, exchange: Exchange) -> Connection | None:
        """An idle connection or a new one, with its DNS, connect and TLS times in `exchange`; None if it failed."""
        return self._take() or await self._connect(exchange)

    async def _connect(self, exchange: Exchange) -> Connection | None:
        limit = self._timeouts.connect
        if self._timeouts.total is not None:
            limit = min(self._timeouts.total, limit or self._timeouts.total)
        try:
            async with asyncio.timeout(limit):
                return await self._connect_now(exchange)
        except TimeoutError:
            which = "connect_timeout_s" if limit == self._timeouts.connect else "timeout_s"
            message = f"no connection to {self._name} within {limit:g} s ({which})"
            exchange.failure = Failure(Outcome.TIMEOUT, message)
        except OSError as error:
            exchange.failure = Failure(Outcome.CONNECTION_ERROR, self._unconnected(error), cause_of(error))
        exchange.end_ns = mono()
        return None

    def _unconnected(self, error: OSError) -> str:
        if isinstance(error, socket.gaierror):
            return f"the host name {self._origin.host!r} cannot be resolved: {describe_error(error)}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the TLS certificate of {self._name} was not accepted: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return f"the TLS handshake with {self._name} failed: {describe_error(error)}"
        return own_limit(error) or f"no connection to {self._name}: {describe_error(error)}"

    @property
    def _name(self) -> str:
        host = f"[{self._origin.host}]" if ":" in self._origin.host else self._origin.host
        return f"{host}:{self._origin.port}"

    @property
    def _url(self) -> str:
        return f"{self._origin.scheme}://{self._name}"

    async def _connect_now(self, exchange: Exchange) -> Connection:
        start = mono()
        infos, looked_up = await self._resolve()
        resolved = mono()
        if looked_up:
            exchange.dns_ns = resolved - start
        sock = await aiohappyeyeballs.start_connection(
            infos,
            happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_S if len(infos) > 1 else None,
            socket_factory=self._socket,
        )
        tls: TlsLayer | None = None
        try:
            connected = mono()
            exchange.connect_ns = connected - resolved
            if self._origin.context is not None:
                tls = TlsLayer(self._origin.context, self._origin.host)
                await tls.handshake(sock)
                exchange.tls_ns = mono() - connected
        except BaseException:
            sock.close()
            raise
        connection = Connection(
            sock,
            loop=self._loop,
            poller=self._poller,
            wall=self._wall,
            timeouts=self._timeouts,
            tls=tls,
            stamps=self._stamps,
        )
        self._all.add(connection)
        return connection

    def _socket(self, info: AddrInfo) -> socket.socket:
        sock = socket.socket(info[0], info[1], info[2])
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._stamps:
            enable_stamps(sock)
        return sock

    async def _resolve(self) -> tuple[list[AddrInfo], bool]:
        """(addresses, whether this call waited for a look-up). Concurrent calls share one, and it is kept for a minute."""
        host, port = self._origin.host, self._origin.port
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.inet_pton(family, host)
            except OSError:
                continue
            address: tuple[str, int] | tuple[str, int, int, int] = (
                (host, port) if family == socket.AF_INET else (host, port, 0, 0)
            )
            return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)], False
        lookup = self._lookup
        old = lookup is not None and lookup.done() and mono() - self._looked_up > DNS_KEPT_NS
        failed = lookup is not None and lookup.done() and lookup.exception() is not None
        if lookup is None or old or failed:
            look = self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            self._lookup = lookup = asyncio.ensure_future(look)  # type: ignore[arg-type]
            self._looked_up = mono()
        waited = not lookup.done()
        return await asyncio.shield(lookup), waited

    async def close(self) -> None:
        """Closes every connection; exchanges in flight end as connection errors of this side."""
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.gather(self._lookup, return_exceptions=True)
        for connection in list(self._all):
            connection.close()
        self._all.clear()
        self._idle.clear()
