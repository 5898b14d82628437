"""A socket with its TLS, timestamps and timeouts, around one http1.ResponseReader at a time.

Asyncio's own transports read with `recv` and lose the OS kernel's timestamps, so this is a plain non-blocking socket on
`loop.add_reader`. No task wakes while a response arrives: `_readable` timestamps, parses and stores; one future resolves when
the response is complete. A connection has only one timer. It is set once per request, and set again if it fires too early.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ..core.types import Exchange, Failure, Outcome
from .clock import ANCILLARY_BYTES, DISORDER_NS, NoPoller, Poller, WallClock, mono, stamp_of, tcp_info
from .http1 import ResponseReader
from .tls import TlsLayer

READ_BYTES = 1 << 16
HASTY_READS = 2  # of a body: what says only who speaks, and the first token
_own = threading.local()  # one buffer for all connections of a thread: a read is consumed before the next one begins
SECOND = 1_000_000_000
_NOTHING = memoryview(b"")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None: no limit. `total` counts from when the request was taken up, the others from the send or the last byte."""

    connect: float | None = 30.0
    first_byte: float | None = None
    between_bytes: float | None = None
    total: float | None = 600.0


class Connection:
    """One connection to one origin. `send` starts an exchange; its future resolves when the exchange is over."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        loop: asyncio.AbstractEventLoop,
        poller: Poller | NoPoller,
        wall: WallClock,
        timeouts: Timeouts,
        tls: TlsLayer | None = None,
        stamps: bool = True,
    ) -> None:
        self._sock, self._loop, self._tls = sock, loop, tls
        self._poller, self._wall, self._timeouts = poller, wall, timeouts
        self._buffer = buffer = _own.__dict__.setdefault("buffer", bytearray(READ_BYTES))
        self._buffers, self._view = (buffer,), memoryview(buffer)
        self._recv = getattr(sock, "recvmsg_into", None) if stamps else None
        self.empty_since = self.carried_bound = self.priority_reads_left = 0
        self._reader: ResponseReader | None = None
        self._done: asyncio.Future[None] = loop.create_future()  # of the exchange in flight, or of the last one
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = _NOTHING
        self._crlf_apart = False
        self._written, self._at_end = 0, False
        self.on_progress: Callable[[], None] | None = None
        self.closed = self.kept = False  # kept: from an exchange before this one
        loop.add_reader(sock.fileno(), self._readable)

    @property
    def usable(self) -> bool:
        """Whether the peer has kept this idle connection open and silent; one system call."""
        if self.closed:
            return False
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            self.close()
            return False
        self._readable()  # end of file, bytes that nobody asked for, or what TLS says of itself
        return not self.closed

    def send(self, exchange: Exchange, payload: bytes) -> asyncio.Future[None]:
        """Writes `payload` (head and body, whole) and starts reading its response into `exchange`."""
        self._reader = ResponseReader(exchange, self._crlf_apart)
        self._done = done = self._loop.create_future()
        self._poller.begin()
        exchange.clock = "kernel" if self._recv else "user"
        try:
            data = payload if self._tls is None else self._tls.encrypt(payload)
        except ssl.SSLError as error:  # its other end has said farewell meanwhile
            self._lost(error)
            return done
        exchange.started_at_ns = mono() + self._wall.offset
        exchange.sent_ns = self.empty_since = sent = mono()
        self.carried_bound = 0
        try:
            n = self._sock.send(data)
            self._written += n
        except (BlockingIOError, InterruptedError):
            n = 0
        except OSError as error:
            exchange.send_bound_ns = mono() - sent
            self._lost(error)
            return done
        exchange.send_bound_ns = mono() - sent
        self.priority_reads_left = HASTY_READS
        self._poller.prioritize(self._sock.fileno())
        self._timer = self._loop.call_later(self._next_deadline(exchange, sent)[0], self._check_deadline)
        if n < len(data):
            self._unsent = memoryview(data)[n:]
            self._loop.add_writer(self._sock.fileno(), self._writable)
        else:
            exchange.uploaded_ns = sent + exchange.send_bound_ns
        return done

    def _writable(self) -> None:
        try:
            n = self._sock.send(self._unsent)
            self._written += n
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(error)
            return
        self._unsent = self._unsent[n:]
        if not self._unsent:
            self._loop.remove_writer(self._sock.fileno())
            if self._reader is not None:
                self._reader.exchange.uploaded_ns = mono()

    def _readable(self) -> None:
        """One read: stamp, feed, store. It runs for every token, so its plain path is kept free of calls."""
        poller = self._poller
        asked = poller.returned or mono()
        try:
            if self._recv is not None:
                n, ancillary, _, _ = self._recv(self._buffers, ANCILLARY_BYTES)
                stamp = stamp_of(ancillary)
            else:
                n, stamp = self._sock.recv_into(self._buffer), 0
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(error)
            return
        poll_before = poller.prev_priority_poll if self.priority_reads_left else poller.previous
        earliest = self.carried_bound or max(poll_before, self.empty_since)
        full = n == READ_BYTES
        if full:
            self.carried_bound = earliest  # what a full read left behind may be as old as what it took
        else:
            self.carried_bound, self.empty_since = 0, asked
        reader = self._reader
        if not n or reader is None:
            self._ended() if not n else self._idle(n)
            return
        stamp, earliest, exact = self._bound_stamp(reader.exchange, stamp, earliest, full)
        if self._tls is not None:
            self._feed_tls(reader, self._tls, n, stamp, earliest, exact)
            return
        reader.feed(self._view[:n], stamp, earliest, exact)
        if self.priority_reads_left and reader.exchange.body:
            self._deprioritize(1)
        if reader.done:
            self._finish(reader)
        elif self.on_progress is not None:
            self.on_progress()

    def _bound_stamp(self, exchange: Exchange, stamp: int, earliest: int, full: bool) -> tuple[int, int, bool]:
        """(latest, earliest, exact) for a read, from its stamp on the wall clock (0: none)."""
        now = mono()
        if not stamp:
            exchange.clock = "user"
            return now, earliest, False
        stamp -= self._wall.offset
        if earliest <= stamp <= now:
            return stamp, earliest, not full
        return self._bound_anomalous_stamp(exchange, stamp, earliest, now, full)

    def _bound_anomalous_stamp(
        self, exchange: Exchange, stamp: int, earliest: int, now: int, full: bool
    ) -> tuple[int, int, bool]:
        """A stamp outside [earliest, now]: the wall clock was stepped, the segment was queued late, or it filled a gap."""
        if stamp > now or earliest - stamp > DISORDER_NS:
            before = self._wall.offset
            if self._wall.refresh():
                stamp += before - self._wall.offset
        if earliest <= stamp <= now:
            return stamp, earliest, False
        if stamp > now:
            return now, earliest, False
        if earliest - stamp <= DISORDER_NS:  # stamped, and queued a little later
            return stamp, stamp, not full
        info = tcp_info(self._sock)
        if info is not None and info[2] > 0:
            exchange.out_of_order = True
            return now, stamp, False
        # The OS kernel delivered it late: the rest of this read arrived after the previous read, and no poll narrows that down.
        return stamp, min(stamp, exchange.reads[-4] if exchange.reads else exchange.sent_ns or stamp), not full

    def _feed_tls(self, reader: ResponseReader, tls: TlsLayer, n: int, stamp: int, earliest: int, exact: bool) -> None:
        try:
            pieces, ends_record = tls.decrypt(self._view[:n])
        except ssl.SSLError as error:
            self._lost(error)
            return
        for i, piece in enumerate(pieces):
            if not reader.done:
                reader.feed(piece, stamp, earliest, exact and ends_record and i == len(pieces) - 1)
        if self.priority_reads_left and reader.exchange.body:
            self._deprioritize(1)
        self._flush_tls(tls)
        if tls.closed:
            reader.eof()
        if reader.done and self._reader is not None:
            self._finish(reader)
        elif self.on_progress is not None:
            self.on_progress()

    def _deprioritize(self, reads: int) -> None:
        """So many of the reads that go ahead of others are over."""
        if self.priority_reads_left and self.priority_reads_left <= reads:
            self._poller.deprioritize(self._sock.fileno())
        self.priority_reads_left = max(0, self.priority_reads_left - reads)

    def _idle(self, n: int) -> None:
        """Bytes without a request: they may belong to TLS; anything else makes the connection useless."""
        try:
            if self._tls is not None and not self._tls.decrypt(self._view[:n])[0] and not self._tls.closed:
                self._flush_tls(self._tls)
                return
        except ssl.SSLError as error:
            self._lost(error)
            return
        self.close()

    def _flush_tls(self, tls: TlsLayer) -> None:
        """Sends what TLS itself has to say (a key update, an alert); it is a few bytes and always fits."""
        if data := tls.pending():
            try:
                self._sock.send(data)
            except OSError as error:
                self._lost(error)

    def _ended(self) -> None:
        """End of file."""
        self._at_end = True
        if (reader := self._reader) is not None:
            reader.eof()
            self._finish(reader)
        self.close()

    def _lost(self, error: BaseException) -> None:
        if (reader := self._reader) is not None:
            reader.lost(error)
            self._finish(reader)
        self.close()

    def abort(self, failure: Failure) -> None:
        """Ends the exchange in flight with `failure` and closes."""
        if (reader := self._reader) is not None and not reader.done:
            reader.failure, reader.done = failure, True
            self._finish(reader)
        self.close()

    def _finish(self, reader: ResponseReader) -> None:
        """The exchange that `reader` reads is over."""
        done, self._reader = self._done, None
        self._poller.end()
        self._deprioritize(self.priority_reads_left)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        exchange = reader.exchange
        reader.close()
        exchange.end_ns, exchange.failure = mono(), reader.failure
        self._crlf_apart = reader.crlf_apart
        if (info := tcp_info(self._sock)) is not None:
            exchange.rtt_ns, exchange.retransmits = info[0], info[1]
            exchange.not_taken = self._at_end and info[3] < self._written
        if not reader.keep_alive or reader.failure is not None or self._unsent:
            self.close()
        if self.on_progress is not None:
            self.on_progress()
        if not done.done():
            done.set_result(None)

    def _next_deadline(self, exchange: Exchange, now: int) -> tuple[float, str]:
        """(seconds from `now` until the nearest limit, what it is); below zero once it has passed."""
        limits = self._timeouts
        sent = exchange.sent_ns or now
        due: list[tuple[float, str]] = []
        if limits.total is not None:
            what = f"the whole request took over {limits.total:g} s (timeout_s)"
            due.append(((exchange.start_ns or sent) / SECOND + limits.total, what))
        body = len(exchange.body) > 0
        if limits.first_byte is not None and not body:
            what = f"no body byte came within {limits.first_byte:g} s (first_byte_timeout_s)"
            due.append((sent / SECOND + limits.first_byte, what))
        if limits.between_bytes is not None and body:
            last = exchange.reads[-4]
            due.append(
                (
                    last / SECOND + limits.between_bytes,
                    f"nothing came for {limits.between_bytes:g} s (between_bytes_timeout_s)",
                )
            )
        if limits.between_bytes is not None and not body:
            due.append((now / SECOND + limits.between_bytes, ""))
        at, what = min(due, default=(now / SECOND + 3600.0, ""))
        return at - now / SECOND, what

    def _check_deadline(self) -> None:
        self._timer = None
        if self._reader is None:
            return
        left, what = self._next_deadline(self._reader.exchange, mono())
        if left <= 0 and what:
            self.abort(Failure(Outcome.TIMEOUT, what))
        else:
            self._timer = self._loop.call_later(max(left, 0.001), self._check_deadline)

    def close(self) -> None:
        """Closes the socket; safe to call twice."""
        if self.closed:
            return
        self.closed = True
        self._deprioritize(self.priority_reads_left)
        fd = self._sock.fileno()
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        self._unsent = _NOTHING
        self._sock.close()
        if self._reader is not None:
            self.abort(Failure(Outcome.CONNECTION_ERROR, "the connection was closed on this side"))
