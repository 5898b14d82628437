"""How a run and a live run show themselves as the last line of a cell: the levels with their figures, then what a reader
must know."""

from __future__ import annotations

import html

from ..core.progress import describe
from ..results.run_data import RunData
from .tables import findings_table, overview


def run(shown: RunData, said: str) -> dict[str, str]:
    """The MIME bundle of a run; `said`: its one line."""
    table, below = overview(shown)._repr_mimebundle_(), findings_table(shown)._repr_mimebundle_()
    markup = f"<p>{html.escape(said)}</p>{table['text/html']}{below['text/html']}"
    text = "\n".join(filter(None, (said, table["text/plain"], below["text/plain"])))
    return {"text/html": markup, "text/plain": text}


def live(progress: dict[str, object], done: bool) -> dict[str, str]:
    """The MIME bundle of a live run: one line, as it stands now."""
    line = describe(progress) if progress["level"] else "the run is about to begin"
    line += ", done" if done else ""
    return {"text/html": f"<p>{html.escape(line)}</p>", "text/plain": line}
