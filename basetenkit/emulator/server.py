"""The embedded endpoint's sockets, its schedule, and the truth it keeps.

The OS kernel timestamps a request's last byte; each write is timestamped before and after. Both are on CLOCK_MONOTONIC, so a
client on the same machine can be held against them. Bare non-blocking sockets: its own cost must stay small beside a client's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import time
from collections import deque

from .limiter import Limiter
from .options import Options
from .pacer import PacedReply, Pacer
from .reply import Piece, Reply
from .schedule import Schedule
from .speech import Speaker
from .truth import ServedRequest, Truth, realtime_offset
from .wire import Asked, BadRequest, chunk, head, take_request

SO_TIMESTAMPNS = 35
OFFSET_EVERY_S = 1.0
LAST_CHUNK = b"0\r\n\r\n"
# Under the size from which the allocator maps and unmaps memory for each read.
READ_SIZE = 1 << 16


class Server:
    """Listens on 127.0.0.1 and answers on the running loop."""

    def __init__(self, options: Options, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.options, self.truth, self.speaker, self.tls = options, Truth(), Speaker(options), tls
        self.loop = asyncio.get_running_loop()
        self.schedule = Schedule(self.loop)
        self.limiter = Limiter(options.rate_limit, options.rate_burst)
        self.pacer = Pacer(options, self.schedule) if options.modelled else None
        self.waiting: deque[ClientConnection] = deque()
        self.connections: set[ClientConnection] = set()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            self.listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # inherited by what it accepts
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(4096)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.loop.add_reader(self.listener.fileno(), self._accept)
        self._look_at_clocks()

    def _look_at_clocks(self) -> None:
        """The wall clock, which the OS kernel's timestamps use, may be set while the endpoint runs."""
        self.offset = realtime_offset()
        self._clocks = self.loop.call_later(OFFSET_EVERY_S, self._look_at_clocks)

    def _accept(self) -> None:
        for _ in range(64):
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.add(ClientConnection(self, sock))

    def admitted(self) -> bool:
        """Whether a request may be worked on now; with `max_concurrency` others wait their turn, first come, first served."""
        return (
            not self.options.max_concurrency or self.truth.in_flight - len(self.waiting) <= self.options.max_concurrency
        )

    def ended(self) -> None:
        self.truth.in_flight -= 1
        if self.waiting:
            self.waiting.popleft().go(time.monotonic_ns())

    def left(self, connection: ClientConnection) -> None:
        """A client went away; one that was still waiting has held no place, and so frees none."""
        if connection in self.waiting:
            self.waiting.remove(connection)
            self.truth.in_flight -= 1
        else:
            self.ended()

    def close(self) -> None:
        self.loop.remove_reader(self.listener.fileno())
        self.listener.close()
        self.schedule.stop()
        self._clocks.cancel()
        for connection in list(self.connections):
            connection.close()


