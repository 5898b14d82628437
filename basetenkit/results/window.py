"""Which rows the figures cover; `stretches` has the time that rates cover.

A steady level needs no cut: the load was settled before its first measured request, and was kept up until the last one had ended.
For other levels (`steady=False`, and runs of earlier versions) a rule leaves out the ramp and the drain. If a level was ended with
requests in flight, there is no drain, and nothing is left out at its end: a reader must see the requests that hung until then.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ..core.errors import ConfigError
from .schema import OPEN_LOOP, UNIT

RULE = (
    "every measured request of a steady level; otherwise without the first 2C and the last C requests of a closed-loop level C "
    "if at least 10C were sent (nothing is left out at the end of a level that was ended with requests in flight)"
)


@dataclass(frozen=True, slots=True)
class Window:
    """Which requests of each level and repeat are measured. If all fields are None, `RULE` applies. Times are in s since the
    level's start; a request counts by its start."""

    skip_first: int | None = None
    skip_last: int | None = None
    from_s: float | None = None
    until_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("skip_first", "skip_last", "from_s", "until_s"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ConfigError(f"{name} is {value}; give 0 or more")
        if self.until_s is not None and self.until_s <= (self.from_s or 0):
            raise ConfigError(f"until_s is {self.until_s}; give more than from_s, which is {self.from_s or 0}")

    def __str__(self) -> str:
        """In words, as reports and metadata have it."""
        if self == BY_RULE:
            return RULE
        skipped = [
            f"the {side} {n}" for side, n in (("first", self.skip_first), ("last", self.skip_last)) if n is not None
        ]
        words = [f"without {' and '.join(skipped)} requests of each level"] if skipped else []
        if self.from_s is not None or self.until_s is not None:
            end = "its end" if self.until_s is None else f"{self.until_s:g} s"
            words.append(f"what started from {self.from_s or 0:g} s to {end} of each level")
        return ", ".join(words)


BY_RULE = Window()


def mark_window(rows: pl.DataFrame, window: Window = BY_RULE) -> pl.DataFrame:
    """Sets `in_window`: the measured requests, by the rule or by what `window` says.

    The rule takes all of them if the level was steady, and in an open loop. Of another closed-loop level C, where at least 10C
    were sent, it leaves out the first 2C and the last C by start order; the last C stay in a level that was ended with measured
    requests in flight."""
    rank = pl.col("start_s").rank("ordinal").over([*UNIT, "phase"]) - 1
    n, level = pl.len().over([*UNIT, "phase"]), pl.col("level")
    measured = pl.col("phase") == "measured"
    if window == BY_RULE:
        steady = pl.col("phase").is_in(["ramp", "cooldown"]).any().over(UNIT)
        ended = ((pl.col("outcome") == "cancelled") & measured).any().over(UNIT)
        cut = ~steady & ~OPEN_LOOP & (n >= 10 * level) & pl.col("start_s").is_not_null()
        inside = ~cut | ((rank >= 2 * level) & (ended | (rank < n - level)))
    else:
        inside = (rank >= (window.skip_first or 0)) & (rank < n - (window.skip_last or 0))
        inside &= pl.col("start_s") >= (window.from_s or 0)
        if window.until_s is not None:
            inside &= pl.col("start_s") < window.until_s
    return rows.with_columns(in_window=(measured & inside).fill_null(False))
