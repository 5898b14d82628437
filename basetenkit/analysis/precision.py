"""Whether a level is precise enough: `until={"ttft_s_p95": 0.05}` goes on until half of that interval is 5% of the figure.

The intervals are the summary's own, so what stops a run is what its reader sees. A figure without an upper bound is never precise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ..config.looks import FIRST_LOOK, next_look
from ..core.errors import ConfigError
from ..results.manifest import LevelEntry
from .summary import metric_names, summarise

# Half of an interval over the figure, with 200 requests: the least and the most of the simulated levels of
# docs/concepts/intervals.md that do not change and are at 50% of capacity at most. It shrinks with the root
# of the number of requests.
TYPICAL: dict[str, tuple[float, float]] = {
    "mean": (0.03, 0.30),
    "p50": (0.03, 0.35),
    "p90": (0.10, 0.40),
    "p95": (0.12, 0.45),
    "p99": (0.25, 0.90),
    "requests_per_s": (0.10, 0.32),
    "input_tokens_per_s": (0.10, 0.32),
    "inputs_per_s": (0.10, 0.32),
    "output_tokens_per_s": (0.03, 0.20),
    "goodput": (0.03, 0.10),
    "error_rate": (0.03, 0.10),
}
BOUNDED = {
    "p50": 6,
    "p90": 36,
    "p95": 72,
    "p99": 368,
}  # independent requests below which a percentile has no upper bound
DEPEND = 3.0  # requests of a run that say as much as one independent one, at most, on those levels


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
                f"until: {name} is {share!r}; give half of its interval as a share of it, such as 0.05 for 5%"
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


def expected_requests(until: Mapping[str, float]) -> tuple[int, int]:
    """(at least, at most) how many requests each level will probably take, at the look at which it stops: from the simulated levels
    of docs/concepts/intervals.md that do not change. A server that drifts, or one near its capacity, takes more or never gets
    there."""
    check(until)
    both = [_needs(name, share) for name, share in until.items()]
    low, high = (max((pair[i] for pair in both), default=FIRST_LOOK) for i in (0, 1))
    return _look_at(low), _look_at(high)


def _needs(name: str, share: float) -> tuple[float, float]:
    kind = name if name in TYPICAL else name.rsplit("_", 1)[1]
    narrow, wide = TYPICAL.get(kind, TYPICAL["goodput"])
    least = BOUNDED.get(kind, 0)
    return max(FIRST_LOOK * (narrow / share) ** 2, least), max(FIRST_LOOK * (wide / share) ** 2, least * DEPEND)


def _look_at(n: float) -> int:
    """The first look at `n` requests or more."""
    at = FIRST_LOOK
    while at < n:
        at = next_look(at)
    return math.ceil(at)
