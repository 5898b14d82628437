"""One HTTP/1.1 response, without I/O: timestamped bytes in; status, headers, body and end out.

httptools (llhttp) parses the head, after `heads` has corrected it, and the body; `chunks` parses a chunked body. This module
adds the data that a measurement needs: after each read, the length of the body, and whether the read's timestamp is exact for
the data that ends there. It never raises: an error becomes `failure`.

A timestamp is exact for body bytes that end the read, not counting the CRLF of their chunk. That CRLF is harmless only if it
came in the same segment. If a server has once sent it separately, it may do so again; so such reads are marked CRLF_ENDS and
decided when the response has ended.
"""

from __future__ import annotations

import os
import socket
import ssl

import httptools

from ..core.types import END, EXACT, READ_WIDTH, Exchange, Failure, Outcome, first_header
from . import heads
from .chunks import ChunkReader

HEAD_LIMIT = 256 << 10
BODY_LIMIT = 1 << 30
LINE_LIMIT = 64 << 20  # of a stream: no message is that long, and fifty such lines would fill the memory
BARE_ENDS, CRLF_ENDS = 1, 2


class _TooLongError(ValueError):
    """A body, or a line of a stream, is longer than is read."""


class ResponseReader:
    """Reads one response into `exchange`. After each `feed`: `done` (whole, or hopeless), `failure`, `keep_alive`."""

    __slots__ = (
        "_body",
        "_chunked",
        "_chunks",
        "_fed",
        "_first",
        "_held",
        "_last",
        "_length",
        "_look_again",
        "_parser",
        "_too_long",
        "crlf_apart",
        "done",
        "exchange",
        "failure",
        "head_done",
        "keep_alive",
    )

    def __init__(self, exchange: Exchange, crlf_apart: bool = False) -> None:
        self.exchange = exchange
        self._body = exchange.body = bytearray()
        self._parser = httptools.HttpResponseParser(self)
        self._last = b""
        self._fed = 0  # bytes of heads so far
        self._held = bytearray()  # what came of the present head
        self._first = b""  # the first bytes that came
        self._chunks: ChunkReader | None = None
        self._chunked = False
        self._length = False
        self._look_again = min(
            LINE_LIMIT, BODY_LIMIT
        )  # when the body is longer, a line may be too long; a document's may be any length
        self._too_long = f"the body is longer than {BODY_LIMIT >> 20} MiB"
        self.crlf_apart = crlf_apart
        self.head_done = self.done = self.keep_alive = False
        self.failure: Failure | None = None

    def feed(self, data: memoryview | bytes, stamp: int, earliest: int, exact: bool) -> None:
        """`data` of one read with its interval (ns); `exact`: the stamp is that of the last byte of `data`."""
        if self._chunks is not None and not self.done:
            piece = self._chunks.whole(bytes(data))
            if piece is not None and len(self._body) + len(piece) <= self._look_again:
                self._body += piece
                self.exchange.reads.extend((stamp, earliest, CRLF_ENDS if exact else 0, len(self._body)))
                return
        self._last = b""
        reads = self.exchange.reads
        i = len(reads)
        reads.extend((stamp, earliest, 0, 0))
        if len(self._first) < heads.SHOWN:
            self._first += bytes(data[: heads.SHOWN])
        if self.head_done or self.done:
            self._feed_body(data)
        else:
            self._feed_head(data)
        if exact and self._last:
            ends = _where(data, self._last)
            self.crlf_apart = self.crlf_apart or (ends == BARE_ENDS and self._chunked and not self.done)
            reads[i + EXACT] = ends
        reads[i + END] = len(self._body)

    def _feed_head(self, data: memoryview | bytes) -> None:
        """Bytes of a head, which goes on to the parser when it is whole; those behind it are the body's."""
        start, at = len(self._held), 0
        self._held += data
        while not self.head_done and not self.done:
            end = heads.end_of_head(self._held, start)
            if self._fed + (end if end >= 0 else len(self._held)) > HEAD_LIMIT:
                self._fail(Outcome.MALFORMED, f"the response's head is longer than {HEAD_LIMIT >> 10} KiB")
            elif not heads.is_http(self._held):
                self._fail(Outcome.MALFORMED, self._no_http("Expected HTTP/"))
            elif end >= 0:
                head, self._held = bytes(self._held[:end]), self._held[end:]
                self._fed, at, start = self._fed + end, at + end - start, 0
                self._take_head(head)
            else:
                return
        self._held = bytearray()
        if self.head_done and at < len(data):
            self._feed_body(data[at:])

    def _take_head(self, head: bytes) -> None:
        mended, self._chunked = heads.mended(head)
        try:
            self._parser.feed_data(mended)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._bad_bytes(error)
        if self._chunked and self.head_done and not self.done:
            self._chunks = ChunkReader(self.on_body)
        if mended is not head and self.head_done:
            self.exchange.headers[:] = heads.headers_in(head)

    def _take_half_head(self) -> None:
        """The parser tells whether what came is the beginning of a head at all."""
        try:
            self._parser.feed_data(heads.unfinished(self._held))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._bad_bytes(error)

    def _feed_body(self, data: memoryview | bytes) -> None:
        if self._chunks is not None and not self.done:
            self._feed_chunks(self._chunks, bytes(data))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._bad_bytes(error)

    def _feed_chunks(self, chunks: ChunkReader, data: bytes) -> None:
        try:
            chunks.feed(data)
        except _TooLongError:
            self._fail(Outcome.MALFORMED, self._too_long)
        except ValueError as error:
            self._bad_bytes(error)
        if chunks.done and not self.done:
            self.keep_alive = bool(self._parser.should_keep_alive()) and not chunks.behind
            self._finish()

    def eof(self) -> None:
        """The peer closed. A body without a length ends here; anything else is cut short."""
        if not self.done and not self.head_done and self._held:
            self._take_half_head()
        if self.done:
            return
        if self.head_done and not self._chunked and not self._length:
            self._finish()
        elif self.head_done:
            self._fail(
                Outcome.INCOMPLETE, f"the connection closed after {len(self._body)} bytes of a body that was not whole"
            )
        elif self._fed or self.exchange.reads:
            self._fail(Outcome.CONNECTION_ERROR, "the connection closed within the response's head")
        else:
            self._fail(Outcome.CONNECTION_ERROR, "the server closed the connection without an answer")

    def close(self) -> None:
        """Lets go of the parsers, which know this reader: a ring that would keep the body until the collector comes by."""
        del self._parser
        self._chunks = None

    def lost(self, error: BaseException) -> None:
        """The connection broke."""
        if not self.done:
            outcome = Outcome.INCOMPLETE if self.head_done else Outcome.CONNECTION_ERROR
            where = (
                f"after {len(self._body)} bytes of the body"
                if self.head_done
                else "before the response's head was whole"
            )
            self._fail(outcome, f"the connection broke {where}: {describe_error(error)}")

    def _bad_bytes(self, error: Exception) -> None:
        if self.done:  # bytes after a complete response: keep the response, close the connection
            self.keep_alive = False
            return
        if isinstance(error, httptools.HttpParserUpgrade):
            self._fail(Outcome.MALFORMED, "the server switched protocols, which was not asked for")
        elif isinstance(error, httptools.HttpParserCallbackError):
            self._fail(Outcome.MALFORMED, self._too_long)
        elif self.head_done:
            self._fail(Outcome.MALFORMED, f"the body's chunks break off after {len(self._body)} bytes ({error})")
        else:
            self._fail(Outcome.MALFORMED, self._no_http(error))

    def _no_http(self, why: object) -> str:
        return f"the response is not HTTP/1.1 ({why}); it begins {heads.shown(self._first)}"

    def _fail(self, outcome: Outcome, message: str) -> None:
        self.failure = Failure(outcome, message)
        self.keep_alive = False
        self._settle()

    def _finish(self) -> None:
        self._settle()

    def _settle(self) -> None:
        self.done = True
        if self.crlf_apart:
            reads = self.exchange.reads
            for i in range(EXACT, len(reads), READ_WIDTH):
                if reads[i] == CRLF_ENDS:
                    reads[i] = 0

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        if self.done:
            self.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.done or self.head_done:  # a trailer, or a second response that nobody asked for
            return
        key = name.decode("latin-1").lower()
        self._length = self._length or key == "content-length"
        self.exchange.headers.append((key, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        if self.done:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:  # an interim answer: the real one follows
            self.exchange.headers.clear()
            self._length = False
            return
        self.exchange.status = status
        self.head_done = True
        self._length = self._length or status in (204, 304)

    def on_body(self, data: bytes) -> None:
        if self.done:
            return
        self._last = data
        self._body += data
        if len(self._body) > self._look_again:
            self._check_length()

    def _check_length(self) -> None:
        """Stops a body that is too long, and a stream whose present line is; else says where to look again."""
        if len(self._body) > BODY_LIMIT:
            del self._body[BODY_LIMIT:]
            raise _TooLongError
        newline = self._body.rfind(b"\n", len(self._body) - LINE_LIMIT)
        if newline >= 0 or (first_header(self.exchange.headers, "content-type") or "").startswith("application/json"):
            self._look_again = min((newline if newline >= 0 else len(self._body)) + LINE_LIMIT, BODY_LIMIT)
            return
        self._too_long = f"a line of the stream is longer than {LINE_LIMIT >> 20} MiB"
        raise _TooLongError

    def on_message_complete(self) -> None:
        if self.head_done and not self.done:
            self.keep_alive = bool(self._parser.should_keep_alive())
            self._finish()


def _where(data: memoryview | bytes, last: bytes) -> int:
    """The position of a read's last body bytes: at its end, before a chunk's CRLF there, or elsewhere (0)."""
    n, k = len(data), len(last)
    if data[n - k :] == last:
        return BARE_ENDS
    if n - k >= 2 and data[n - 2 :] == b"\r\n" and data[n - 2 - k : n - 2] == last:
        return CRLF_ENDS
    return 0


def describe_error(error: BaseException) -> str:
    """An operating system's or TLS error in a few words, without its class's noise."""
    system = isinstance(error, OSError) and not isinstance(error, (ssl.SSLError, socket.gaierror)) and error.errno
    text = os.strerror(system) if system else getattr(error, "strerror", None) or getattr(error, "reason", None)
    return str(text or error or type(error).__name__)
