"""Rows of `run.requests` and `run.chunks` with values known by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from basetenkit.config.run_config import RunConfig
from basetenkit.core.findings import Finding
from basetenkit.results.manifest import LevelEntry, Manifest, Metadata
from basetenkit.results.run_data import FrameSource
from basetenkit.results.schema import CHUNK_SCHEMA, SCHEMA, UNIT
from basetenkit.results.window import mark_window
from basetenkit.runs import Run


def rows(n: int, **columns: Any) -> pl.DataFrame:
    """`n` successful streamed requests, a second apart, one in flight: TTFT 0.1 s, E2E 0.5 s, 20 tokens out. `columns`
    replaces any of it by a scalar or by `n` values; `in_window` follows the rule unless it is given."""
    start = np.arange(n, dtype=float)
    values: dict[str, Any] = {
        "request_id": [f"r{i:06d}" for i in range(n)],
        "scenario": "D(100,20)",
        "load": "concurrency",
        "level": 1.0,
        "repeat": 0,
        "phase": "measured",
        "start_s": columns.pop("start_s", start),
        "ttft_s": 0.1,
        "e2e_s": 0.5,
        "ttft_error_s": 1e-5,
        "e2e_error_s": 1e-5,
        "clock": "kernel",
        "input_tokens": 100,
        "output_tokens": 20,
        "token_source": "server",
        "output_chunks": 20,
        "outcome": "ok",
        "status": 200,
        "wire_format": "sse",
        "rtt_s": 0.001,
    }
    for what, count in (("input", 100), ("output", 20)):
        values |= {f"{what}_tokens_{account}": count for account in ("target", "server", "client")}
    frame = pl.DataFrame({name: spread(v, n) for name, v in (values | columns).items()}, strict=False)
    for name in ("scheduled_s", "sent_s"):
        if name not in columns:
            frame = frame.with_columns(pl.col("start_s").alias(name))
    if "end_s" not in columns:
        frame = frame.with_columns(end_s=pl.col("sent_s") + pl.coalesce("e2e_s", pl.lit(0.5)))
    if "tpot_s" not in columns:
        more = pl.col("output_tokens") - 1
        frame = frame.with_columns(tpot_s=pl.when(more > 0).then((pl.col("e2e_s") - pl.col("ttft_s")) / more))
    missing = [pl.lit(None).alias(name) for name in SCHEMA if name not in frame.columns]
    whole = frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
    return whole if "in_window" in columns else mark_window(whole)


def spread(value: Any, n: int) -> Any:
    return value if isinstance(value, (list, np.ndarray)) else [value] * n


def failures(n: int, outcome: str = "http_error", **columns: Any) -> pl.DataFrame:
    """`n` requests of which none succeeded: nothing about a response is known."""
    unknown = ["ttft_s", "e2e_s", "tpot_s", "ttft_error_s", "e2e_error_s", "output_tokens", "token_source", "rtt_s"]
    unknown += ["output_chunks", "output_tokens_server", "output_tokens_client", "input_tokens_server"]
    wrong: dict[str, Any] = dict.fromkeys(unknown) | {"outcome": outcome, "status": 503, "error_message": "overloaded"}
    return rows(n, **(wrong | columns))


def nothing() -> pl.DataFrame:
    return pl.DataFrame(schema=SCHEMA)


def chunks_of(requests: pl.DataFrame, gaps: list[float]) -> pl.DataFrame:
    """For each request the same chunks: one at 0.1 s, the next ones `gaps` apart."""
    arrival = 0.1 + np.concatenate([[0.0], np.cumsum(gaps)])
    each = pl.DataFrame(
        {"index": np.arange(len(arrival)), "arrival_s": arrival, "error_s": np.full(len(arrival), 1e-5)}
    )
    frame = requests.select("request_id").join(each, how="cross")
    missing = [pl.lit(None).alias(name) for name in CHUNK_SCHEMA if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in CHUNK_SCHEMA.items())


class Frames(Run):
    """A run of these frames, whose column `in_window` stays as it is."""

    def __init__(
        self, requests: pl.DataFrame, chunk_frame: pl.DataFrame | None = None, events: Sequence[Finding] = ()
    ) -> None:
        self.chunk_frame = pl.DataFrame(schema=CHUNK_SCHEMA) if chunk_frame is None else chunk_frame
        manifest = manifest_of(requests)
        manifest.metadata.events = list(events)
        super().__init__(FrameSource(manifest, {"requests": requests, "chunks": self.chunk_frame}), None)


def manifest_of(requests: pl.DataFrame, **config: Any) -> Manifest:
    """The manifest of a run that went to its end: a level per (scenario, load, level, repeat) of the rows."""
    endpoint = {"url": "http://127.0.0.1:9/v1/chat/completions", "model": "m"}
    measured = requests.filter(pl.col("phase") == "measured")
    config.setdefault("max_requests", max(measured.group_by(UNIT).len()["len"].to_list(), default=1))
    told = RunConfig(endpoint=endpoint, **({"steady": False, "preflight": False} | config)).model_dump(mode="json")
    keys = requests.select(UNIT).unique(maintain_order=True).drop_nulls().iter_rows(named=True)
    levels = [LevelEntry(index=index, **key, done=True) for index, key in enumerate(keys)]
    return Manifest(config=told, metadata=Metadata(tokenizer="embedded"), levels=levels)
