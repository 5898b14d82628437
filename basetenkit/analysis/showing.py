"""How a run and a live run show themselves as the last line of a cell: the levels with their figures, then what a reader
must know. Takes what it needs by name, because the classes stand a storey above."""

from __future__ import annotations

import html
from typing import Any

from ..progress import describe
from .tables import findings_table, overview


def run(shown: Any) -> dict[str, str]:
    """The MIME bundle of a Run."""
    table, said = overview(shown)._repr_mimebundle_(), repr(shown)
    below = findings_table(shown)._repr_mimebundle_()
    markup = f"<p>{html.escape(said)}</p>{table['text/html']}{below['text/html']}"
    text = "\n".join(filter(None, (said, table["text/plain"], below["text/plain"])))
    return {"text/html": markup, "text/plain": text}


def live(shown: Any) -> dict[str, str]:
    """The MIME bundle of a LiveRun: one line, as it stands now."""
    progress = shown.progress
    line = describe(progress) if progress["level"] else "the run is about to begin"
    line += ", done" if shown.done else ""
    return {"text/html": f"<p>{html.escape(line)}</p>", "text/plain": line}
