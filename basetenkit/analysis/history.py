"""Many saved runs as one data set: a folder to which each run adds a folder of its own.

The frame is lazy. Only `run.json` of each run is read until a figure is asked for, and the chunks of a run only where a figure
of the gaps between them is; a query that filters on dates or on the configuration is cheap over thousands of runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from ..config.coercions import as_path
from ..config.scenarios import parse_scenario
from ..config.tasks import TASKS
from ..core.errors import BasetenkitError, StoreError
from ..core.frames import ColumnTypes
from ..core.types import NewRow
from ..results.manifest import Manifest
from ..results.run_data import RunData
from ..results.schema import LEVEL
from ..results.store import RUN_FILE, RunFolder
from .summary import summarise, summary_schema

SCAN_ROWS, KEPT = 2_000, 10_000
_ENDPOINT = {"url": pl.String(), "model": pl.String(), "request_format": pl.String(), "stream": pl.Boolean()}
_CONFIG = {
    "task": pl.String(), "tokenizer": pl.String(), "dataset": pl.String(), "arrival": pl.String(),
    "max_in_flight": pl.Int64(), "max_requests": pl.Int64(), "max_seconds": pl.Float64(), "warmup_requests": pl.Int64(),
    "repeats": pl.Int64(), "seed": pl.Int64(), "workers": pl.Int64(), "request_params": pl.String(), "slo": pl.String(),
}  # fmt: skip
_ABOUT = {
    "run": pl.String(), "started_at": pl.Datetime("us", "UTC"), "complete": pl.Boolean(), "version": pl.String(),
    "salt": pl.String(), "problem": pl.String(),
}  # fmt: skip
_BATCH = {"batch_size": pl.Int64()}  # of the level; the config has those of all levels

_DESCRIPTION = {*_ABOUT, *_ENDPOINT, *_CONFIG, *_BATCH, *LEVEL}


@dataclass(frozen=True)
class _Saved:
    """One folder of a history. `run`: None if `problem` says what is wrong with it."""

    path: Path
    run: RunData | None
    problem: str = ""

    @classmethod
    def at(cls, path: Path) -> _Saved:
        try:
            return cls(path, RunData.load(path))
        except BasetenkitError as error:
            return cls(path, None, str(error))

    @property
    def started_at(self) -> float | None:
        return None if self.run is None else self.run.manifest.metadata.started_at


def _summary(path: Path, chunks: bool) -> pl.DataFrame:
    """The summary; without `chunks` its inter-token latencies are null, and it costs a tenth. It is made once in a process,
    as long as the run's files stay as they are."""
    folder = RunFolder(path)
    files = [folder.run_file, *folder.parts("requests"), *(folder.parts("chunks") if chunks else [])]
    seen = tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files)
    return _made(path.resolve(), seen, chunks)


@lru_cache(maxsize=KEPT)
def _made(path: Path, _files: tuple[tuple[str, int, int], ...], chunks: bool) -> pl.DataFrame:
    run = RunData.load(path)
    return summarise(run.rows, run.chunks if chunks else None, run.config.slo, run.manifest.levels)


def history(path: str | Path) -> pl.LazyFrame:
    """A lazy frame over a folder of saved runs, at any depth: one row per run and (scenario, load, level), by date.

    Columns: `run` (the folder), `started_at` (UTC), `complete`, `version`, `salt`, `problem`; the configuration's fields (those
    that are dictionaries as JSON); `batch_size`, the level's, of embeddings; and all columns of `run.summary_wide`. A folder that
    is no run, or a damaged one, is a row of its own with `run` and `problem` and nothing else:
    `.filter(pl.col("problem").is_null())` leaves it out. StoreError where there is no such folder. The folder is looked at anew
    each time the frame is collected.
    """
    root = as_path(path, "history")
    if not root.is_dir():
        raise StoreError(f"there is no folder {root}; bk.history takes a folder to which runs were saved")
    schema = history_schema()

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        names = columns or list(schema)
        return _batches(root, _Query(names, predicate, schema), n_rows, batch_size or SCAN_ROWS)

    return register_io_source(source, schema=schema, validate_schema=False)


def history_schema() -> ColumnTypes:
    """The columns of `history` and their types."""
    return {**_ABOUT, **_ENDPOINT, **_CONFIG, **_BATCH, **summary_schema()}


