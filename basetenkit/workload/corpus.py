"""The source of words: 22,000 plain English sentences that the package contains, so a run needs no network.

They are taken from a public-domain text (data/README.md has its name and the omitted parts), in plain ASCII and modern
English: with the embedded tokenizer they take about 1.26 tokens a word, as ordinary prose does with today's models.
Prompts are put together from whole sentences in random order, and there are far more sentences than one prompt takes.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from functools import cache
from importlib.resources import files


@cache
def lines() -> tuple[str, ...]:
    """The sentences, one string each, without line ends; always in the same order."""
    data = files(__package__).joinpath("data", "corpus.txt.gz").read_bytes()
    return tuple(gzip.decompress(data).decode("ascii").splitlines())


@cache
def words() -> tuple[str, ...]:
    """Every lower-case word of 3 to 10 letters that the corpus has at least twice, the most frequent first."""
    found = Counter(re.findall(r"(?<![A-Za-z'-])[a-z]{3,10}(?![A-Za-z'-])", "\n".join(lines())))
    return tuple(word for word, n in sorted(found.items(), key=lambda item: (-item[1], item[0])) if n > 1)


@cache
def counts() -> tuple[bytes, bytes]:
    """What the embedded tokenizer makes of the corpus, measured once and for all: the tokens that each of `words()` and then
    each of `lines()` adds to a text, and those that each word has by itself."""
    data = gzip.decompress(files(__package__).joinpath("data", "counts.gz").read_bytes())
    added = len(words()) + len(lines())
    return data[:added], data[added:]
