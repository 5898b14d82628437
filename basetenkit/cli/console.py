"""Output of the command line: tables, one JSON document, and with LOG_LEVEL=DEBUG each exchange when it is saved.

All text is printed as text: markup, links and control characters in a server's response have no effect.
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
from rich.text import Text

from ..core.progress import plain
from ..core.secrets import redact_url
from ..results.store import RunFolder, exchange_from_row

SAID = "Output"
GATES = "Gates: exit with code 1 if not met"
MARKED = {"✓": "green", "✗": "red", "?": "yellow"}  # the first character of a cell -> its style
AsJson = Annotated[
    bool,
    typer.Option("--json", rich_help_panel=SAID, help="Print one JSON document to standard output instead of tables."),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", rich_help_panel=SAID, help="Print only errors, and the JSON document with --json."),
]

Pricing = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="NAME=VALUE",
        rich_help_panel="Costs in US dollars",
        help="A field of the price: usd_per_minute=0.1, replicas=2, usd_per_million_output=1.5, source=contract.",
    ),
]


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a large run.")]
OnCluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        rich_help_panel="Several machines",
        help='A Dask scheduler, for example tcp://10.0.0.1:8786: its workers send the load. "local": processes here.',
    ),
]
Goodput = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        rich_help_panel="Gates: exit with code 1 if not met",
        help="Share of requests that must meet every --slo.",
    ),
]


def console() -> Console:
    """A console without markup, without colours guessed from text, and without line breaks if the output is not a terminal."""
    terminal = sys.stdout.isatty()
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=not terminal, width=None if terminal else 200)


def print_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to standard output, with `names` as its header."""
    console().print(_table(names, rows, no_wrap=False))


def grid(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table of which no cell is broken: numbers to the right, the SLO's marks in colour."""
    return _table(names, rows, no_wrap=True)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], *, no_wrap: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=no_wrap)
    for row in rows:
        table.add_row(*(Text(plain(cell), style=MARKED.get(cell[:1], "")) for cell in row))
    return table


def width_of(names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The characters that a line of `grid` takes."""
    widths = [
        max(len(line) for cell in column for line in cell.split("\n")) for column in zip(names, *rows, strict=True)
    ]
    return sum(widths) + 2 * (len(widths) - 1)


def print_json(document: Mapping[str, object]) -> None:
    """One JSON document to standard output; a value that JSON cannot hold is written as its text."""
    sys.stdout.write(orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")


class Traffic:
    """Print each exchange in a run's folder once, to standard error. The store has removed the secrets from them."""

    def __init__(self, folder: RunFolder, url: str) -> None:
        self._folder, self._url = folder, redact_url(url)
        self._seen = set(self._kept()["request_id"])  # from levels that finished earlier

    def show_new(self) -> None:
        """Print the exchanges saved since the last call. Call it during the run, and once after it."""
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
        """All saved exchanges; nothing if a level's parts are being merged, because the next call finds the merged file."""
        scan = self._folder.scan("exchanges")
        try:
            return scan.collect()
        except (OSError, pl.exceptions.PolarsError):
            return scan.clear().collect()
