"""Gates against the history of an endpoint: compares each guarded figure with the range that earlier runs give.

One baseline is one day. Many saved runs of the same configuration show how much days differ, and a run is worse
only if it is worse than a day can be. All of a run's gates together fail an unchanged endpoint in one run of 40 at most.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from ..config.loads import KINDS, LevelKey
from ..core.tables import interval
from ..core.types import Row
from ..results.run_data import RunData
from ..results.schema import LEVEL
from ..stats import intervals as st
from ..stats.watch import change_points
from ..storage.address import Place
from . import figures
from .comparison import comparable
from .gates import FAIL, INCONCLUSIVE, PASS, Gate, figure_title, guarded
from .history import history
from .next_run import LEAST_HISTORY, next_interval
from .scales import Scaled, filled, own_errors, scaled

ALPHA = 0.05  # over all gates of a run, both sides; only the worse side is a failure
SAME = ("url", "model", "request_format", "stream", "request_params")
_ENDPOINT = ("url", "model", "request_format", "stream")


def from_history(run: RunData, runs: Place | pl.LazyFrame) -> Iterator[Gate]:
    """At each level a gate per guarded figure, against the runs before this one that have its endpoint, request parameters,
    scenario and load. `runs`: a folder of saved runs, or `bk.history` of one. StoreError if there is no such folder."""
    before = _before(run, runs)
    pairs = []
    for row in figures.summary_wide(run).iter_rows(named=True):
        same = before.filter(pl.all_horizontal(pl.col(name) == row[name] for name in LEVEL)).sort("started_at")
        names = [name for name in guarded(row["load"]) if row[name] is not None or same[name].count()]
        pairs += [(row, name, same) for name in names]
        if not names:
            where = str(LevelKey.of(row))
            sentence = f"{where}: no earlier run of the history has this level's figures."
            yield Gate("history", where, "no figures", "", INCONCLUSIVE, sentence)
    for row, name, same in pairs:
        yield _gate(row, name, same, 1 - ALPHA / len(pairs))


def _before(run: RunData, runs: Place | pl.LazyFrame) -> pl.DataFrame:
    """The complete runs of the history of the same configuration that began before this one."""
    lazy = runs if isinstance(runs, pl.LazyFrame) else history(runs)
    config = run.config.model_dump(mode="json")
    values = {name: config["endpoint"].get(name) for name in _ENDPOINT}
    values["request_params"] = json.dumps(config["request_params"])
    at = run.manifest.metadata.started_at
    kept = lazy.filter(pl.col("problem").is_null() & pl.col("complete"))
    kept = kept.filter(pl.all_horizontal(pl.col(name).eq_missing(pl.lit(values[name])) for name in SAME))
    if at is not None:
        kept = kept.filter(pl.col("started_at") < datetime.fromtimestamp(at, UTC))
    names = dict.fromkeys(name for load in KINDS for name in guarded(load))
    columns = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    return kept.select("started_at", *LEVEL, "in_window", *columns).collect()


def _gate(row: Mapping[str, object], name: str, same: pl.DataFrame, level: float) -> Gate:
    where, title, factor, unit = str(LevelKey.of(row)), figure_title(name), *_unit(name)
    value = row[name]
    found = "not measured" if value is None else f"{_shown(row, name, factor)}{unit}"
    past = same.drop_nulls(name)
    on = _scale(name, past)
    errors = own_errors(on, *(_column(past, f"{name}{end}") for end in ("", "_low", "_high")))
    at = past["started_at"].dt.timestamp("us").to_numpy() / 1e6
    start = max(change_points(on.x, at, on.floors), default=0)
    on, errors = on.part(start, past.height), filled(errors[start:])
    if len(on.x) < LEAST_HISTORY:
        sentence = (
            f"{where}: {title} has {len(on.x)} earlier run(s) since it last changed; a gate needs {LEAST_HISTORY}."
        )
        return Gate(f"{title} / history", where, found, "", INCONCLUSIVE, sentence)
    lower = comparable()[name][1] == "lower"
    usual, exact = (next_interval(on.x, errors, own, level) for own in (None, 0.0))
    limits = [_limit(on, expected, lower) for expected in (usual, exact)]
    wide = st.Z975 * _own_error(row, name, same) > (usual.high or 0.0) - (usual.value or 0.0)
    verdict = _verdict(row, name, limits, lower, wide)
    allowed = f"{'at most' if lower else 'at least'} {limits[0] * factor:.3g}{unit}"
    sentence = (
        f"{where}: {title} is {found}; after the {len(on.x)} runs before it, {allowed} is expected "
        f"({level:.1%} interval)."
    )
    return Gate(f"{title} / history", where, found, allowed, verdict, sentence)


def _unit(name: str) -> tuple[float, str]:
    unit, _ = comparable()[name]
    return (1e3, " ms") if unit == "s" else (1.0, f" {unit}" if unit else "")


def _shown(row: Row, name: str, factor: float) -> str:
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"], factor)


def _column(frame: pl.DataFrame, name: str) -> Any:
    return frame[name].cast(pl.Float64).fill_null(math.nan).to_numpy()


def _scale(name: str, frame: pl.DataFrame) -> Scaled:
    return scaled(name, _column(frame, name), _column(frame, "in_window"))


def _own_error(row: Mapping[str, object], name: str, same: pl.DataFrame) -> float:
    """The run's own standard error on the scale; infinite if its figure has no interval."""
    ends = [f"{name}{end}" for end in ("", "_low", "_high")]
    frame = pl.DataFrame([{column: row[column] for column in (*ends, "in_window")}], schema_overrides=same.schema)
    error = float(own_errors(_scale(name, frame), *(_column(frame, end) for end in ends))[0])
    return error if math.isfinite(error) else math.inf


def _limit(on: Scaled, expected: Any, lower: bool) -> float:
    """The worse end of an interval on the scale, as a figure."""
    end = expected.high if lower else expected.low
    return float(on.back(np.full(len(on.x), end))[-1])


def _verdict(row: Row, name: str, limits: list[float], lower: bool, wide: bool) -> str:
    """`limits`: of a figure as runs measure it, and of one without error; `wide`: this run's own interval is wider than that of
    the history, so that it shows nothing. Worse only if the whole of the run's interval is beyond the second limit; a figure
    that no request gave, since none succeeded, is worse, too."""
    value, near = row[name], row[f"{name}_low"] if lower else row[f"{name}_high"]

    def beyond(x: float | None, limit: float) -> bool:
        return x is not None and (x > limit if lower else x < limit)

    if beyond(near, limits[1]) or (value is None and not row["ok"]):
        return FAIL if value is None or beyond(value, limits[0]) else PASS
    return INCONCLUSIVE if value is None or wide or beyond(value, limits[0]) else PASS
