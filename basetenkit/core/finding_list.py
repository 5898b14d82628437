"""The findings of a run as one list: grouped by kind for people, one by one for code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .findings import Finding
from .markup import render
from .tables import Html, html_table, stacked

SHOWN = 5  # kinds of finding that are shown before the others are folded
SEVERITIES = ("error", "warning", "note")
_FOLDED = """<details><summary>{{ title }}</summary>{{ table }}</details>"""


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """All findings of one code, in the order of their levels."""

    findings: tuple[Finding, ...]

    @property
    def code(self) -> str:
        return self.findings[0].code

    @property
    def severity(self) -> str:
        return self.findings[0].severity

    @property
    def where(self) -> str:
        """The levels, those that begin alike said once: "D(100,100) at concurrency 1, 8, 16"; "" if it concerns the whole run."""
        levels = list(dict.fromkeys(f.where for f in self.findings if f.where))
        if len(levels) < 2:
            return "".join(levels)
        # words, so that no number is cut in two
        words = [level.split(" ") for level in levels]
        alike = next((i for i, column in enumerate(zip(*words, strict=False)) if len(set(column)) > 1), 0)
        return ", ".join(levels[:1] + [" ".join(level[alike:]) for level in words[1:]])

    @property
    def text(self) -> str:
        """The fact; if the levels' figures differ, that of the first level, and it says so."""
        first = self.findings[0].text
        alike = all(f.text == first for f in self.findings)
        return first if alike else f"{first.rstrip('.')} (the first of these levels)."

    @property
    def cure(self) -> str:
        return self.findings[0].cure

    @property
    def row(self) -> dict[str, str]:
        """The group as a row of a table."""
        shown = {"severity": self.severity, "finding": self.code, "where": self.where or "the whole run"}
        return shown | {"what": self.text, "what to do": self.cure}


class Findings(list[Finding]):
    """What a reader of a run's figures must know, gravest first: a list of `Finding`. As the last line of a cell it is a table with
    a row per kind: the first 5 kinds, the others folded.

        [finding.code for finding in run.findings]
        run.findings.groups[0].where      # the levels that the gravest kind concerns
    """

    @property
    def groups(self) -> list[FindingGroup]:
        """One group per code: errors, then warnings, then notes; within a severity in the order of this list."""
        by_code: dict[str, list[Finding]] = {}
        for found in self:
            by_code.setdefault(found.code, []).append(found)
        groups = [FindingGroup(tuple(found)) for found in by_code.values()]
        return sorted(groups, key=lambda group: SEVERITIES.index(group.severity))

    @property
    def table(self) -> Html:
        """The groups as a table, the first 5 at once."""
        groups = self.groups
        first, rest = groups[:SHOWN], groups[SHOWN:]
        shown = html_table([group.row for group in first])
        if not rest:
            return shown
        title = _more(rest)
        folded = Html(render(_FOLDED, title=title, table=html_table([group.row for group in rest])), title)
        return Html(render("{{ a }}{{ b }}", a=shown, b=folded), f"{shown!r}\n{title}")

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": stacked(self.table), "text/plain": repr(self.table)}

    def __repr__(self) -> str:
        return repr(self.table)


def _more(rest: Sequence[FindingGroup]) -> str:
    return f"{len(rest)} more: {', '.join(group.code for group in rest)}"
