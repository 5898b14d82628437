"""Makes corpus.txt.gz: plain English sentences, one a line, from a public-domain text. Run by hand, once.

    python make_corpus.py FOLDER      the folder with ot.bzs, ot.bzz, nt.bzs, nt.bzz of Debian's package sword-text-web

The source is the World English Bible, a modern English translation given to the public domain by its makers. Notes,
headings, quotation marks and the order are dropped, and many sentences left out, so what comes out is no longer that work
and does not carry its name. Sentences about violence and the like are left out because an endpoint with a content filter
would refuse them, and a refusal is not the output whose speed somebody wants to measure. Lists of names are left out
because they do not tokenize like prose.
"""

from __future__ import annotations

import gzip
import html
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

WORDS = range(6, 41)
MOST_NAMES = 0.15
LINES = 22_000
_DROPPED = re.compile(r"<note\b.*?</note>|<title\b.*?</title>|<milestone[^>]*>", re.S)
_UNWANTED = re.compile(
    r"\b(kill|sla[iy]|slew|slaughter|murder|blood|sword|whor|prostitut|harlot|rape|virgin|breast|womb|naked|nakedness|"
    r"circumcis|uncircumcis|foreskin|corpse|dead bod|hang|stone[ds]? (him|them|her)|burn|beat|torment|tortur|curse|hate|"
    r"abominat|idol|adulter|fornicat|lust|conceiv|seed|semen|dung|excrement|slave|concubine|wine|drunk|devour|destroy|"
    r"perish|enem|wicked|sinner|hell|demon|satan|devil|suicide|eunuch|lie with|lay with|unclean|plague|pestilence)",
    re.I,
)


def books(folder: Path) -> Iterator[str]:
    """The marked-up text of each book. Each .bzs record is offset, compressed size, size; all 32-bit little-endian."""
    for part in ("ot", "nt"):
        index, packed = (folder / f"{part}.bzs").read_bytes(), (folder / f"{part}.bzz").read_bytes()
        for offset, size, _ in struct.iter_unpack("<III", index):
            if size:
                yield zlib.decompress(packed[offset : offset + size]).decode("utf-8", "replace")


def sentences(book: str) -> Iterator[str]:
    """The sentences of a book as plain ASCII text."""
    text = html.unescape(re.sub(r"<[^>]*>", " ", _DROPPED.sub(" ", re.sub(r"</?w\b[^>]*>", "", book))))
    text = (
        re.sub("[\u201c\u201d\u2018]", " ", text).replace("\u2019", "'").replace("\u2014", ", ").replace("\u2013", "-")
    )
    text = re.sub(r"\s+([,.;:?!])", r"\1", re.sub(r"\s+", " ", text))
    yield from (part.strip() for part in re.split(r"(?<=[.?!])'?\s+(?=[A-Z])", text))


def wanted(sentence: str) -> bool:
    """Whether a sentence is ordinary prose of ordinary length."""
    words = sentence.split()
    names = sum(word[:1].isupper() and word not in ("I", "God", "Lord") for word in words[1:])
    plain = re.fullmatch(r"[A-Z][A-Za-z ,.;:?!'-]*[a-z][.?!]", sentence) is not None
    balanced = not re.search(r"\s'|'\s|'$|,,|\.\S", sentence)
    return (
        plain
        and balanced
        and len(words) in WORDS
        and names <= MOST_NAMES * len(words)
        and not _UNWANTED.search(sentence)
    )


def main(folder: str) -> None:
    """Write the corpus beside this script; sorted, so that its bytes follow from its content alone."""
    chosen = {s for book in books(Path(folder)) for s in sentences(book) if wanted(s)}
    # A hash orders the sentences, so that what is left out is spread over the whole text and the same each time.
    kept = sorted(sorted(chosen, key=lambda s: (zlib.crc32(s.encode()), s))[:LINES])
    data = gzip.compress(("\n".join(kept) + "\n").encode("ascii"), 9, mtime=0)
    Path(__file__).with_name("corpus.txt.gz").write_bytes(data)
    sys.stdout.write(f"{len(chosen)} sentences, {len(kept)} kept, {len(data)} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1])
