"""Makes basetenkit/workload/data/corpus.txt.gz: plain English sentences, one per line, from public-domain novels. Run by hand.

    python scripts/make_corpus.py FILE      FILE: data/Rdata.rdb of Debian's package r-cran-janeaustenr

The source is Jane Austen's six novels (1811 to 1818). Headings, quotation marks and the order of the sentences are dropped, and
sentences that are too short, too long or mostly names are left out, because they do not tokenize like prose. So are a few that
a content filter could refuse: a refusal is not the output whose speed somebody wants to measure.
"""

from __future__ import annotations

import gzip
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

WORDS = range(5, 56)
MOST_NAMES = 0.15
LINES = 22_000
TARGET = Path(__file__).parents[1] / "basetenkit" / "workload" / "data" / "corpus.txt.gz"
_UNWANTED = re.compile(
    r"\b(kill|murder|blood|rape|breast|naked|hang(ed|ing)|suicide|slave|damn|devil|whip|shoot|shot|poison|gipsy|gipsies|"
    r"intercourse|ejaculat|seduc|negro|hell|god|lord have|savage)",
    re.I,
)
_TITLE = re.compile(r"\b(Mr|Mrs|Dr|St|Esq|Messrs|Hon|Rev|Col|Capt|No)\.")
_STRING, _STRINGS = 9, 16  # R's types: one string, a vector of strings


def novels(packed: bytes) -> Iterator[str]:
    """The text of each novel. A record is the size of its content, then the content, compressed; integers are big-endian."""
    at = 0
    while at < len(packed):
        stream = zlib.decompressobj()
        content = stream.decompress(packed[at + 4 :])
        at = len(packed) - len(stream.unused_data)
        yield "\n".join(strings(content))


def strings(content: bytes) -> Iterator[str]:
    """The strings of a serialised vector of strings (R's format 3: `X`, three versions, an encoding, the vector)."""
    (name,) = struct.unpack_from(">I", content, 14)
    flags, count = struct.unpack_from(">II", content, at := 18 + name)
    assert flags & 0xFF == _STRINGS, "not a vector of strings"
    at += 8
    for _ in range(count):
        flags, size = struct.unpack_from(">II", content, at)
        assert flags & 0xFF == _STRING, "not a string"
        yield content[at + 8 : at + 8 + size].decode("utf-8")
        at += 8 + size


def sentences(novel: str) -> Iterator[str]:
    """The sentences of a novel as plain ASCII text."""
    for paragraph in re.split(r"\n\s*\n", novel):
        text = re.sub(r'["_*\u201c\u201d]', " ", paragraph).replace("\u2019", "'").replace("\u2018", " ")
        text = re.sub(r"\s*(--+|\u2014)\s*", ", ", text).replace("\u2013", "-").replace("\xa0", " ")
        text = _TITLE.sub(r"\1", re.sub(r"\s+", " ", text))
        text = re.sub(r"([,;:]),", r"\1", re.sub(r"\s+([,.;:?!])", r"\1", text))
        yield from (part.strip() for part in re.split(r"(?<=[.?!])\s+(?=[A-Z])", text))


def wanted(sentence: str) -> bool:
    """Whether a sentence is ordinary prose of ordinary length."""
    words = sentence.split()
    names = sum(word[:1].isupper() and word not in ("I", "I'm", "Mr", "Mrs", "Miss") for word in words[1:])
    plain = re.fullmatch(r"[A-Z][A-Za-z ,.;:?!'-]*[a-z][.?!]", sentence) is not None
    balanced = not re.search(r"\s'|'\s|'$|,,|\.\S|[.?!] [a-z]|[,;:][.?!]|[.?!][,;:.?!]", sentence)
    return (
        plain
        and balanced
        and len(words) in WORDS
        and names <= MOST_NAMES * len(words)
        and not _UNWANTED.search(sentence)
    )


def main(file: str) -> None:
    """Write the corpus; sorted, so that its bytes follow from its content alone."""
    chosen = {s for novel in novels(Path(file).read_bytes()) for s in sentences(novel) if wanted(s)}
    # A hash orders the sentences, so that what is left out is spread over the whole text and the same each time.
    kept = sorted(sorted(chosen, key=lambda s: (zlib.crc32(s.encode()), s))[:LINES])
    data = gzip.compress(("\n".join(kept) + "\n").encode("ascii"), 9, mtime=0)
    TARGET.write_bytes(data)
    sys.stdout.write(f"{len(chosen)} sentences, {len(kept)} kept, {len(data)} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1])
