"""Chunked bodies whose sizes llhttp refuses, as RFC 9112 (7.1) has them read."""

from __future__ import annotations

import random

import pytest

from basetenkit.transport.chunks import ChunkReader


def read(raw: bytes, sizes: list[int]) -> tuple[bytes, ChunkReader]:
    pieces: list[bytes] = []
    reader, at = ChunkReader(pieces.append), 0
    for size in sizes:
        if not reader.done:
            reader.feed(raw[at : at + size])
        at += size
    return b"".join(pieces), reader


WHOLE = {
    "as most servers write them": b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    "odd later on": b"3\r\nhel\r\n2;\r\nlo\r\n0\r\n\r\n",
    "blanks": b"3  \r\nhel\r\n2 \r\nlo\r\n0\t\r\n\r\n",
    "an empty extension": b"3;\r\nhel\r\n2; \r\nlo\r\n0;\r\n\r\n",
    "blanks before an extension": b'3 ; a="b;c"\r\nhel\r\n02;d\r\nlo\r\n000\r\n\r\n',
    "lines that end in LF": b"3\nhel\n2\nlo\n0\n\n",
    "trailers": b"5 \r\nhello\r\n0\r\nX: y\r\nZ: \r\n\r\n",
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_body_reads_the_same_however_it_is_split(name: str) -> None:
    raw, rng = WHOLE[name], random.Random(5)
    splits = [[len(raw)], [1] * len(raw), *([rng.randint(0, 6) for _ in range(200)] for _ in range(50))]
    for sizes in splits:
        body, reader = read(raw, sizes)
        assert (body, reader.done, reader.behind) == (b"hello", True, False)


def test_what_comes_behind() -> None:
    body, reader = read(b"1 \r\na\r\n0\r\n\r\nHTTP/1.1", [100])
    assert (body, reader.done, reader.behind) == (b"a", True, True)


@pytest.mark.parametrize(
    "raw", [b"x\r\n", b"\r\n", b"1\r\nab\r\n", b"-1\r\n", b"0x1\r\na\r\n", b"f" * 20 + b"\r\n", b"1 2\r\n"]
)
def test_what_is_no_chunk(raw: bytes) -> None:
    with pytest.raises(ValueError, match="chunk"):
        read(raw, [len(raw)])


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    with pytest.raises(ValueError, match="too long"):
        read(b"1" + b" " * (1 << 20), [1 << 10] * 1025)
    with pytest.raises(ValueError, match="too long"):
        read(b"0\r\n" + b"a: b\r\n" * 100_000, [1 << 20])
