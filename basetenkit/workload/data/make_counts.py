"""Makes counts.gz: what the embedded tokenizer makes of the embedded corpus. `python -m basetenkit.workload.data.make_counts`

To measure 22,000 sentences takes most of a second of CPU, as much as a thousand requests; for what ships together it need
not be done again each time. One byte a count.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from .. import corpus
from ..lexicon import measure
from ..tokenizer import load_tokenizer


def made() -> bytes:
    """The counts in the order in which `corpus.counts` reads them."""
    added, alone = measure(load_tokenizer(None), corpus.words(), corpus.lines())
    return bytes((*added, *alone))


def main() -> None:
    """Measure, and write the counts beside this script."""
    target = Path(__file__).with_name("counts.gz")
    target.write_bytes(gzip.compress(made(), 9, mtime=0))
    sys.stdout.write(f"{target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
