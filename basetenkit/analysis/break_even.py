"""The request rate from which a dedicated replica is cheaper than a shared API, for requests like those of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from scipy.special import stdtrit

from ..config.price import Price
from ..core.errors import ConfigError
from ..core.types import Estimate
from ..results.run_data import RunData
from ..stats.intervals import NOTHING
from .cost import Costs, token_costs
from .figures import summary
from .given import Given, as_run


@dataclass(frozen=True)
class BreakEven:
    """What `bk.break_even` returns: the rate in requests per second from which dedicated replicas are cheaper than a shared API.

    `value`, `low`, `high`: the rate for the run's only scenario, with its 95% interval; None if the run has several scenarios,
    or if tokens are unknown. `frame`: one row per scenario with the same figures, `usd_per_request` at the shared API with its
    interval, `highest_per_s` (the highest rate that this run measured), and `reached` (whether that is at least `value`).
    `caveats`: limits of the result.
    """

    dedicated: Price
    shared: Price
    frame: pl.DataFrame
    caveats: list[str] = field(default_factory=list)

    @property
    def _one(self) -> Mapping[str, float | None]:
        return self.frame.row(0, named=True) if self.frame.height == 1 else {}

    @property
    def value(self) -> float | None:
        return self._one.get("value")

    @property
    def low(self) -> float | None:
        return self._one.get("low")

    @property
    def high(self) -> float | None:
        return self._one.get("high")

    def __repr__(self) -> str:
        lines = []
        for row in self.frame.iter_rows(named=True):
            if row["value"] is None:
                lines.append(f"{row['scenario']}: not known, because token counts are missing")
                continue
            bounds = "" if row["low"] is None else f" (95% interval {row['low']:.3g} to {row['high']:.3g})"
            lines.append(f"{row['scenario']}: dedicated is cheaper from {row['value']:.3g} requests/s{bounds}")
        return "\n".join([*lines, *self.caveats, f"dedicated: {self.dedicated.origin}; shared: {self.shared.origin}"])


def break_even(run: Given, dedicated: Price, shared: Price) -> BreakEven:
    """The rate in requests per second from which dedicated replicas are cheaper than a shared API, for requests like those of
    a run.

    Parameters
    ----------
    run : a Run, or the folder of a saved one; its successful requests in the measured window are used.
    dedicated : a Price with `usd_per_minute`.
    shared : a Price with `usd_per_million_input` and `usd_per_million_output`.

    Raises
    ------
    ConfigError : `run` is not a run, or a price is of the other kind.

    Examples
    --------
    >>> found = bk.break_even(run, bk.Price(usd_per_minute=0.1), bk.Price(usd_per_million_input=0.5, usd_per_million_output=1.5))
    >>> found.value, found.low, found.high
    """
    data = as_run(run, "break_even")
    if not isinstance(dedicated, Price) or not dedicated.dedicated:
        raise ConfigError("break_even: `dedicated` must be a bk.Price with usd_per_minute")
    if not isinstance(shared, Price) or not shared.shared:
        raise ConfigError(
            "break_even: `shared` must be a bk.Price with usd_per_million_input and usd_per_million_output"
        )
    per_second = (dedicated.usd_per_hour or 0.0) / 3600
    good = data.rows.filter(pl.col("in_window") & (pl.col("outcome") == "ok"))
    rows, caveats = [], []
    for (scenario,), part in good.group_by("scenario", maintain_order=True):
        cost = _mean(token_costs(part, shared))
        each = [None if not x else per_second / x for x in (cost.value, cost.high, cost.low)]
        highest = _highest(data, str(scenario))
        reached = None if each[0] is None or highest is None else highest >= each[0]
        rows.append([scenario, *each, cost.value, cost.low, cost.high, highest, reached])
        if reached is False:
            caveats.append(
                f"{scenario}: this run measured at most {highest:.3g} requests/s, which is less than that: whether the dedicated "
                "replicas can serve the break-even rate is not known. Measure it with bk.capacity."
            )
    names = ("value", "low", "high", "usd_per_request", "usd_per_request_low", "usd_per_request_high", "highest_per_s")
    schema = {"scenario": pl.String} | dict.fromkeys(names, pl.Float64) | {"reached": pl.Boolean}
    return BreakEven(dedicated, shared, pl.DataFrame(rows, schema, orient="row"), caveats)


def _mean(costs: Costs) -> Estimate:
    n = len(costs)
    if not n or np.isnan(costs).any():
        return NOTHING
    value = float(costs.mean())
    if n < 2:
        return Estimate(value, None, None, n, "one request")
    half = float(stdtrit(n - 1, 0.975)) * float(costs.std(ddof=1)) / math.sqrt(n)
    return Estimate(value, max(0.0, value - half), value + half, n, "mean of independent requests")


def _highest(run: RunData, scenario: str) -> float | None:
    """The highest rate of successful requests that a level of this scenario had, in requests per second."""
    found = summary(run).filter(pl.col("scenario") == scenario)["requests_per_s"].max()
    return float(found) if isinstance(found, int | float) else None
