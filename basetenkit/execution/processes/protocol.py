"""The messages in a worker's pipes: each has several parts, each part with its length before it.

    count (u32)  length (u64) ... one a part  part ...

The parent's messages are one part, a pickled (word, content): it alone writes to that pipe, and the configuration with its
secrets goes no other way. A worker's are a JSON object and, with rows, Arrow IPC: nothing that is executed when read.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson
import polars as pl

from ...config.run_config import RunConfig
from ...core.interrupts import uninterrupted
from ...core.types import JsonObject
from ...transport.http_request import Head
from ...workload.datasets import Entries
from ...workload.lexicon import Lexicon

_COUNT, _LENGTH = struct.Struct("<I"), struct.Struct("<Q")


def write(stream: BinaryIO, parts: Sequence[bytes]) -> None:
    """Writes one message and flushes it. OSError or ValueError if nobody reads any more."""
    lengths = b"".join(_LENGTH.pack(len(part)) for part in parts)
    stream.write(b"".join([_COUNT.pack(len(parts)), lengths, *parts]))
    stream.flush()


def read_message(stream: BinaryIO) -> Iterator[list[bytes]]:
    """Each message's parts, until the stream ends. A message that breaks off is left out: its writer died over it."""
    while (count := _exactly(stream, _COUNT.size)) is not None:
        lengths = _exactly(stream, _LENGTH.size * _COUNT.unpack(count)[0])
        parts = [] if lengths is None else [_exactly(stream, n) for (n,) in _LENGTH.iter_unpack(lengths)]
        whole = [part for part in parts if part is not None]
        if lengths is None or len(whole) < len(parts):
            return
        yield whole


def _exactly(stream: BinaryIO, size: int) -> bytes | None:
    data = stream.read(size)
    return data if len(data) == size else None


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker is told first. Of `Prepared`, what the parent has read and a worker need not read again; `tally`: the file in
    which all count, None if each counts apart, as one of `parts`. `head`: None if the worker makes it by the key in
    its own environment. `lease_s`: it ends where it is not told "alive" for so long."""

    config: RunConfig
    head: Head | None
    salt: str
    parts: int
    tally: Path | None = None
    entries: Entries | None = None
    secrets: tuple[bytes, ...] = ()
    lexicon: Lexicon | None = None
    lease_s: float | None = None
    status_every_s: float = 0.25


def encode_order(word: str, **content: object) -> list[bytes]:
    """A message from the parent."""
    return [pickle.dumps((word, content))]


def read_order(parts: list[bytes]) -> tuple[str, JsonObject]:
    """What `encode_order` made; only ever read from the parent's pipe."""
    word: str
    content: JsonObject
    word, content = pickle.loads(parts[0])
    return word, content


def encode_report(say: str, frames: Sequence[pl.DataFrame] = (), /, **content: object) -> list[bytes]:
    """A message from a worker."""
    return [orjson.dumps({"say": say, **content}, option=orjson.OPT_SERIALIZE_NUMPY), *(_packed(f) for f in frames)]


def read_report(parts: list[bytes]) -> tuple[str, JsonObject, list[pl.DataFrame]]:
    """What `encode_report` made: (say, content, frames)."""
    content = orjson.loads(parts[0])
    return content.pop("say"), content, [_unpacked(part) for part in parts[1:]]


@uninterrupted
def _unpacked(part: bytes) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(part))


def _packed(frame: pl.DataFrame) -> bytes:
    data = io.BytesIO()
    frame.write_ipc(data)
    return data.getvalue()
