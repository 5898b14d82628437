"""A comparison in a terminal: the verdict, the tables in the columns that fit, and what must be read with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from ..analysis.compared import Compared
from ..core.progress import plain
from ..core.tables import show
from .console import console, grid, width_of

SPARED = ("b - a", "unit", "scenario")  # columns that a narrow terminal does without, in this order


def show_comparison(found: Compared) -> None:
    """Print a comparison to standard output."""
    out = console()
    out.print(Text(plain(str(found.verdict)), style="bold"))
    for caption, rows in found.table_rows().items():
        scenarios = {row["scenario"] for row in rows if "scenario" in row}
        one = f" ({scenarios.pop()})" if len(scenarios) == 1 else ""
        out.print(Text(f"\n{plain(caption + one)}", style="dim"))
        forms = [_cells(names, rows) for names in _columns(rows, bool(one))]
        if forms:
            fits = [form for form in forms if width_of(*form) <= out.width]
            out.print(grid(*(fits or forms[-1:])[0]))
    out.print()
    for text in found.words:
        out.print(plain(text))


def _columns(rows: Sequence[Mapping[str, object]], one: bool) -> Iterator[list[str]]:
    """The columns of a table, from all of them to the fewest; `one`: the scenario is in the caption."""
    names = [name for name in (rows[0] if rows else ()) if not (one and name == "scenario")]
    if names:
        yield names
    for spared in SPARED:
        if spared in names:
            names = [name for name in names if name != spared]
            yield names


def _cells(names: Sequence[str], rows: Sequence[Mapping[str, object]]) -> tuple[list[str], list[list[str]]]:
    """The cells of these columns; a metric has its unit behind it if there is no column for it."""
    joined = "unit" not in names

    def cell(row: Mapping[str, object], name: str) -> str:
        return f"{row[name]}, {row['unit']}" if joined and name == "metric" and "unit" in row else show(row[name])

    return list(names), [[cell(row, name) for name in names] for row in rows]
