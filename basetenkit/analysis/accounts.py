"""Counts that add up: the fate of every planned request, and the same tokens by four accounts."""

from __future__ import annotations

import polars as pl

from .metrics import LEVEL, OUTCOMES


def fates(rows: pl.DataFrame, planned: pl.DataFrame) -> pl.DataFrame:
    """What became of every planned request: planned, sent, each outcome, never sent, a (scenario, load, level). Adds up:
    planned = sent + never_sent, sent = the sum over outcomes."""
    count = [(pl.col("outcome") == o).sum().cast(pl.Int64).alias(o) for o in OUTCOMES]
    sent = rows.group_by(LEVEL).agg(pl.len().cast(pl.Int64).alias("sent"), *count)
    joined = planned.join(sent, on=LEVEL, how="left", maintain_order="left").with_columns(
        pl.col("sent", *OUTCOMES).fill_null(0)
    )
    return joined.with_columns(never_sent=pl.col("planned") - pl.col("sent"))


def token_table(rows: pl.DataFrame) -> pl.DataFrame:
    """Tokens by the four accounts, summed over successful requests, a (scenario, load, level) and direction: asked for,
    reported by the server, counted by the tokenizer, and output chunks; null where an account has nothing."""
    ok = rows.filter((pl.col("outcome") == "ok") & (pl.col("phase") == "measured"))

    def total(name: str) -> pl.Expr:
        return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum())

    parts = []
    for what in ("input", "output"):
        accounts = {
            "asked": f"{what}_tokens_target",
            "reported": f"{what}_tokens_server",
            "counted": f"{what}_tokens_client",
            "used": f"{what}_tokens",
        }
        expressions = [total(column).alias(name) for name, column in accounts.items()]
        chunks = total("output_chunks") if what == "output" else pl.lit(None, pl.Int64)
        parts.append(
            ok.group_by(LEVEL, maintain_order=True).agg(
                pl.lit(what).alias("tokens"), pl.len().alias("requests"), *expressions, chunks.alias("chunks")
            )
        )
    return pl.concat(parts).sort(LEVEL, maintain_order=True)
