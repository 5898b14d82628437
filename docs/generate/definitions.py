"""Our metrics in docs/concepts/definitions.md, from their definitions in the code; the text around them is written by hand."""

from __future__ import annotations

from pathlib import Path

from basetenkit.analysis.metrics import METRICS

PAGE = Path(__file__).parents[1] / "concepts" / "definitions.md"
BEGIN, END = "<!-- metrics -->\n", "<!-- end of metrics -->\n"


def page() -> str:
    """The page as it is, with the table of today's metrics."""
    head, _, rest = PAGE.read_text("utf8").partition(BEGIN)
    table = "| metric | name | unit | formula |\n|---|---|---|---|\n"
    table += "".join(f"| {m.title} | `{m.name}` | {m.unit or 'share'} | {m.formula} |\n" for m in METRICS.values())
    return head + BEGIN + table + END + rest.partition(END)[2]