@dataclass(frozen=True)
class _Query:
    """The query for each run: these columns of the rows that meet the predicate."""

    names: list[str]
    predicate: pl.Expr | None
    schema: ColumnTypes

    @cached_property
    def asked(self) -> set[str]:
        return set(self.names) | self.judged

    @cached_property
    def judged(self) -> set[str]:
        return set() if self.predicate is None else set(self.predicate.meta.root_names())

    def of(self, run: _Saved) -> pl.DataFrame:
        """The rows of one run. What its description alone excludes is left out before a figure of it is made."""
        frame = _described(run, self.schema)
        figures = self.asked - _DESCRIPTION
        if not self.judged - _DESCRIPTION:
            frame = self._kept(frame)
        if figures and frame["problem"].null_count():
            frame = _with_figures(run, frame, any(name.startswith("itl_s") for name in figures))
        return self._kept(frame).select(self.names)

    def _kept(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame if self.predicate is None else frame.filter(self.predicate)


def _batches(root: Path, query: _Query, most: int | None, size: int) -> Iterator[pl.DataFrame]:
    """The rows of all runs by date, in frames of about `size`; `most` rows in all."""
    parts: list[pl.DataFrame] = []
    left = most if most is not None else -1
    for run in _by_date(root):
        frame = query.of(run) if left < 0 else query.of(run).head(left)
        left -= frame.height if left >= 0 else 0
        parts.append(frame)
        if left == 0:
            break
        if sum(p.height for p in parts) >= size:
            yield pl.concat(parts)
            parts = []
    yield pl.concat(parts) if parts else pl.DataFrame(schema=dict(query.schema)).select(query.names)


def _by_date(root: Path) -> list[_Saved]:
    """The runs under a folder by their start, then those folders that are none or cannot be read."""
    runs = map(_Saved.at, sorted(_run_folders(root), key=lambda p: p.as_posix()))
    return sorted(runs, key=lambda run: (run.started_at is None, run.started_at or 0.0))


def _run_folders(root: Path) -> Iterator[Path]:
    """Folders with a run.json, and the lowest ones without: what lies inside a run is not looked at."""
    if (root / RUN_FILE).exists():
        yield root
        return
    inside = [p for p in root.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith(".")]
    for folder in inside:
        below = list(_run_folders(folder))
        yield from below or [folder]


def _described(saved: _Saved, schema: ColumnTypes) -> pl.DataFrame:
    """A row per (scenario, load, level) with what run.json says and no figure; or one row that says what is wrong."""
    run = saved.run
    if run is None:
        return _problem(saved, saved.problem, schema)
    try:
        about = _about(saved.path, run.manifest)
        levels = dict.fromkeys(entry.key for entry in run.manifest.levels)
        if not levels:
            return _problem(saved, f"{saved.path / RUN_FILE} has no level", schema)
        rows = [about | _batch(run.manifest.config, key.scenario) | key.columns for key in levels]
        return pl.DataFrame([{k: row.get(k) for k in schema} for row in rows], schema=dict(schema), strict=False)
    except (BasetenkitError, KeyError, TypeError, ValueError, AttributeError, pl.exceptions.PolarsError) as error:
        what = str(error) if isinstance(error, BasetenkitError) else f"run.json is damaged ({error!r})"
        return _problem(saved, what, schema)


def _batch(config: Mapping[str, Any], scenario: str) -> dict[str, int | None]:
    """Inputs a request of a level: what its scenario says, or else the run's one batch size; None where that is not one number."""
    task = TASKS.get(config.get("task", ""))
    if task is None or task.generates:
        return {"batch_size": None}
    said = {getattr(part, "inputs", None) for part in parse_scenario(scenario).parts}
    sizes = {size for one in said for size in ([one] if one else config.get("batch_size") or [])}
    return {"batch_size": sizes.pop() if len(sizes) == 1 else None}


def _problem(run: _Saved, what: str, schema: ColumnTypes) -> pl.DataFrame:
    row = {"run": str(run.path), "problem": what}
    return pl.DataFrame([{k: row.get(k) for k in schema}], schema=dict(schema))


def _about(path: Path, manifest: Manifest) -> NewRow:
    config, metadata, at = manifest.config, manifest.metadata, manifest.metadata.started_at
    out: NewRow = {
        "run": str(path),
        "started_at": None if at is None else datetime.fromtimestamp(at, UTC),
        "complete": all(entry.done for entry in manifest.levels),
        "version": metadata.versions.get("basetenkit"),
        "salt": metadata.salt or None,
    }
    endpoint = config.get("endpoint")
    out |= {name: endpoint.get(name) if isinstance(endpoint, dict) else None for name in _ENDPOINT}
    for name, dtype in _CONFIG.items():
        value = config.get(name)
        as_text = dtype == pl.String() and value is not None and not isinstance(value, str)
        out[name] = json.dumps(value) if as_text else value
    return out


def _with_figures(run: _Saved, described: pl.DataFrame, chunks: bool) -> pl.DataFrame:
    """The described levels with their figures; null where a level has no rows."""
    try:
        figures, left_out = _summary(run.path, chunks), [] if run.run is None else run.run.left_out
    except (pl.exceptions.PolarsError, OSError) as error:
        return _problem(run, f"its rows cannot be read: {error}", described.schema)
    if left_out:
        described = described.with_columns(
            complete=pl.lit(False), problem=pl.lit(f"left out, for it cannot be read: {', '.join(left_out)}")
        )
    bare = described.drop([c for c in figures.columns if c not in LEVEL])
    return bare.join(figures, on=LEVEL, how="left", maintain_order="left").select(described.columns)
