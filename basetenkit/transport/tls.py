"""TLS between the socket's reads and the HTTP parser, in memory, so that a read keeps its OS timestamp.

A timestamp is exact for plaintext only if the read ended with the record that contained it. `decrypt` reads the record headers
to find out whether a read ends at the end of a record. It also compares the number of records that ended with the number that
gave plaintext, because a record without plaintext (a session ticket, a key update) may have come last.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

_RECORD_HEADER = 5
_PLAINTEXT_BYTES = 1 << 16


class TlsLayer:
    """A client's side of one TLS connection, over two memory buffers."""

    def __init__(self, context: ssl.SSLContext, server_hostname: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._left = 0  # bytes of the present record still to come
        self._header = b""  # of a header that a read cut
        self.closed = False

    @property
    def object(self) -> ssl.SSLObject:
        """Python's own, which knows the protocol that was agreed on."""
        return self._tls

    async def handshake(self, sock: socket.socket) -> None:
        """ssl.SSLError (certificates among it) or OSError if it fails."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._push(loop, sock)
                data = await loop.sock_recv(sock, _PLAINTEXT_BYTES)
                if not data:
                    raise ConnectionResetError("the server closed the connection within the TLS handshake") from None
                self._walk(data)
                self._incoming.write(data)
                continue
            except ssl.SSLError:
                await self._push(loop, sock)  # the alert that says why
                raise
            await self._push(loop, sock)
            return

    async def _push(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        if data := self._outgoing.read():
            await loop.sock_sendall(sock, data)

    def encrypt(self, data: bytes) -> bytes:
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        return self._outgoing.read()

    def pending(self) -> bytes:
        """What TLS itself wants sent."""
        return self._outgoing.read()

    def decrypt(self, data: memoryview) -> tuple[list[bytes], bool]:
        """(plaintext pieces, whether the last piece's record ends `data`). Sets `closed` at the peer's close_notify."""
        ended, at_boundary = self._walk(data)
        self._incoming.write(data)
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(_PLAINTEXT_BYTES):
                pieces.append(piece)
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        return pieces, at_boundary and len(pieces) == ended

    def _walk(self, data: bytes | memoryview) -> tuple[int, bool]:
        """(records that ended within `data`, whether `data` ends on a record's end)."""
        i, n, ended = 0, len(data), 0
        while i < n:
            if self._left == 0:
                need = _RECORD_HEADER - len(self._header)
                self._header += bytes(data[i : i + need])
                i += need
                if len(self._header) < _RECORD_HEADER:
                    break
                self._left = int.from_bytes(self._header[3:5], "big")
                self._header = b""
                continue
            step = min(self._left, n - i)
            self._left -= step
            i += step
            ended += self._left == 0
        return ended, self._left == 0 and not self._header
