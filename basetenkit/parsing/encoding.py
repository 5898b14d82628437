"""Content-Encoding: encoded body -> decoded body, and the position in it at which each read ended.

The engine requests `identity`, but a gateway may compress anyway. Times belong to encoded bytes, so the decoder gets one read
after the other: its output after a read is the data that a client could have at that time. No decoded byte comes before the
read that contained it, so a time is never too early.
"""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_DECODED = 512 * 1024 * 1024  # bytes; a small body that unpacks to more is an attack or a mistake
_STEP = 1024 * 1024
_DAMAGED_STEP = 64


class _Decoder(Protocol):
    def feed(self, data: bytes) -> bytes: ...

    def is_over(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body without its encoding. `read_ends` are offsets in `body`; `encoding` is what was undone ("" for nothing).

    `malformed` says what made decoding impossible, `incomplete` that the encoded stream has no end; `body` is then what
    could be decoded.
    """

    body: bytes
    read_ends: Sequence[int]
    encoding: str = ""
    malformed: str | None = None
    incomplete: str | None = None


class _Zlib:
    """gzip (also several members in a row) and deflate (with or without its zlib wrapping)."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._z = zlib.decompressobj(wbits)
        self._head: bytes | None = b"" if wbits == zlib.MAX_WBITS else None
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        if self._head is not None:
            data = self._head = self._head + data
            if len(data) < 2:
                return b""
            self._choose(data)
        out = bytearray()
        while data:
            if self._z.eof:
                if not data.strip(b"\0"):
                    break  # padding after the last member is allowed
                self._z = zlib.decompressobj(self._wbits)
            out += self._z.decompress(data, _STEP)
            data = self._z.unconsumed_tail or self._z.unused_data
            self._size_check(len(out))
        self._size += len(out)
        return bytes(out)

    def _choose(self, head: bytes) -> None:
        """Many servers mean raw deflate when they say deflate: the two bytes of zlib's header (RFC 1950) tell them apart."""
        self._head = None
        if head[0] & 15 != 8 or (head[0] * 256 + head[1]) % 31:
            self._wbits = -zlib.MAX_WBITS
            self._z = zlib.decompressobj(self._wbits)

    def _size_check(self, more: int) -> None:
        if self._size + more > MAX_DECODED:
            raise ValueError(f"it unpacks to more than {MAX_DECODED} bytes")

    def is_over(self) -> bool:
        return self._z.eof


class _Foreign:
    """A decoder of another library, known by its two method names."""

    def __init__(self, feed: Callable[[bytes], bytes], over: Callable[[], bool]) -> None:
        self._feed, self._over, self._size = feed, over, 0

    def feed(self, data: bytes) -> bytes:
        if self._over():
            return b""
        out = self._feed(data)
        self._size += len(out)
        if self._size > MAX_DECODED:
            raise ValueError(f"it unpacks to more than {MAX_DECODED} bytes")
        return out

    def is_over(self) -> bool:
        return self._over()


def _zstd() -> _Decoder:
    import zstandard

    d = zstandard.ZstdDecompressor().decompressobj()
    return _Foreign(d.decompress, lambda: bool(d.eof))


def _brotli() -> _Decoder:
    import brotli

    d = brotli.Decompressor()
    return _Foreign(d.process, lambda: bool(d.is_finished()))


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "x-gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "zstd": _zstd,
    "br": _brotli,
}


def decode(body: bytes, read_ends: Sequence[int], content_encoding: str | None) -> Decoded:
    """`body` without what the Content-Encoding header names (several, comma separated, are undone last first)."""
    names = [n for n in (part.strip().lower() for part in (content_encoding or "").split(",")) if n]
    names = [n for n in names if n not in ("identity", "none")]
    if not names or not body:
        return Decoded(body, read_ends)
    said = ", ".join(names)
    incomplete = None
    for name in reversed(names):
        make = _DECODERS.get(name)
        if make is None:
            sentence = f'the Content-Encoding "{name}" is unknown; known are {", ".join(_DECODERS)}'
            return Decoded(b"", [0] * len(read_ends), said, malformed=sentence)
        body, read_ends, problem, over = _undo(make, body, read_ends)
        if problem is not None:
            sentence = f'the body is not the "{name}" its Content-Encoding says: {problem}'
            return Decoded(body, read_ends, said, malformed=sentence)
        if not over:
            incomplete = f'the "{name}" stream of the body has no end'
    return Decoded(body, read_ends, said, incomplete=incomplete)


def _undo(
    make: Callable[[], _Decoder], body: bytes, read_ends: Sequence[int]
) -> tuple[bytes, list[int], str | None, bool]:
    """Feed read by read: (decoded, decoded read ends, what went wrong, whether the stream has its end).

    If a stream is damaged, the amount decoded before the error depends on the pieces that a library is given.
    So that it does not depend on how the bytes came, a damaged body is fed again in pieces of its own.
    """
    out, ends, problem, over = _feed(make, body, read_ends or (len(body),))
    if problem is not None:
        grid = [*range(_DAMAGED_STEP, len(body), _DAMAGED_STEP), len(body)]
        out, on_grid, problem, over = _feed(make, body, grid)
        ends = [on_grid[bisect.bisect_left(grid, end)] if end else 0 for end in read_ends]
    return out, ends if read_ends else [], problem, over


def _feed(make: Callable[[], _Decoder], body: bytes, ends: Sequence[int]) -> tuple[bytes, list[int], str | None, bool]:
    decoder = make()
    decoded: list[int] = []
    out, at = bytearray(), 0
    for end in ends:
        if end > at:
            try:
                out += decoder.feed(body[at:end])
            except Exception as error:  # each library has exceptions of its own, without a common root
                rest = [len(out)] * (len(ends) - len(decoded))
                return bytes(out), decoded + rest, str(error) or type(error).__name__, False
            at = end
        decoded.append(len(out))
    return bytes(out), decoded, None, decoder.is_over()
