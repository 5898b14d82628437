"""The figures of a run, each computed once: functions of a RunData. `Run` has them as attributes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import polars as pl
from pydantic import JsonValue

from ..core.finding_list import Findings
from ..results.run_data import RunData
from ..results.schema import LEVEL
from . import clock_error, cost, diagnosis, request_outcomes
from . import spread as spreads
from . import summary as summaries

T = TypeVar("T")


def once(make: Callable[[RunData], T]) -> Callable[[RunData], T]:
    """Keeps what a function makes of a run, as long as the run is there."""
    made: weakref.WeakKeyDictionary[RunData, T] = weakref.WeakKeyDictionary()

    @wraps(make)
    def of(run: RunData) -> T:
        if run not in made:
            made[run] = make(run)
        return made[run]

    return of


@once
def _figures(run: RunData) -> list[dict[str, object]]:
    return figures_by_level(run, run.chunks)


def figures_by_level(run: RunData, chunks: pl.LazyFrame | None) -> list[dict[str, object]]:
    """The figures of each (scenario, load, level) by name, costs among them; without `chunks` inter-token latencies are null."""
    found = summaries.figures_of(run.rows, chunks, run.config.slo, run.manifest.levels)
    cost.add_costs(found, run)
    return found


@once
def summary_wide(run: RunData) -> pl.DataFrame:
    """One row per (scenario, load, level): counts by outcome; each metric as value, _low, _high (95%)."""
    return summaries.as_summary(_figures(run))


@once
def summary(run: RunData) -> pl.DataFrame:
    """One row per (scenario, load, level): the columns of `summary_wide` to compare first, without intervals."""
    return summaries.readable(summary_wide(run))


@once
def metrics(run: RunData) -> pl.DataFrame:
    """One row per (scenario, load, level, metric): what `summary_wide` has, with what each interval rests on."""
    return summaries.as_metrics(_figures(run))


@once
def spread(run: RunData) -> pl.DataFrame:
    """One row per (scenario, load, level, metric): n, min, max, mean, stddev, sum, p25 to p99 of the measured values."""
    return spreads.spread(run.rows, run.chunks)


@once
def planned(run: RunData) -> pl.DataFrame:
    """Planned requests per (scenario, load, level), including the warm-up. For a level that ended because it was precise
    enough, the requests that were sent."""
    config = run.config
    rows = [
        {**entry.key.columns, "planned": config.warmup_requests + (entry.goal or config.requests_of(entry.key.load))}
        for entry in run.manifest.levels
    ]
    schema = {"scenario": pl.String(), "load": pl.String(), "level": pl.Float64(), "planned": pl.Int64()}
    again = run.rows.filter(pl.col("attempt") > 1).group_by(LEVEL).agg(planned=pl.len().cast(pl.Int64))
    frame = pl.concat([pl.DataFrame(rows, schema=schema), again])
    return frame.group_by(LEVEL, maintain_order=True).agg(pl.col("planned").sum())


@once
def fates(run: RunData) -> pl.DataFrame:
    """The outcome of every planned request, per (scenario, load, level): sent, each outcome, never sent; the counts add up.
    More columns count the requests of preflight, ramp and cooldown, which were sent in addition."""
    return request_outcomes.fates(run.rows, planned(run))


@once
def findings(run: RunData) -> Findings:
    """Warnings about the figures: a list of code, sentence, cure. As the last line of a cell it shows a table per kind."""
    return Findings(diagnosis.diagnose(run.rows, summary_wide(run), run.config, run.manifest, run.left_out))


def metadata(run: RunData) -> dict[str, JsonValue]:
    """Config, versions, machine, clock, measurement error, salt, and how each level ended; without secrets."""
    document = run.manifest.as_dict()
    about, levels = document["metadata"], document["levels"]
    measured = clock_error.clock_errors(run.rows.filter("in_window"))
    clocks = dict(run.rows["clock"].drop_nulls().value_counts().iter_rows())
    more: dict[str, JsonValue] = {
        "config": document["config"],
        "levels": levels,
        "clock": {"requests": clocks, **measured},
        "window": str(run.window),
    }
    return (about if isinstance(about, dict) else {}) | more


def complete(run: RunData) -> bool:
    """Whether every planned request was sent and ended normally. False if the run was stopped, killed or interrupted, if a
    level ended with requests in flight or unsent, or if a part of the run cannot be read."""
    if not all(entry.done for entry in run.manifest.levels) or run.left_out:
        return False
    return not fates(run).select((pl.col("cancelled") + pl.col("never_sent").clip(0)).sum()).item()
