"""Saved runs whose rows are known by hand: folders as a run leaves them, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

import basetenkit as bk
from basetenkit.results.manifest import LevelEntry, Manifest, Metadata
from basetenkit.results.store import RunFolder


def save(path: Path, frame: pl.DataFrame, chunks: pl.DataFrame | None = None, at: float = 1.7e9, **fields: Any) -> Path:
    """A run folder of these rows, one level per (scenario, load, level, repeat), begun at `at` (s since 1970)."""
    endpoint = fields.pop("endpoint", None) or bk.Endpoint(url="http://127.0.0.1:9/v1/chat/completions", model="m")
    least = frame.group_by("scenario", "load", "level", "repeat").len()["len"].min() if frame.height else 1
    config = bk.RunConfig(endpoint=endpoint, **({"steady": False, "preflight": False, "max_requests": least} | fields))
    folder = RunFolder(path)
    folder.create()
    levels = []
    for index, (key, part) in enumerate(frame.group_by("scenario", "load", "level", "repeat", maintain_order=True)):
        named: dict[str, Any] = dict(zip(("scenario", "load", "level", "repeat"), key, strict=True))
        levels.append(LevelEntry(index=index, **named, done=True, sent=part.height, loop_lag_p99_s=0.002))
        folder.write_part(index, 1, "requests", part)
        if chunks is not None:
            folder.write_part(index, 1, "chunks", chunks.join(part.select("request_id"), on="request_id", how="semi"))
    metadata = Metadata(salt="s", started_at=at, tokenizer="embedded", versions={"basetenkit": "0.1"})
    folder.write_run(Manifest(config=config.model_dump(mode="json"), metadata=metadata, levels=levels))
    return path
