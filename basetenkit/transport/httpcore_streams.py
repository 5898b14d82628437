"""Sockets for httpx's connection pool (httpcore), which note when they were read.

httpcore does not report when its bytes came: they may have been in its buffers, or another request on the same HTTP/2
connection may have read them. So it gets our sockets. Each read records when it returned, and the earliest moment at which its
bytes can have come, by the same rule as the engine's own reads. A piece of an HTTP/1.1 body is then matched with the reads that
were made since it was requested; one of HTTP/2 is a DATA frame, and frames are counted as they come, stream by stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Iterable

import aiohappyeyeballs
import httpcore

from .clock import NoPoller, Poller, mono
from .http1 import describe_error
from .limits import own_limit
from .tls import TlsLayer

_CHUNK = 1 << 16
_FRAME_HEAD, _DATA = 9, 0
Read = tuple[int, int]  # (returned, earliest), ns


class Frames:
    """Walks the frames of an HTTP/2 connection (RFC 9113, 4.1) and notes the read that completed each DATA frame."""

    def __init__(self) -> None:
        self._head, self._left = b"", 0
        self._of: dict[int, deque[Read]] = {}

    def feed(self, data: bytes, read: Read) -> None:
        """`data` of the connection, all of it in order, and the read that brought it."""
        i = 0
        while i < len(data):
            if self._left:
                step = min(self._left, len(data) - i)
            else:
                step = _FRAME_HEAD - len(self._head)
                self._head += data[i : i + step]
                step = min(step, len(data) - i)
                if len(self._head) == _FRAME_HEAD:
                    self._left = int.from_bytes(self._head[:3], "big")
                    if not self._left:
                        self._ended(read)
                i += step
                continue
            self._left -= step
            i += step
            if not self._left:
                self._ended(read)

    def _ended(self, read: Read) -> None:
        if self._head[3] == _DATA:
            self._of.setdefault(int.from_bytes(self._head[5:9], "big") & 0x7FFF_FFFF, deque()).append(read)
        self._head = b""

    def next(self, stream: int) -> Read | None:
        """The read of a stream's next DATA frame that was not asked for yet."""
        waiting = self._of.get(stream)
        return waiting.popleft() if waiting else None

    def forget(self, stream: int) -> None:
        self._of.pop(stream, None)


class StampedStream(httpcore.AsyncNetworkStream):
    """One connection. `reads` are those that brought bytes and were not taken yet; of HTTP/2, `frames` has them."""

    def __init__(self, sock: socket.socket, poller: Poller | NoPoller, tls: TlsLayer | None = None) -> None:
        self._sock, self._poller, self._tls = sock, poller, tls
        self._loop = asyncio.get_running_loop()
        self._plain: deque[bytes] = deque()
        self.empty_since = mono()
        self.reads: list[Read] = []
        self.frames = Frames() if tls is not None and tls.object.selected_alpn_protocol() == "h2" else None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Bytes as they came, b"" at the end. How long that may take is its caller's to limit, who knows what it waits for."""
        if self._tls is None:
            return await self._receive(max_bytes)
        while not self._plain and not self._tls.closed:
            data = await self._receive(_CHUNK)
            if not data:
                break
            try:
                pieces = self._tls.decrypt(memoryview(data))[0]
            except ssl.SSLError as error:
                raise httpcore.ReadError(f"TLS: {describe_error(error)}") from None
            self._plain.extend(pieces)
            if self.frames is not None:
                self.frames.feed(b"".join(pieces), self.reads.pop())
            if answer := self._tls.pending():
                await self._send(answer)
        if not self._plain:
            return b""
        piece = self._plain.popleft()
        if len(piece) > max_bytes:
            self._plain.appendleft(piece[max_bytes:])
        return piece[:max_bytes]

    async def _receive(self, max_bytes: int) -> bytes:
        asked, waited = mono(), False
        try:
            try:
                data = self._sock.recv(max_bytes)
            except (BlockingIOError, InterruptedError):
                waited, self.empty_since = True, asked
                data = await self._loop.sock_recv(self._sock, max_bytes)
        except OSError as error:
            raise httpcore.ReadError(describe_error(error)) from None
        returned = mono()
        # Data that a poll reports did not arrive before the previous poll. Sometimes a task runs one iteration of the loop after
        # that, and data that is there at once may have arrived at any time since the connection was last seen empty.
        earliest = max(self.empty_since, self._poller.before_previous) if waited else self.empty_since
        if data:
            self.reads.append((returned, earliest))
        if len(data) < max_bytes:
            self.empty_since = asked if not waited else max(asked, earliest)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._send(buffer if self._tls is None else self._tls.encrypt(buffer))

    async def _send(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError as error:
            raise httpcore.WriteError(describe_error(error)) from None

    async def aclose(self) -> None:
        self._sock.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        if self._tls is not None:
            raise httpcore.ConnectError("TLS through a proxy that is itself spoken to over TLS is not supported")
        tls = TlsLayer(ssl_context, server_hostname or "")
        try:
            await asyncio.wait_for(tls.handshake(self._sock), timeout)
        except TimeoutError:
            await self.aclose()
            raise httpcore.ConnectTimeout(f"no TLS handshake within {timeout:g} s") from None
        except ssl.SSLCertVerificationError as error:
            await self.aclose()
            raise httpcore.ConnectError(f"its TLS certificate was not accepted: {error.verify_message}") from error
        except OSError as error:
            await self.aclose()
            raise httpcore.ConnectError(f"the TLS handshake failed: {describe_error(error)}") from error
        return StampedStream(self._sock, self._poller, tls)

    def get_extra_info(self, info: str) -> object:
        if info == "ssl_object":
            return None if self._tls is None else self._tls.object
        if info == "is_readable":
            return self._is_readable()
        return self._sock if info == "socket" else None

    def _is_readable(self) -> bool:
        """Whether an idle connection has something to say, which can only be its end."""
        with contextlib.suppress(BlockingIOError, InterruptedError, OSError):
            self._sock.recv(1, socket.MSG_PEEK)
            return True
        return False


class Backend(httpcore.AsyncNetworkBackend):
    """Opens the sockets. `poller`: the loop's, by whose polls reads are bounded."""

    def __init__(self, poller: Poller | NoPoller) -> None:
        self._poller = poller

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[object] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
                delay = 0.25 if len(infos) > 1 else None
                sock = await aiohappyeyeballs.start_connection(infos, happy_eyeballs_delay=delay)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no connection to {host}:{port} within {timeout:g} s") from None
        except socket.gaierror as error:
            raise httpcore.ConnectError(
                f"the host name {host!r} cannot be resolved: {describe_error(error)}"
            ) from error
        except OSError as error:
            message = own_limit(error) or f"no connection to {host}:{port}: {describe_error(error)}"
            raise httpcore.ConnectError(message) from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return StampedStream(sock, self._poller)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
