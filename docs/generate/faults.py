"""The table of docs/reference/faults.md, from the faults that the tests cause; the text around it is written by hand."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.server import FAULTS
from tests.faults.test_matrix import TLS

PAGE = Path(__file__).parents[1] / "reference" / "faults.md"
BEGIN, END = "<!-- faults -->\n", "<!-- end of faults -->\n"
HEAD = "| Fault | What you see: `outcome` | Words in `error_message` | What is kept |\n|---|---|---|---|\n"
KEPT = {
    "connection_error": "the row",
    "timeout": "the row, the bytes so far",
    "incomplete": "the row, the bytes and the text so far",
    "http_error": "the row with `status`, the body, the headers",
}
OTHERS = [
    ("a port that refuses", "connection_error", "refused"),
    ("a name that cannot be resolved", "connection_error", "cannot be resolved"),
    *((f"TLS: {kind}", "connection_error", words.replace(".*", "...")) for kind, words in TLS.items()),
    ("a server that restarts during the load", "connection_error, incomplete", "refused, closed, broke"),
]


def table() -> str:
    rows = [(f.name, f.outcome, f.words) for f in FAULTS] + OTHERS
    lines = [HEAD]
    for name, outcome, words in rows:
        plain = "(any)" if words == "." else re.sub(r"\\d\+ ", "", words).replace("|", " or ")
        kept = KEPT.get(outcome.split(",")[0], "the row, the bytes, the text so far")
        shown = ", ".join(f"`{o}`" for o in outcome.split(", "))
        lines.append(f"| {name} | {shown} | {plain} | {kept} |\n")
    return "".join(lines)


def page() -> str:
    """The page as it is, with the table and the count of today's faults."""
    head, _, rest = PAGE.read_text("utf8").partition(BEGIN)
    head = re.sub(r"\*\*\S+ kinds of fault tried", f"**{len(FAULTS) + len(OTHERS)} kinds of fault tried", head)
    return head + BEGIN + table() + END + rest.partition(END)[2]
