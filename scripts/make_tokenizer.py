"""Makes basetenkit/workload/data/tokenizer.json: a byte-level BPE of 16,384 pieces for English, code and other bytes. Run by hand.

    python scripts/make_tokenizer.py [FOLDER_OR_FILE ...]

It learns from the corpus, from this Python's standard library (code and docstrings), and from the .py, .rst, .md and .txt
files (.gz too) under the folders named: the shipped one was made with the Jargon File (public domain) and the documentation
inside the permissively licensed packages of a Python environment. Only the statistics of letter pairs go into the result. It
is made once and shipped, not built at first use, because its merges depend on the files found.

Its count of a text is near that of today's models (numbers in groups of up to three digits, words with their leading space)
and not equal to it: to get equal counts, give the model's own tokenizer.
"""

from __future__ import annotations

import gzip
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

PIECES = 16_384
DATA = Path(__file__).parents[1] / "basetenkit" / "workload" / "data"
CODE_LIMIT = 6_000_000
PROSE_LIMIT = 12_000_000
ENDINGS = {".py", ".rst", ".md", ".txt"}
# Words with their leading space and contractions, groups of up to three digits, runs of signs, line ends, spaces.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def files(folder: Path) -> Iterator[Path]:
    """The text files under a folder, in a fixed order; a file stands for itself."""
    if folder.is_file():
        yield folder
        return
    for path in sorted(folder.rglob("*")):
        inside = f"/{path.relative_to(folder)}"
        if Path(path.name.removesuffix(".gz")).suffix in ENDINGS and path.is_file() and "/test" not in inside:
            yield path


def texts(paths: Iterator[Path], limit: int, largest: int = 400_000) -> Iterator[str]:
    """The texts of files up to `limit` bytes in all; files that are not UTF-8 or larger than `largest` are skipped."""
    total = 0
    for path in paths:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if len(data) > largest and path.suffix != ".gz":
            continue
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            continue
        total += len(data)
        if total > limit:
            return
        yield text


def material(folders: list[Path]) -> Iterator[str]:
    """The texts it learns from: the corpus, code of the standard library, and the files named."""
    yield gzip.decompress((DATA / "corpus.txt.gz").read_bytes()).decode("ascii").replace("\n", " ")
    yield from texts(iter(sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))), CODE_LIMIT)
    for folder in folders:
        yield from texts(files(folder), PROSE_LIMIT)


def main(folders: list[str]) -> None:
    """Train, and write the tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=PIECES, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"])
    tokenizer.train_from_iterator(material([Path(f) for f in folders]), trainer)
    target = DATA / "tokenizer.json"
    target.write_text(tokenizer.to_str(pretty=False), encoding="utf-8")
    sys.stdout.write(f"{tokenizer.get_vocab_size()} pieces, {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
