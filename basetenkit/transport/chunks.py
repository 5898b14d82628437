"""A chunked body (RFC 9112, 7.1), without I/O: bytes in, pieces of the body out.

llhttp also parses chunks, but as strictly as a server must: it refuses blanks or an empty extension after a size, and lines
that end in LF only, which other clients accept. It does not report where a chunk begins, so all chunks are parsed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_PLAIN = {b"%x\r\n" % n: n for n in range(1, 4096)} | {b"%X\r\n" % n: n for n in range(1, 4096)}
_LINE_LIMIT = 16 << 10
_TRAILER_LIMIT = 256 << 10


class _Awaited(Enum):
    SIZE, DATA, END, TRAILER = range(4)


_SIZE_NEXT = _Awaited.SIZE  # a look-up less for each token


class ChunkReader:
    """Gives the pieces of the body to `take`. After each `feed`: `done`, and `behind`: whether bytes came after the body."""

    __slots__ = ("_awaited", "_left", "_rest", "_take", "_trailer", "behind", "done")

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._rest = b""  # of an incomplete line
        self._left = 0  # bytes of the present chunk still to come
        self._awaited = _Awaited.SIZE
        self._trailer = 0
        self.done = self.behind = False

    def whole(self, data: bytes) -> bytes | None:
        """The piece in `data` if that is one whole chunk, plainly framed, and nothing else: the common read by far, a token's.
        None otherwise; then it goes to `feed`."""
        if self._awaited is _SIZE_NEXT and not self._rest:
            at = data.find(b"\n") + 1
            size = _PLAIN.get(data[:at])
            if size is not None and len(data) == at + size + 2 and data.endswith(b"\r\n"):
                return data[at:-2]
        return None

    def feed(self, data: bytes) -> None:
        """ValueError if it is not a chunk."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, n = 0, len(data)
        while at < n and not self.done:
            if self._awaited is _SIZE_NEXT:  # a whole chunk, plainly framed, needs no look at each of its lines
                begin = data.find(b"\n", at) + 1
                size = _PLAIN.get(data[at:begin])
                if size is not None and data[begin + size : begin + size + 2] == b"\r\n":
                    self._take(data[begin : begin + size])
                    at = begin + size + 2
                    continue
            if self._awaited is _Awaited.DATA:
                piece = data[at : at + self._left]
                at, self._left = at + len(piece), self._left - len(piece)
                self._take(piece)
                if not self._left:
                    self._awaited = _Awaited.END
                continue
            if self._awaited is _Awaited.END and data[at : at + 2] == b"\r\n":
                at, self._awaited = at + 2, _Awaited.SIZE
                continue
            newline = data.find(b"\n", at)
            if newline < 0:
                self._keep(data[at:])
                return
            self._line(data[at : newline + 1])
            at = newline + 1
        self.behind = at < n

    def _keep(self, rest: bytes) -> None:
        if self._awaited is _Awaited.END and rest != b"\r":
            raise ValueError("a chunk is longer than its size")
        if len(rest) > _LINE_LIMIT:
            raise ValueError("a chunk's line is too long")
        self._rest = rest

    def _line(self, line: bytes) -> None:
        is_blank = line in (b"\n", b"\r\n")
        if self._awaited is _Awaited.SIZE:
            size = _SIZE.fullmatch(line)
            if not size:
                raise ValueError(f"invalid chunk size {line[:40]!r}")
            self._left = int(size[1], 16)
            self._awaited = _Awaited.DATA if self._left else _Awaited.TRAILER
        elif self._awaited is _Awaited.END:
            if not is_blank:
                raise ValueError("a chunk is longer than its size")
            self._awaited = _Awaited.SIZE
        else:
            self._trailer += len(line)
            if self._trailer > _TRAILER_LIMIT:
                raise ValueError("the trailers are too long")
            self.done = is_blank
