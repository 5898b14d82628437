"""How a run and a live run show themselves as the last line of a cell: the levels with their figures, then what a reader
must know."""

from __future__ import annotations

from ..core.progress import describe
from ..core.tables import paragraph, stacked
from ..results.run_data import RunData
from .tables import costs, findings_table, overview


def run(shown: RunData, said: str) -> dict[str, str]:
    """The MIME bundle of a run; `said`: its one line."""
    tables = [overview(shown), *([costs(shown)] if shown.config.price is not None else []), findings_table(shown)]
    text = "\n".join(filter(None, (said, *map(repr, tables))))
    return {"text/html": stacked(paragraph(said), *tables), "text/plain": text}


def live(progress: dict[str, object], done: bool) -> dict[str, str]:
    """The MIME bundle of a live run: one line, with its state now."""
    line = describe(progress)
    line += ", done" if done else ""
    return {"text/html": str(paragraph(line)), "text/plain": line}
