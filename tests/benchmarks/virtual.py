"""A simulated run (`queueing`) as the frames that a real one leaves, so that the product's own window and summary judge it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from basetenkit.analysis.rates import rates
from basetenkit.analysis.summary import summarise
from basetenkit.results.manifest import LevelEntry
from basetenkit.results.schema import CHUNK_SCHEMA, SCHEMA
from basetenkit.results.window import mark_window

from .queueing import arrivals


def frames(
    run: dict[str, Any], users: int, rate: float, repeat: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """(run.requests, run.chunks, the level's entry) of a run of `simulate`."""
    start, first, last, cut = run["start_s"], run["first_s"], run["last_s"], run["cut_s"]
    n, over, begun = len(start), np.isfinite(last), np.isfinite(first)
    which, when = arrivals(run)
    came = np.bincount(which, minlength=n)
    unknown = np.full(n, np.nan)
    ids = np.char.add(f"{repeat}-", np.arange(n).astype(str))
    e2e = np.where(over, last - start, unknown)
    ttft = np.where(begun, first - start, unknown)
    tokens, known = np.where(over, run["tokens"], came), run["scenario"] is not None
    values = {
        "request_id": ids,
        "scenario": run["scenario"] if known else "dataset",
        "load": "concurrency" if users else "request_rate",
        "level": float(users or rate),
        "repeat": repeat,
        "phase": run["phase"],
        "turn": run["turn"],
        "start_s": start,
        "sent_s": start,
        "scheduled_s": start,
        "end_s": np.where(over, last, cut),
        "ttft_s": ttft,
        "e2e_s": e2e,
        "tpot_s": np.where(over & (run["tokens"] > 1), (e2e - ttft) / np.maximum(run["tokens"] - 1, 1), unknown),
        "input_tokens": run["inputs"].astype(int),
        **({"input_tokens_target": run["inputs"], "output_tokens_target": run["tokens"]} if known else {}),
        "output_tokens": tokens,
        "output_chunks": came,
        "outcome": np.where(over, "ok", "cancelled"),
        "clock": "kernel",
        "ttft_error_s": 1e-5,
        "e2e_error_s": 1e-5,
        "wire_format": "sse",
        "token_source": "server",
    }
    frame = pl.DataFrame({k: v if isinstance(v, np.ndarray) else np.full(n, v) for k, v in values.items()})
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None))
    missing = [pl.lit(None).alias(name) for name in SCHEMA if name not in frame.columns]
    frame = frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    index = np.arange(len(which)) - np.repeat(np.cumsum(came) - came, came)
    chunks = pl.DataFrame({"index": index, "arrival_s": when - start[which], "text_start": 4 * index})
    chunks = chunks.with_columns(
        request_id=frame["request_id"].gather(which), error_s=1e-5, text_end=pl.col("text_start") + 4, tokens=None
    )
    chunks = chunks.select(pl.col(name).cast(kind) for name, kind in CHUNK_SCHEMA.items())
    measured = start[run["phase"] == "measured"]
    short = not (over | (run["phase"] != "measured")).all()
    entry = {
        **{name: values[name] for name in ("scenario", "load", "level", "repeat")},
        "measured_from_s": float(measured.min()) if len(measured) else None,
        "measured_until_s": float(cut if short else measured.max()) if len(measured) else None,
        "cut_s": float(cut) if short else None,
        "done": True,
        "ended_by": None,
    }
    return frame, chunks, entry


def marked(frame: pl.DataFrame) -> pl.DataFrame:
    return mark_window(frame)


def summary(
    parts: list[tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]], slo: dict[str, float] | None = None
) -> dict[str, Any]:
    """The one row of the product's summary over the repeats of one level, without ITL, which takes half of the time."""
    rows, chunks, levels = (
        marked(pl.concat([p[0] for p in parts])),
        pl.concat([p[1] for p in parts]),
        [LevelEntry.model_validate(p[2]) for p in parts],
    )
    (row,) = summarise(rows, None, slo, levels).to_dicts()
    (flows,) = rates(rows, chunks.lazy(), levels).values()
    return row | flows
