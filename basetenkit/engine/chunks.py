"""A chunked body whose sizes llhttp refuses: blanks or an empty extension behind a size, and lines that end in LF alone.

Only such a body comes here, from its first byte on; all others are llhttp's. Sans I/O: bytes in, pieces of the body out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_PLAIN = re.compile(rb"[0-9A-Fa-f]{1,15}(?:;[^ \t\r\n][^\r\n]*)?\r\n")
_LINE_LIMIT = 16 << 10
_TRAILER_LIMIT = 256 << 10


def is_odd(line: bytes) -> bool | None:
    """Whether the first line of a chunked body is one that llhttp refuses and this takes; None if it is not whole."""
    if b"\n" not in line:
        return None if len(line) < _LINE_LIMIT else False
    return _SIZE.match(line) is not None and _PLAIN.match(line) is None


class ChunkReader:
    """Reads chunks. After each `feed`: `done`, and what came behind the body in `behind`. ValueError on what is no chunk."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0  # bytes of the present chunk still to come
        self._state = "size"  # | "data" | "end" | "trailer"
        self._trailer = 0
        self.done = False
        self.behind = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces of the body in `data`."""
        data = self._rest + data
        self._rest = b""
        at = 0
        while at < len(data) and not self.done:
            if self._state == "data":
                piece = data[at : at + self._left]
                at, self._left = at + len(piece), self._left - len(piece)
                yield piece
                if not self._left:
                    self._state = "end"
                continue
            newline = data.find(b"\n", at)
            if newline < 0:
                self._rest = data[at:]
                if len(self._rest) > _LINE_LIMIT:
                    raise ValueError("a chunk's line is too long")
                return
            self._line(data[at : newline + 1])
            at = newline + 1
        self.behind = data[at:] if self.done else b""

    def _line(self, line: bytes) -> None:
        blank = line in (b"\n", b"\r\n")
        if self._state == "end":
            if not blank:
                raise ValueError("a chunk is longer than its size")
            self._state = "size"
        elif self._state == "size":
            size = _SIZE.fullmatch(line)
            if not size:
                raise ValueError(f"Invalid chunk size {line[:40]!r}")
            self._left = int(size[1], 16)
            self._state = "data" if self._left else "trailer"
        else:
            self._trailer += len(line)
            if self._trailer > _TRAILER_LIMIT:
                raise ValueError("the trailers are too long")
            self.done = blank
