"""Many saved runs as one data set: a folder, here or in a bucket, with one folder per run.

The frame is lazy. Only `run.json` of each run is read until a figure is asked for, then `summary.json`. The rows of a run are read
only if it has no such file, and its chunks only for a figure of the gaps between them. A query that filters on dates or on the
configuration is cheap over thousands of runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from ..config.scenarios import parse_scenario
from ..config.tasks import TASKS
from ..core.errors import BasetenkitError
from ..core.frames import ColumnTypes
from ..core.types import NewRow, Row
from ..results.manifest import Manifest
from ..results.schema import LEVEL
from ..results.store import RUN_FILE
from ..storage.address import Place
from .saved_runs import SavedRun, SavedRuns, saved_runs
from .summary import summary_schema

SCAN_ROWS, AT_ONCE = 2_000, 128
_ENDPOINT = {"url": pl.String(), "model": pl.String(), "request_format": pl.String(), "stream": pl.Boolean()}
_CONFIG = {
    "task": pl.String(), "tokenizer": pl.String(), "dataset": pl.String(), "arrival": pl.String(),
    "max_in_flight": pl.Int64(), "max_requests": pl.Int64(), "max_seconds": pl.Float64(), "warmup_requests": pl.Int64(),
    "repeats": pl.Int64(), "seed": pl.Int64(), "workers": pl.Int64(), "request_params": pl.String(), "slo": pl.String(),
    "price": pl.String(),
}  # fmt: skip
_ABOUT = {
    "run": pl.String(), "started_at": pl.Datetime("us", "UTC"), "complete": pl.Boolean(), "version": pl.String(),
    "salt": pl.String(), "problem": pl.String(),
}  # fmt: skip
_AT = "its place"
_BATCH = {"batch_size": pl.Int64()}  # of the level; the config has those of all levels

_DESCRIPTION = {*_ABOUT, *_ENDPOINT, *_CONFIG, *_BATCH, *LEVEL}


def history(path: Place) -> pl.LazyFrame:
    """A lazy frame over a folder of saved runs, here or in a bucket, at any depth: one row per run and (scenario, load, level), by
    date.

    Columns: `run` (the folder), `started_at` (UTC), `complete`, `version`, `salt`, `problem`; the configuration's fields
    (dictionaries as JSON); `batch_size` of the level, for embeddings; and all columns of `run.summary_wide`. A folder that is
    damaged or is not a run has one row in which only `run` and `problem` are set: `.filter(pl.col("problem").is_null())` leaves
    it out. StoreError if there is no such folder. Each collect of the frame reads the folder again.
    """
    runs = saved_runs(path)
    schema = history_schema()

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        names = columns or list(schema)
        return _batches(runs, _Query(names, predicate, schema), n_rows, batch_size or SCAN_ROWS)

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

    def of(self, runs: SavedRuns, some: Sequence[SavedRun]) -> pl.DataFrame:
        """The rows of some runs. What a run's description alone excludes is left out before a figure of it is made."""
        rows = [row for run in some for row in _described(run, self.schema)]
        if not self.judged - _DESCRIPTION:
            kept = self._kept(self._frame(rows).with_row_index(_AT))[_AT]
            rows = [rows[at] for at in kept]
        if self.asked - _DESCRIPTION:
            rows = self._with_figures(runs, some, rows)
        return self._kept(self._frame(rows)).select(self.names)

    def _with_figures(self, runs: SavedRuns, some: Sequence[SavedRun], rows: list[NewRow]) -> list[NewRow]:
        chunks = any(name.startswith("itl_s") for name in self.asked)
        of_run: dict[str, list[NewRow]] = {}
        for row in rows:
            of_run.setdefault(row["run"], []).append(row)
        needed = [run for run in some if any(row.get("problem") is None for row in of_run.get(run.name, ()))]
        runs.prepare(needed, chunks)
        for run in needed:
            of_run[run.name] = _with_figures(run, of_run[run.name], chunks)
        runs.release(needed)
        return [row for found in of_run.values() for row in found]

    def _frame(self, rows: Sequence[Row]) -> pl.DataFrame:
        schema = {name: dtype for name, dtype in self.schema.items() if name in self.asked}
        return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema, strict=False)

    def _kept(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame if self.predicate is None else frame.filter(self.predicate)


def _batches(runs: SavedRuns, query: _Query, most: int | None, size: int) -> Iterator[pl.DataFrame]:
    """The rows of all runs by date, in frames of about `size`; `most` rows in all."""
    parts: list[pl.DataFrame] = []
    left = most if most is not None else -1
    for frame in _rows(runs, query, most):
        frame = frame if left < 0 else frame.head(left)
        left -= frame.height if left >= 0 else 0
        parts.append(frame)
        if left == 0:
            break
        if sum(p.height for p in parts) >= size:
            yield pl.concat(parts)
            parts = []
    yield pl.concat(parts) if parts else pl.DataFrame(schema=dict(query.schema)).select(query.names)


def _rows(runs: SavedRuns, query: _Query, most: int | None) -> Iterator[pl.DataFrame]:
    """The rows of each run, by date; then of those that are none or cannot be read. Many runs are fetched at once, few if only
    a few rows are wanted."""
    by_date = sorted(runs.found(), key=lambda run: (run.started_at is None, run.started_at or 0.0))
    at_once = AT_ONCE if most is None else min(most, AT_ONCE)
    for start in range(0, len(by_date), max(at_once, 1)):
        yield query.of(runs, by_date[start : start + max(at_once, 1)])


def _described(saved: SavedRun, schema: ColumnTypes) -> list[NewRow]:
    """A row per (scenario, load, level) with what run.json says and no figure; or one row that says what is wrong."""
    run = saved.run
    if run is None:
        return [_problem(saved, saved.problem)]
    try:
        about = _about(saved.name, run.manifest)
        levels = dict.fromkeys(entry.key for entry in run.manifest.levels)
        if not levels:
            return [_problem(saved, f"{saved.name}/{RUN_FILE} has no level")]
        rows = [about | _batch(run.manifest.config, key.scenario) | key.columns for key in levels]
        described = {name: dtype for name, dtype in schema.items() if name in _DESCRIPTION}
        return pl.DataFrame([{k: row.get(k) for k in described} for row in rows], described, strict=False).to_dicts()
    except (BasetenkitError, KeyError, TypeError, ValueError, AttributeError, pl.exceptions.PolarsError) as error:
        what = str(error) if isinstance(error, BasetenkitError) else f"run.json is damaged ({error!r})"
        return [_problem(saved, what)]


def _batch(config: Mapping[str, Any], scenario: str) -> dict[str, int | None]:
    """Inputs a request of a level: what its scenario says, or else the run's one batch size; None if that is not one number."""
    task = TASKS.get(config.get("task", ""))
    if task is None or task.generates:
        return {"batch_size": None}
    said = {getattr(part, "inputs", None) for part in parse_scenario(scenario).parts}
    sizes = {size for one in said for size in ([one] if one else config.get("batch_size") or [])}
    return {"batch_size": sizes.pop() if len(sizes) == 1 else None}


def _problem(run: SavedRun, what: str) -> NewRow:
    return {"run": run.name, "problem": what}


def _about(name: str, manifest: Manifest) -> NewRow:
    config, metadata, at = manifest.config, manifest.metadata, manifest.metadata.started_at
    out: NewRow = {
        "run": name,
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


def _with_figures(run: SavedRun, described: list[NewRow], chunks: bool) -> list[NewRow]:
    """The described levels with their figures; null if a level has no rows."""
    try:
        figures, left_out = run.figures(chunks)
    except (pl.exceptions.PolarsError, OSError) as error:
        return [_problem(run, f"its rows cannot be read: {error}")]
    by_level = {tuple(row.get(name) for name in LEVEL): row for row in figures}
    wrong = {"complete": False, "problem": f"left out, for it cannot be read: {', '.join(left_out)}"}
    return [
        {**by_level.get(tuple(row[name] for name in LEVEL), {}), **row, **(wrong if left_out else {})}
        for row in described
    ]
