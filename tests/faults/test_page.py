"""docs/faults.md says what the tests of this folder hold: its table is made from the faults themselves.

python -m tests.faults.test_page      # writes the table anew
"""

from __future__ import annotations

import re
from pathlib import Path

from .server import FAULTS
from .test_matrix import TLS

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- faults -->\n", "<!-- end of faults -->\n"
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
    lines = []
    for name, outcome, words in rows:
        plain = "that nothing was said" if words == "." else re.sub(r"\\d\+ ", "", words).replace("|", " or ")
        kept = KEPT.get(outcome.split(",")[0], "the row, the bytes, the text so far")
        shown = ", ".join(f"`{o}`" for o in outcome.split(", "))
        lines.append(f"| {name} | {shown} | {plain} | {kept} |\n")
    return "".join(lines)


def written() -> str:
    head, _, rest = PAGE.read_text("utf8").partition(BEGIN)
    head = re.sub(r"\*\*\S+ kinds of fault tried", f"**{len(FAULTS) + len(OTHERS)} kinds of fault tried", head)
    return head + BEGIN + table() + END + rest.partition(END)[2]


def test_the_page_says_what_the_tests_hold() -> None:
    assert PAGE.read_text("utf8") == written()


if __name__ == "__main__":
    PAGE.write_text(written(), "utf8")
