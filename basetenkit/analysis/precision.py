"""Whether a level is precise enough: `until={"ttft_s_p95": 0.05}` runs until half of that interval is at most 5% of the figure.

The intervals are those of the summary, so a reader sees the figures that stopped the run. A figure without an upper bound is
never precise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ..config.looks import next_look
from ..core.errors import ConfigError
from ..results.manifest import LevelEntry
from .summary import metric_names, summarise


@dataclass(frozen=True, slots=True)
class Precision:
    """`reached`: half of each figure's interval over the figure; None if it has no upper bound yet. `enough`: whether each is
    within what was asked for. `n`: the requests that this is of."""

    reached: dict[str, float | None]
    enough: bool
    n: int

    @property
    def next_look(self) -> int:
        return next_look(self.n)


def check(until: Mapping[str, float]) -> None:
    """ConfigError, one sentence, if `until` names no figure of a summary that has an interval, or asks for no share of it."""
    names = metric_names()
    for name, share in until.items():
        if name not in names:
            near = [known for known in names if known.startswith(name.split("_")[0])][:3]
            raise ConfigError(
                f"until: there is no figure {name!r}; give the name of a summary's column, such as {', '.join(near or names[:3])}"
            )
        if not (isinstance(share, (int, float)) and 0 < share < 1):
            raise ConfigError(
                f"until: {name} is {share!r}; give half the width of its interval as a share of the figure, such as 0.05"
            )


def precision(
    rows: pl.DataFrame,
    chunks: pl.LazyFrame | None,
    until: Mapping[str, float],
    slo: Mapping[str, float] | None = None,
    levels: Sequence[LevelEntry] = (),
) -> Precision:
    """How precise the figures of one level are by now. `rows`: those of one (scenario, load, level), with `in_window` set; the
    others are as in `summarise`."""
    n = rows.filter(pl.col("in_window")).height
    found = summarise(rows, chunks, slo, levels)
    row = found.row(0, named=True) if found.height else {}
    reached = {name: relative_half(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high")) for name in until}
    enough = all(half is not None and half <= until[name] for name, half in reached.items())
    return Precision(reached, enough, n)


def relative_half(value: float | None, low: float | None, high: float | None) -> float | None:
    """Half of an interval over its figure: the wider side, so that neither bound is further off. None if it has no such bound."""
    if not value or low is None or high is None:
        return None
    return max(value - low, high - value) / abs(value)
