"""Content-Encoding: decoding, the ends of the reads afterwards, and the message if a body cannot be decoded."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from basetenkit.parsing import encoding
from basetenkit.parsing.encoding import decode

TEXT = b"".join(b"line %d of a body that compresses well\n" % n for n in range(200))


def raw_deflate(data: bytes) -> bytes:
    z = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return z.compress(data) + z.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize("name", ENCODERS)
def test_reads_are_decoded_one_by_one(name: str) -> None:
    body = ENCODERS[name](TEXT)
    decoded = decode(body, range(1, len(body) + 1), name)
    assert (decoded.body, decoded.encoding, decoded.malformed, decoded.incomplete) == (TEXT, name, None, None)
    assert list(decoded.read_ends) == sorted(decoded.read_ends)
    assert decoded.read_ends[-1] == len(TEXT)


def test_deflate_without_its_wrapping() -> None:
    body = raw_deflate(TEXT)
    assert decode(body, [1, 2, len(body)], "deflate").body == TEXT
    assert decode(body, [], "deflate").body == TEXT


def test_several_encodings_are_undone_last_first() -> None:
    decoded = decode(gzip.compress(zlib.compress(TEXT)), [], "deflate, gzip")
    assert decoded.body == TEXT
    assert decoded.encoding == "deflate, gzip"


def test_a_flush_after_each_message_gives_its_bytes_with_its_read() -> None:
    z = zlib.compressobj(wbits=31)
    first = z.compress(b"data: 1\n\n") + z.flush(zlib.Z_SYNC_FLUSH)
    second = z.compress(b"data: 2\n\n") + z.flush()
    decoded = decode(first + second, [len(first), len(first + second)], "gzip")
    assert list(decoded.read_ends) == [9, 18]


def test_reads_without_body_bytes_keep_their_place() -> None:
    body = gzip.compress(b"abc")
    decoded = decode(body, [0, 0, len(body), len(body)], "gzip")
    assert list(decoded.read_ends) == [0, 0, 3, 3]


def test_padding_after_the_last_member_is_allowed() -> None:
    assert decode(gzip.compress(b"abc") + bytes(8), [], "gzip").body == b"abc"


@pytest.mark.parametrize("name", [None, "", "identity", "IDENTITY"])
def test_nothing_to_undo(name: str | None) -> None:
    decoded = decode(b"abc", [1, 3], name)
    assert (decoded.body, list(decoded.read_ends), decoded.encoding) == (b"abc", [1, 3], "")


def test_a_stream_without_end_is_incomplete_and_its_beginning_is_kept() -> None:
    z = zlib.compressobj(wbits=31)
    decoded = decode(z.compress(TEXT) + z.flush(zlib.Z_SYNC_FLUSH), [], "gzip")
    assert decoded.body == TEXT
    assert decoded.incomplete is not None
    assert '"gzip"' in decoded.incomplete


def test_what_is_not_so_encoded_is_malformed() -> None:
    decoded = decode(b"plainly no gzip", [4, 15], "gzip")
    assert decoded.malformed is not None
    assert "Content-Encoding" in decoded.malformed
    assert list(decoded.read_ends) == [0, 0]


def test_an_unknown_encoding_is_named() -> None:
    assert "rot13" in (decode(b"abc", [3], "rot13").malformed or "")


def test_a_small_body_cannot_unpack_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MAX_DECODED", 100_000)
    assert "unpacks to more" in (decode(zlib.compress(bytes(10_000_000)), [], "deflate").malformed or "")


@pytest.mark.parametrize(
    ("name", "body"), [("br", brotli.compress(TEXT)), ("zstd", zstandard.ZstdCompressor().compress(TEXT))]
)
def test_encodings_of_other_libraries(name: str, body: bytes) -> None:
    decoded = decode(body, range(1, len(body) + 1), name)
    assert (decoded.body, decoded.malformed, decoded.incomplete) == (TEXT, None, None)
    assert list(decoded.read_ends) == sorted(decoded.read_ends)
    assert decode(body[:-1], [], name).incomplete
