"""What the command line puts on a terminal: tables, one JSON document, and with LOG_LEVEL=DEBUG each exchange as it is kept.

Text is text here: what a server said may hold markup, links and what moves a cursor, and none of it does anything.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import orjson
import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from ..core.progress import plain
from ..core.secrets import redact_url
from ..results.store import RunFolder, exchange_from_row

SAID = "What is printed"
AsJson = Annotated[
    bool, typer.Option("--json", rich_help_panel=SAID, help="Print one JSON document to standard output, and no table.")
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", rich_help_panel=SAID, help="No progress and no table: only errors, and --json where given."
    ),
]


def console() -> Console:
    """No markup, no colours guessed from the text, and no line broken where nobody looks at a terminal."""
    width = None if sys.stdout.isatty() else 200
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=True, width=width)


def print_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table to standard output, `names` above it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    console().print(table)


def print_json(document: Mapping[str, object]) -> None:
    """One JSON document to standard output; what JSON has no form for stands as its text."""
    sys.stdout.write(orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")


class Traffic:
    """The exchanges that a run's folder keeps, to standard error, each once. The store has left out what is secret in them."""

    def __init__(self, folder: RunFolder, url: str) -> None:
        self._folder, self._url = folder, redact_url(url)
        self._seen = set(self._kept()["request_id"])  # of levels that were done before

    def show_new(self) -> None:
        """Shows what has been kept since the last call; called while the run goes on, and once after it."""
        for row in self._kept().filter(~pl.col("request_id").is_in(list(self._seen))).iter_rows(named=True):
            self._seen.add(row["request_id"])
            kept = exchange_from_row(row)
            answer = f"<- {kept.status}" if kept.failure is None else f"<- {kept.failure.message}"
            lines = [f"--- {row['request_id']}: POST {self._url}", kept.request.body.decode("utf-8", "replace"), answer]
            lines += [f"{name}: {value}" for name, value in kept.headers]
            lines.append(bytes(kept.body).decode("utf-8", "replace"))
            sys.stderr.write(plain("\n".join(lines)) + "\n")
        sys.stderr.flush()

    def _kept(self) -> pl.DataFrame:
        """All there is, or nothing where a level's parts were just put together: the next call finds them as one."""
        scan = self._folder.scan("exchanges")
        try:
            return scan.collect()
        except (OSError, pl.exceptions.PolarsError):
            return scan.clear().collect()
