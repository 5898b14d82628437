"""Makes basetenkit/workload/data/counts.gz: how many tokens the embedded tokenizer gives each word and sentence of the corpus.

    python scripts/make_counts.py

To count 22,000 sentences takes most of a second of CPU, as much as a thousand requests. The corpus and the tokenizer ship
together, so their counts ship with them: one byte per count.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from basetenkit.workload import corpus
from basetenkit.workload.lexicon import measure
from basetenkit.workload.tokenizer import load_tokenizer

TARGET = Path(corpus.__file__).with_name("data") / "counts.gz"


def made() -> bytes:
    """The counts in the order in which `corpus.counts` reads them."""
    added, alone = measure(load_tokenizer(None), corpus.words(), corpus.lines())
    return bytes((*added, *alone))


def main() -> None:
    """Count, and write the counts."""
    TARGET.write_bytes(gzip.compress(made(), 9, mtime=0))
    sys.stdout.write(f"{TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
