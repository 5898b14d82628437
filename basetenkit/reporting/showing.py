"""The display of a run and of a live run as the last line of a cell: the verdict, the levels with their figures, then the
findings."""

from __future__ import annotations

from ..analysis import figures
from ..analysis.verdict import verdict
from ..core.progress import progress_text
from ..core.tables import paragraph, stacked
from ..results.run_data import RunData
from .tables import costs, overview


def run_bundle(shown: RunData, said: str) -> dict[str, str]:
    """The MIME bundle of a run; `said`: its one line."""
    first, found = verdict(shown), figures.findings(shown)
    tables = [
        overview(shown),
        *([costs(shown)] if shown.config.price is not None else []),
        *([found.table] if found else []),
    ]
    text = "\n\n".join([f"{first}\n{said}", *map(repr, tables)])
    return {"text/html": stacked(first.markup, paragraph(said), *tables), "text/plain": text}


def live_bundle(progress: dict[str, object], done: bool) -> dict[str, str]:
    """The MIME bundle of a live run: one line, with its state now."""
    line = progress_text(progress)
    line += ", done" if done else ""
    return {"text/html": str(paragraph(line)), "text/plain": line}
