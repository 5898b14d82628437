"""What two kinds of comparison have in common: of two saved runs (`comparison`), and of two endpoints in turns (`studies`).

Each has a verdict in words, tables, what must be read with them, and frames for further computation. A cell, the report, the
workbook and the command line show the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from ..config.loads import LevelKey
from ..core.in_words import InWords
from ..core.tables import Html, digits, html_table, percent, stacked
from ..core.types import Estimate

TWICE = 2.0  # a ratio from here on is told as "2.1 times as high", below it as a percentage
TINY = 0.001  # a ratio below it, or above its inverse, is told as that


class ComparisonStatus(StrEnum):
    """What the verdict of a comparison says, for code."""

    DIFFERS = "differs"
    EQUAL = "equal within the margin"
    UNDECIDED = "not enough data"
    MEASURED = "measured"  # two saved runs: differences have sizes, and the day may be their cause
    FAILED = "failed"  # in one of the two nothing succeeded
    NOTHING = "nothing in common"


@dataclass(frozen=True, slots=True)
class DifferenceEvidence:
    """One figure of A and B that a verdict rests on.

    Attributes
    ----------
    metric : name of the figure, as in the comparison's `frame`.
    level : scenario and load.
    a, b : the figure in its unit (s for latencies); for two endpoints the mean over blocks.
    ratio : b / a with its 95% interval.
    """

    metric: str
    level: LevelKey
    a: Estimate
    b: Estimate
    ratio: Estimate

    @property
    def differs(self) -> bool:
        """Whether the 95% interval of the ratio is known and does not contain 1."""
        low, high = self.ratio.low, self.ratio.high
        return low is not None and high is not None and not low <= 1 <= high


@dataclass(frozen=True, slots=True, repr=False)
class ComparisonVerdict(InWords):
    """What a comparison found. `str(verdict)` is the text, `sentences` its one to three sentences, `status` what it says, for code,
    and `evidence` the figures that it rests on."""

    status: ComparisonStatus
    sentences: tuple[str, ...]
    evidence: tuple[DifferenceEvidence, ...]


class Compared(ABC):
    """A comparison as all surfaces show it."""

    title: str = "B against A"
    verdict: ComparisonVerdict
    words: list[str]

    @abstractmethod
    def table_rows(self) -> dict[str, Sequence[Mapping[str, object]]]:
        """The tables that a person reads: caption -> rows of texts."""

    @abstractmethod
    def frames(self) -> dict[str, pl.DataFrame]:
        """The frames, for further computation: name -> frame."""

    def tables(self) -> list[Html]:
        """`table_rows` as tables of a page."""
        return [html_table(rows, caption) for caption, rows in self.table_rows().items()]

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        words = html_table([{"to be read with it": text} for text in self.words])
        return {"text/html": stacked(self.verdict.markup, *self.tables(), words), "text/plain": repr(self)}

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    def __repr__(self) -> str:
        return "\n".join([str(self.verdict), "", *map(repr, self.tables()), *self.words])


def change(ratio: float) -> str:
    """A ratio in words.

    >>> [change(x) for x in (0.922, 1.1, 2.13, 1.0)]
    ['7.8% lower', '10% higher', '2.13 times as high', 'the same']
    """
    amount, direction = _parts(ratio)
    return f"{amount} {direction}".lstrip()


def changes(low: float, high: float) -> str:
    """The interval of a ratio in words, the smaller end first.

    >>> changes(0.906, 0.939), changes(0.97, 1.05)
    ('6.1% to 9.4% lower', '3% lower to 5% higher')
    """
    (of_low, down), (of_high, up) = _parts(low), _parts(high)
    if down != up:
        return f"{change(low)} to {change(high)}"
    first, last = (of_high, of_low) if high <= 1 else (of_low, of_high)
    return f"{first} to {last} {up}".lstrip()


def ratio_text(ratio: float | None, missing: str = "–") -> str:
    """A ratio with three decimals up to TWICE, above it with three digits; `missing` if it is not known.

    >>> [ratio_text(x) for x in (0.9731, 12.34, 376_000.0, 0.00002, None)]
    ['0.973', '12.3', 'over 1,000', 'under 0.001', '–']
    """
    if ratio is None:
        return missing
    if ratio > 1 / TINY:
        return f"over {1 / TINY:,.0f}"
    return f"under {TINY}" if 0 < ratio < TINY else f"{ratio:.3f}" if ratio < TWICE else digits(ratio)


def _parts(ratio: float) -> tuple[str, str]:
    if ratio >= TWICE:
        return digits(ratio), "times as high"
    moved = abs(ratio - 1)
    if moved < 5e-5:
        return "", "the same"
    return percent(moved), "higher" if ratio > 1 else "lower"
