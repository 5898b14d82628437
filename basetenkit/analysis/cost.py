"""The cost of a run, the cost of its load per token and per hour, and what a prompt cache saves.

The conventions, which are shown with each figure:

- Dedicated replicas cost `usd_per_minute * replicas` for as long as they are up. `usd_per_million_output_tokens` puts the
  whole bill on output tokens; `usd_per_million_tokens` shares it over input and output tokens alike. Both are of the measured
  load: a replica that serves a tenth of it costs ten times as much per token.
- A shared API costs its price per token. Its `usd_per_million_output_tokens` includes the input tokens that go with them.
- Tokens that the server reports as cached have the cached price, if the price has one. Prompts of a run differ from each other
  unless a scenario or a salt says otherwise, so a run shows the price without a cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import stdtrit

from ..config.loads import LevelKey
from ..config.price import MILLION, Price
from ..core.types import Estimate, Row
from ..results.manifest import LevelEntry
from ..results.run_data import RunData
from ..results.schema import LEVEL
from ..stats.intervals import NOTHING
from .rates import named

Costs = NDArray[np.float64]
COSTS = ("usd_per_million_output_tokens", "usd_per_million_tokens", "usd_per_hour")
TITLES = dict(zip(COSTS, ("cost per million output tokens", "cost per million tokens", "cost per hour"), strict=True))
UNIT = "USD"
TOTALS = ("usd", "idle_share")


def of_level(figures: Row, rows: pl.DataFrame, entries: list[LevelEntry], price: Price) -> dict[str, object]:
    """The costs of one level by name: each of COSTS as value, _low, _high; `usd`, of all its requests; `idle_share`.

    `figures`: the level's figures, with its rates; `rows`: all its rows; `entries`: its repeats in run.json."""
    window = rows.filter(pl.col("in_window") & (pl.col("outcome") == "ok"))
    per_hour = _per_hour(figures, window, price)
    if price.dedicated:
        million = MILLION / 3600 * (price.usd_per_hour or 0.0)
        of_output = _over(million, _rate(figures, "output_tokens_per_s"))
        of_all = _over(million, _all_tokens(figures))
    else:
        costs, outputs = token_costs(window, price), window["output_tokens"].to_numpy()
        inputs = window["input_tokens"].to_numpy()
        of_output = _ratio(costs, outputs)
        of_all = _ratio(costs, inputs if _embeds(figures) else inputs + outputs)
    out = named(COSTS[0], of_output, window.height) | named(COSTS[1], of_all, window.height)
    out |= named(COSTS[2], per_hour, window.height)
    return out | {"usd": spent(rows, [entry.seconds for entry in entries], price), "idle_share": idle_share(rows)}


def add_costs(found: Sequence[dict[str, object]], run: RunData) -> None:
    """Adds its costs to each row of the figures of a run, if the run has a price."""
    if (price := run.config.price) is None:
        return
    levels = dict(run.rows.group_by(LEVEL))
    for row in found:
        entries = run.manifest.of_level(LevelKey.of(row))
        row |= of_level(row, levels[tuple(row[name] for name in LEVEL)], entries, price)


def _rate(figures: Row, name: str) -> Estimate:
    value, low, high = (figures.get(f"{name}{end}") for end in ("", "_low", "_high"))
    return Estimate(value, low, high, figures.get(f"{name}_n_eff"), str(figures.get(f"{name}_how") or ""))


def _embeds(figures: Row) -> bool:
    return figures.get("inputs_per_s") is not None


def _all_tokens(figures: Row) -> Estimate:
    """Input and output tokens per second. Both follow the rate of requests, so their bounds are added."""
    tokens = _rate(figures, "input_tokens_per_s")
    return tokens if _embeds(figures) else _sum(tokens, _rate(figures, "output_tokens_per_s"))


def _sum(a: Estimate, b: Estimate, of_a: float = 1.0, of_b: float = 1.0) -> Estimate:
    def both(x: float | None, y: float | None) -> float | None:
        return None if x is None or y is None else of_a * x + of_b * y

    return Estimate(both(a.value, b.value), both(a.low, b.low), both(a.high, b.high), b.n, b.how)


def _over(dividend: float, rate: Estimate) -> Estimate:
    """A cost per token from a rate: the rate's upper bound gives the lower one."""

    def part(x: float | None) -> float | None:
        return dividend / x if x else None

    return Estimate(part(rate.value), part(rate.high), part(rate.low), rate.n, rate.how)


def _per_hour(figures: Row, window: pl.DataFrame, price: Price) -> Estimate:
    if price.usd_per_hour is not None:
        return Estimate(price.usd_per_hour, price.usd_per_hour, price.usd_per_hour, None, "the price")
    inputs, outputs = _rate(figures, "input_tokens_per_s"), _rate(figures, "output_tokens_per_s")
    total, cost = int(window["input_tokens"].sum()), price.of_tokens(1, 0) or 0.0
    if window["cached_tokens"].null_count() == 0 and total:
        cost = (price.of_tokens(total, 0, int(window["cached_tokens"].sum())) or 0.0) / total
    of_output = price.of_tokens(0, 1) or 0.0
    if _embeds(figures):
        return _sum(inputs, inputs, 3600 * cost, 0.0)
    return _sum(inputs, outputs, 3600 * cost, 3600 * of_output)


