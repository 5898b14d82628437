"""Counts that add up: the fate of every planned request, and the same tokens by four accounts."""

from __future__ import annotations

import polars as pl

from ..results.schema import LEVEL
from .metrics import AROUND, OUTCOMES


def fates(rows: pl.DataFrame, planned: pl.DataFrame) -> pl.DataFrame:
    """What became of every planned request: planned, sent, each outcome, never sent, per (scenario, load, level). Adds up:
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


ACCOUNTS = ("asked", "reported", "counted", "used", "chunks")


def token_table(rows: pl.DataFrame) -> pl.DataFrame:
    """Tokens by the four accounts, one row per (scenario, load, level) and direction, over the successful measured `requests`:
    asked for, reported by the server, counted by the tokenizer, used, and output chunks.

    Each is a sum over those requests that have that count, and `<account>_n` says how many they are; null if none has.
    `difference`: reported - counted over the `both_n` requests that have both, and null if none has.
    """
    ok = rows.filter((pl.col("outcome") == "ok") & (pl.col("phase") == "measured"))
    parts = []
    for what in ("input", "output"):
        columns = dict.fromkeys(ACCOUNTS, pl.lit(None, pl.Int64)) | {
            "asked": pl.col(f"{what}_tokens_target"),
            "reported": pl.col(f"{what}_tokens_server"),
            "counted": pl.col(f"{what}_tokens_client"),
            "used": pl.col(f"{what}_tokens"),
        }
        if what == "output":
            columns["chunks"] = pl.col("output_chunks")
        apart = pl.col("reported") - pl.col("counted")
        parts.append(
            ok.select(*LEVEL, **columns)
            .group_by(LEVEL, maintain_order=True)
            .agg(
                pl.lit(what).alias("tokens"),
                pl.len().cast(pl.Int64).alias("requests"),
                *(total(pl.col(name)) for name in ACCOUNTS),
                *(pl.col(name).count().cast(pl.Int64).alias(f"{name}_n") for name in ACCOUNTS),
                total(apart).alias("difference"),
                apart.count().cast(pl.Int64).alias("both_n"),
            )
        )
    return pl.concat(parts).sort(LEVEL, maintain_order=True)


def total(tokens: pl.Expr) -> pl.Expr:
    """The sum of the known values; null if there are none."""
    return pl.when(tokens.count() > 0).then(tokens.sum()).cast(pl.Int64)
