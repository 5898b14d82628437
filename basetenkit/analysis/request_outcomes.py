"""The outcome of every planned request: counts by outcome, which add up."""

from __future__ import annotations

import polars as pl

from ..results.schema import LEVEL
from .metrics import AROUND, OUTCOMES


def fates(rows: pl.DataFrame, planned: pl.DataFrame) -> pl.DataFrame:
    """The outcome of every planned request: planned, sent, each outcome, never sent, per (scenario, load, level). Adds up:
    planned = sent + never_sent, sent = the sum over outcomes. Beside them the requests that were sent around the planned ones,
    whatever became of those: preflight, ramp, cooldown."""
    own = ~pl.col("phase").is_in(AROUND)
    count = [(own & (pl.col("outcome") == o)).sum().cast(pl.Int64).alias(o) for o in OUTCOMES]
    around = [(pl.col("phase") == phase).sum().cast(pl.Int64).alias(phase) for phase in AROUND]
    sent = rows.group_by(LEVEL).agg(own.sum().cast(pl.Int64).alias("sent"), *count, *around)
    joined = planned.join(sent, on=LEVEL, how="left", maintain_order="left").with_columns(
        pl.col("sent", *OUTCOMES, *AROUND).fill_null(0)
    )
    counts = joined.with_columns(never_sent=pl.col("planned") - pl.col("sent"))
    return counts.select(*planned.columns, "sent", *OUTCOMES, "never_sent", *AROUND)