def token_costs(rows: pl.DataFrame, price: Price) -> Costs:
    """US dollars of each row at a shared API; NaN if its tokens are not known. Cached tokens that are not reported count as
    none."""
    inputs, outputs = (rows[name].cast(pl.Float64).to_numpy() for name in ("input_tokens", "output_tokens"))
    outputs = np.where(rows["embedding_dimension"].is_not_null().to_numpy(), 0.0, outputs)
    cached = rows["cached_tokens"].cast(pl.Float64).fill_null(0.0).to_numpy()
    full = price.usd_per_million_input or 0.0
    less = full if price.usd_per_million_cached is None else price.usd_per_million_cached
    costs: Costs = (
        full * (inputs - cached) + less * cached + (price.usd_per_million_output or 0.0) * outputs
    ) / MILLION
    return costs


def _ratio(costs: Costs, tokens: Costs) -> Estimate:
    """US dollars per million tokens, as a ratio of sums, with the interval of a ratio of independent requests."""
    n, total = len(costs), float(np.sum(tokens)) if len(tokens) else 0.0
    if not n or not total or np.isnan(total) or np.isnan(costs).any():
        return NOTHING
    value = float(costs.sum()) / total
    if n < 2:
        return Estimate(MILLION * value, None, None, n, "one request")
    error = math.sqrt(n / (n - 1) * float(((costs - value * tokens) ** 2).sum())) / total
    half = float(stdtrit(n - 1, 0.975)) * error
    return Estimate(MILLION * value, MILLION * max(0.0, value - half), MILLION * (value + half), n, "ratio of sums")


def spent(rows: pl.DataFrame, seconds: list[float | None], price: Price) -> float | None:
    """US dollars of these rows: of dedicated replicas for the time that the levels took, at a shared API for the tokens of all
    successful requests. None if the time, or the tokens of a success, are not known."""
    if price.dedicated:
        known = [x for x in seconds if x is not None]
        return price.of_seconds(sum(known)) if len(known) == len(seconds) else None
    costs = token_costs(rows.filter(pl.col("outcome") == "ok"), price)
    return None if np.isnan(costs).any() else float(costs.sum())


def of_run(run: RunData) -> float | None:
    """US dollars of a whole run. The time of dedicated replicas is rounded up to whole minutes, as they are metered by the
    minute, with the start-up minutes of the price; the time until the replica is switched off comes on top. None without a
    price."""
    price = run.config.price
    if price is None:
        return None
    seconds = [entry.seconds for entry in run.manifest.levels]
    if not price.dedicated or None in seconds:
        return spent(run.rows, seconds, price)
    return price.of_run(sum(x for x in seconds if x is not None))


def idle_share(rows: pl.DataFrame) -> float | None:
    """The share of the measured time in which no request was in flight; None if nothing was measured."""
    total = busy = 0.0
    for _, part in rows.drop_nulls(["start_s", "end_s"]).group_by("repeat"):
        window = part.filter("in_window")
        if not window.height:
            continue
        begin, end = float(window["start_s"].min()), float(window["end_s"].max())  # type: ignore[arg-type]
        total, until = total + end - begin, begin
        for start, over in part.select("start_s", "end_s").sort("start_s").iter_rows():
            start, over = max(start, until), min(over, end)
            if over > start:
                busy, until = busy + over - start, over
    return max(0.0, 1 - busy / total) if total > 0 else None


def caching(run: RunData) -> pl.DataFrame:
    """What a prompt cache saves at the run's price of a shared API, per (scenario, load, level), over its successful requests
    in the window: `input_tokens`, `cached_tokens` (null if not reported), and US dollars `usd_without_cache`, `usd_as_reported`,
    `usd_all_cached` (each prompt token from the cache) and `most_saved_share`. Empty without a price of cached tokens."""
    price, out = run.config.price, []
    schema = {
        "scenario": pl.String,
        "load": pl.String,
        "level": pl.Float64,
        "input_tokens": pl.Int64,
        "cached_tokens": pl.Int64,
    }
    sums = ("usd_without_cache", "usd_as_reported", "usd_all_cached", "most_saved_share")
    if price is not None and price.usd_per_million_cached is not None:
        good = run.rows.filter(pl.col("in_window") & (pl.col("outcome") == "ok"))
        for key, part in good.group_by(LEVEL, maintain_order=True):
            if part["input_tokens"].null_count():
                continue
            inputs, outputs = int(part["input_tokens"].sum()), int(part["output_tokens"].sum())
            cached = None if part["cached_tokens"].null_count() else int(part["cached_tokens"].sum())
            full, best = (price.of_tokens(inputs, outputs, hit) or 0.0 for hit in (0, inputs))
            known = None if cached is None else price.of_tokens(inputs, outputs, cached)
            out.append([*key, inputs, cached, full, known, best, 1 - best / full if full else None])
    return pl.DataFrame(out, schema | dict.fromkeys(sums, pl.Float64), orient="row")