class ClientConnection:
    """One client: reads requests, writes the pieces of each reply when they are due."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server, self.sock, self.inbox, self.unsent = server, sock, b"", b""
        self.record: ServedRequest | None = None
        self.paced: PacedReply | None = None
        self.piece: Piece  # the one that is due next
        self.closed = self.closing = self.old = False
        self.tls: ssl.SSLObject | None = None
        if server.tls is not None:
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = server.tls.wrap_bio(self.incoming, self.outgoing, server_side=True)
            self.shaken = False
        server.loop.add_reader(sock.fileno(), self._readable)

    def _readable(self) -> None:
        try:
            data, ancillary, _, _ = self.sock.recvmsg(READ_SIZE, 64)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, ancillary = b"", []
        now = time.monotonic_ns()
        stamps = [
            struct.unpack("qq", d)
            for level, kind, d in ancillary
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS
        ]
        arrived = stamps[0][0] * 1_000_000_000 + stamps[0][1] - self.server.offset if stamps else now
        if not data:
            self.close()
            return
        try:
            self.inbox += data if self.tls is None else self._decrypt(self.tls, data)
        except ssl.SSLError:
            self.close()
            return
        self._take(min(arrived, now))

    def _decrypt(self, tls: ssl.SSLObject, data: bytes) -> bytes:
        self.incoming.write(data)
        plain = b""
        try:
            if not self.shaken:
                tls.do_handshake()
                self.shaken = True
            while piece := tls.read(1 << 16):
                plain += piece
        except ssl.SSLWantReadError:
            pass
        self._push(self.outgoing.read())
        return plain

    def _take(self, arrived: int) -> None:
        """Takes one whole request out of the inbox, where there is one and none is being answered."""
        if self.record is not None or self.closing or self.closed:
            return
        try:
            asked = take_request(self.inbox)
        except BadRequest as error:
            self.closing = True
            self._whole(error.status, {"error": str(error)})
            return
        if asked is None:
            return
        self.inbox, self.closing, self.old = self.inbox[asked.size :], asked.last, asked.old
        if asked.method == "GET":
            self._get(asked)
        elif asked.method == "POST":
            self._post(asked, arrived)
        else:
            self._whole(405, {"error": f"{asked.method} is not allowed"})

    def _get(self, asked: Asked) -> None:
        if asked.path == "/truth":
            told = self.server.truth.answer("writes" in asked.query, "reset" in asked.query)
            self._whole(200, told | ({} if self.server.pacer is None else {"engine": self.server.pacer.state()}))
        elif asked.path.endswith("/models"):
            self._whole(200, {"object": "list", "data": [{"id": "emulated", "object": "model"}]})
        elif asked.path == "/health":
            self._whole(200, {"status": "ok"})
        else:
            self._whole(404, {"detail": "Not Found"})

    def _whole(self, status: int, body: object) -> None:
        data = head(Reply(status, "application/json", [Piece(0, json.dumps(body).encode())]), self.closing)
        self._push(data if self.tls is None else self._encrypt(self.tls, data))
        self._next()

    def _post(self, asked: Asked, arrived: int) -> None:
        server, heads = self.server, asked.headers
        request_id = heads.get("x-baseten-customer-request-id") or heads.get("x-request-id")
        self.record = ServedRequest(request_id, arrived)
        server.truth.begin(self.record, heads, asked.body)
        after_s = server.limiter.offer(arrived / 1e9)
        if after_s is None:
            reply = server.speaker.reply(asked.path, asked.body, heads, server.truth.in_flight)
        else:
            reply = server.speaker.limited(after_s)
        self.reply, self.index, self.record.outcome = reply, 0, reply.outcome
        if reply.prompt is not None:
            server.schedule.spare(reply.prompt)
        if server.admitted():
            self.go(arrived)
        else:
            server.waiting.append(self)

    def go(self, since_ns: int) -> None:
        """Starts the reply's schedule: it counts from the request's arrival, or from the end of its wait for a place."""
        self.base = since_ns / 1e9
        self.pending = head(self.reply, self.closing, self.old) if self.reply.chunked else b""
        if not self.reply.pieces:
            self._ending()
            return
        if self.server.pacer is not None and self.reply.spoken and self.reply.prompt is not None:
            self.paced = PacedReply(self.server.pacer, self, self.reply, self.reply.prompt)
            self.paced.begin(self.base)
            return
        step = self.write_piece if self.reply.chunked else self.write_document
        self.piece = self.reply.pieces[0]
        self.server.schedule.at(self.base + self.piece.at, step)

    def write_document(self) -> None:
        if self.closed:
            return
        data = head(self.reply, self.closing)
        if self.reply.ending == "whole":
            self._write(data, self.reply.tokens, noted=True)
            self._over()
        else:
            self.closing = True
            self._write(data[: -(len(self.reply.pieces[0].data) // 2)], 0)
            self._ending()

    def write_piece(self) -> float | None:
        """Writes the piece that is due and gives the time of the next."""
        if self.closed:
            return None
        reply, piece = self.reply, self.piece
        data = piece.data
        if self.server.options.stamp_frames and data.startswith(b'data: {"id"'):
            data = data.replace(b'data: {"id"', b'data: {"t": %d, "id"' % time.monotonic_ns(), 1)
        self.index = index = self.index + 1
        over = index == len(reply.pieces)
        last = over and reply.ending == "whole" and not piece.tokens
        data = data if self.old else chunk(data) + (LAST_CHUNK if last else b"")
        self._write(self.pending + data, piece.tokens)
        self.pending = b""
        if not over:
            self.piece = reply.pieces[index]
            return self.base + self.piece.at
        if last:
            self._over()
        elif not self.closed:
            self._ending()
        return None

    def _ending(self) -> None:
        kind = self.reply.ending
        if kind == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()
        elif kind != "stall":
            self._write(self.pending + (b"" if self.old else LAST_CHUNK) if self.reply.chunked else b"", 0)
            self._over()

    def _write(self, data: bytes, tokens: int, noted: bool = False) -> None:
        """Writes, and notes when: only writes that hold output, or a whole document, are part of the truth."""
        if self.tls is not None:
            data = self._encrypt(self.tls, data)
        before = time.monotonic_ns()
        self._push(data)
        after = time.monotonic_ns()
        if (tokens or noted) and self.record is not None:
            self.record.wrote(before, after, tokens)

    def _encrypt(self, tls: ssl.SSLObject, data: bytes) -> bytes:
        tls.write(data)
        return self.outgoing.read()

    def _push(self, data: bytes) -> None:
        if self.closed or not data:
            return
        if self.unsent:
            self.unsent += data
            return
        try:
            n = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            n = 0
        except OSError:
            self.close()
            return
        if n < len(data):
            self.unsent = data[n:]
            self.server.loop.add_writer(self.sock.fileno(), self._writable)

    def _writable(self) -> None:
        data, self.unsent = self.unsent, b""
        self.server.loop.remove_writer(self.sock.fileno())
        self._push(data)
        if self.record is None:
            self._next()

    def _over(self) -> None:
        if self.record is not None:
            self.record.prompt_tokens = self.reply.prompt_tokens
            self.record.cached_tokens = None if self.reply.prompt is None else self.reply.prompt.cached
            self.record = None
            self._leave_engine()
            self.server.ended()
        self._next()

    def _leave_engine(self) -> None:
        if self.paced is not None:
            self.paced.leave()
        self.paced = None

    def _next(self) -> None:
        if self.closing and not self.unsent and not self.closed:
            # Not closed before the client has: what it still sends would turn into a reset, and take the reply with it.
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
        elif self.inbox:
            self._take(time.monotonic_ns())

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.server.connections.discard(self)
        self.server.loop.remove_reader(self.sock.fileno())
        self.server.loop.remove_writer(self.sock.fileno())
        self.sock.close()
        if self.record is not None:
            if self.record.outcome == "ok":
                self.record.outcome = "disconnected"
            self.record = None
            self._leave_engine()
            self.server.left(self)
