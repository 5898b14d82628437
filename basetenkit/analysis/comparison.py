"""Compares two saved runs: the difference of each metric with an interval, and what it can and cannot mean.

The two runs are from different times, and a server's figures change from day to day by more than their intervals. Between such
runs the best test finds a difference in up to 62% of the cases in which there is none. So there is no p-value and no verdict
here. For a verdict, `compare_endpoints` measures two endpoints in turn.

The interval of a difference, and of a ratio on the log scale, is put together from the two figures' own intervals (MOVER; Zou
and Donner 2008), which needs only their bounds. If a bound is missing, so is the bound that is computed from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ..config.loads import LevelKey, OpenLoop
from ..core.frames import ColumnTypes
from ..core.tables import digits, show
from ..core.types import Estimate, NewRow, Row
from ..results.run_data import RunData
from ..results.schema import LEVEL
from . import figures
from .compared import Compared, ComparisonVerdict, ratio_text
from .cost import COSTS, UNIT
from .given import Given, as_run
from .metrics import METRICS, headline
from .noise_floor import Noise, noise_for
from .summary import metric_names

THE_DAY = (
    "The runs are from different times ({apart}): a difference may come from when they ran, not from the endpoint. "
    "An interval covers only random variation within each run. To compare the endpoints, use bk.compare_endpoints."
)
SHOWN = (
    "ttft_s_p50", "ttft_s_p95", "tpot_s_mean", "e2e_s_p50", "e2e_s_p95", "output_tokens_per_s", "requests_per_s", "inputs_per_s",
    *COSTS[:2],
)  # fmt: skip
SHARES = ("error_rate", "goodput")
_BOUNDED = ("", "_low", "_high")
_NOISE = ("noise_low", "noise_high")


@dataclass(frozen=True, repr=False)
class Comparison(Compared):
    """What `compare` found.

    Attributes
    ----------
    frame : one row per (scenario, load, level) that both runs have, and metric: `unit`, `better`; `a` and `b`, `difference` (b - a)
        and `ratio` (b / a), each with `_low` and `_high` (95%); `noise_low` and `noise_high`: the range of the ratio if nothing
        differs, if `bk.noise` measured it.
    only_a, only_b : levels that the other run lacks.
    settings : fields of the configuration in which the runs differ, with both values.
    verdict : what the figures show, in one to three sentences: `str()`, `.status`, `.evidence`.
    words : what a reader of the figures must know.
    successes : per level that both have, how many requests succeeded in a and in b.
    """

    frame: pl.DataFrame
    only_a: list[str]
    only_b: list[str]
    settings: dict[str, tuple[Any, Any]]
    verdict: ComparisonVerdict
    words: list[str] = field(default_factory=list)
    successes: Mapping[tuple[object, ...], tuple[int, int]] = field(default_factory=dict)

    def fewer(self, row: Mapping[str, object]) -> bool:
        """Whether fewer requests succeeded in b than in a, at the level of a row of `frame`."""
        a, b = self.successes.get(_key(row), (0, 0))
        return b < a

    def table_rows(self) -> dict[str, Sequence[Mapping[str, object]]]:
        """One row per level and figure that a person looks at first."""
        rows = []
        for row in self.frame.iter_rows(named=True):
            always = row["metric"] in SHOWN or row["metric"] in {_due(name) for name in SHOWN}
            if not always and not (row["metric"] in SHARES and (row["a"] or row["b"])):
                continue
            factor, unit = (1e3, "ms") if row["unit"] == "s" else (1, row["unit"])
            level = {"scenario": row["scenario"], "load": str(LevelKey.of(row).load)}
            shown = level | {"metric": row["metric"], "unit": unit}
            shown |= {name: show(None if row[name] is None else row[name] * factor) for name in ("a", "b")}
            rows.append(shown | {"b - a": signed(row, factor), "b / a": ratios(row)})
        return {"b against a, with 95% intervals": rows}

    def frames(self) -> dict[str, pl.DataFrame]:
        """`frame`, by its name."""
        return {"Figures": self.frame}


def compare(a: Given, b: Given, *, noise: Noise | str | Path | None = None) -> Comparison:
    """Compares two runs (each a Run, or the folder of a saved one): difference and ratio of each metric, per (scenario, load,
    level), with intervals. Its verdict states sizes only, because the runs are from different times, and a difference may come
    from when they ran. `noise`: the result of `bk.noise`, or its folder; None: the latest one of this endpoint in a folder next to
    those of the runs, if there is one.

    ConfigError if `a` or `b` is neither a Run nor a folder; StoreError if a folder is not a run.
    """
    from .comparison_verdict import comparison_verdict  # by way of the gates it imports this file

    first, second = as_run(a, "compare: a"), as_run(b, "compare: b")
    summaries = [figures.summary_wide(run) for run in (first, second)]
    keys = [[LevelKey.of(row) for row in summary.select(LEVEL).iter_rows(named=True)] for summary in summaries]
    floor = noise_for(noise, first, second)
    rows = [
        row | dict(zip(_NOISE, floor.of(row) if floor is not None else (None, None), strict=True))
        for of_a in summaries[0].iter_rows(named=True)
        for of_b in summaries[1].iter_rows(named=True)
        if _key(of_a) == _key(of_b)
        for row in _level(of_a, of_b)
    ]
    only_a = [str(k) for k in keys[0] if k not in keys[1]]
    only_b = [str(k) for k in keys[1] if k not in keys[0]]
    settings = _settings(first, second)
    words = list(_words(first, second, rows, only_a, only_b, settings))
    if floor is not None and any(row["noise_low"] is not None for row in rows):
        words.append(floor.sentence)
    ok = [{_key(row): row["ok"] for row in summary.iter_rows(named=True)} for summary in summaries]
    successes = {key: (ok[0][key], ok[1][key]) for key in ok[0] if key in ok[1]}
    return Comparison(
        pl.DataFrame(rows, schema=_schema()),
        only_a,
        only_b,
        settings,
        comparison_verdict(first, second, rows),
        words,
        successes,
    )


def _schema() -> ColumnTypes:
    figures = [f"{name}{end}" for name in ("a", "b", "difference", "ratio") for end in _BOUNDED] + [*_NOISE]
    head = {"scenario": pl.String, "load": pl.String, "level": pl.Float64}
    return head | dict.fromkeys(("metric", "unit", "better"), pl.String) | dict.fromkeys(figures, pl.Float64)


def _key(row: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(row[k] for k in LEVEL)


def _due(name: str) -> str:
    metric = name.rsplit("_", 1)
    return f"{headline(metric[0], OpenLoop.kind)}_{metric[1]}" if metric[0] in METRICS else name


def comparable() -> dict[str, tuple[str, str]]:
    """Each figure of a summary that has an interval -> (its unit, which way is better), in the summary's order."""
    out = {}
    for name in metric_names():
        metric = METRICS[name if name in METRICS else name.rsplit("_", 1)[0]]
        out[name] = (metric.unit, metric.better)
    return out | dict.fromkeys(COSTS, (UNIT, "lower"))


def _level(a: Row, b: Row) -> Iterator[NewRow]:
    for name, (unit, better) in comparable().items():
        one, two = (Estimate(*(row[f"{name}{end}"] for end in _BOUNDED)) for row in (a, b))
        if one.value is None and two.value is None:
            continue
        row = dict(zip(LEVEL, _key(a), strict=True)) | {"metric": name, "unit": unit, "better": better}
        found = {"a": one, "b": two, "difference": difference(one, two), "ratio": ratio(one, two)}
        for column, e in found.items():
            row |= dict(zip((f"{column}{end}" for end in _BOUNDED), (e.value, e.low, e.high), strict=True))
        yield row


def difference(a: Estimate, b: Estimate) -> Estimate:
    """b - a of two independent figures; a bound is None if either figure lacks the bound that it rests on."""
    if a.value is None or b.value is None:
        return Estimate(None)
    value = b.value - a.value
    low = None if b.low is None or a.high is None else value - math.hypot(b.value - b.low, a.high - a.value)
    high = None if b.high is None or a.low is None else value + math.hypot(b.high - b.value, a.value - a.low)
    return Estimate(value, low, high, how="MOVER")


def ratio(a: Estimate, b: Estimate) -> Estimate:
    """b / a of two independent positive figures, its interval on the log scale."""
    if not a.value or b.value is None or a.value < 0 or b.value <= 0:
        return Estimate(None if not a.value or b.value is None else b.value / a.value)
    logs = [Estimate(math.log(e.value or 1), _log(e.low), _log(e.high)) for e in (a, b)]
    e = difference(*logs)
    low, high = (None if x is None or abs(x) > 700 else math.exp(x) for x in (e.low, e.high))
    return Estimate(b.value / a.value, low, high, how="MOVER on logs")


def _log(x: float | None) -> float | None:
    return math.log(x) if x is not None and x > 0 else None


def signed(row: Row, factor: float = 1) -> str:
    """ "+1.25 (-0.31 to +2.80)": the difference of a row and its interval, "…" for a bound that is not known."""
    bounds = [row[f"difference{end}"] for end in _BOUNDED]
    like = max((abs(x) * factor for x in bounds if x is not None), default=0.0)
    texts = ["…" if x is None else _with_sign(digits(x * factor, like)) for x in bounds]
    return _bounded(bounds, texts)


def ratios(row: Row) -> str:
    """ "0.973 (0.946 to 1.038)": the ratio of a row and its interval, "…" for a bound that is not known."""
    bounds = [row[f"ratio{end}"] for end in _BOUNDED]
    return _bounded(bounds, [ratio_text(x, "…") for x in bounds])


def _bounded(bounds: Sequence[float | None], texts: Sequence[str]) -> str:
    value, low, high = bounds
    if value is None:
        return "–"
    return texts[0] if low is None and high is None else f"{texts[0]} ({texts[1]} to {texts[2]})"


def _with_sign(text: str) -> str:
    return text if text == "0" or text.startswith("-") else f"+{text}"


def _settings(a: RunData, b: RunData) -> dict[str, tuple[object, object]]:
    flat = []
    for run in (a, b):
        config = run.config.model_dump(mode="json")
        flat.append(config | {f"endpoint.{k}": v for k, v in config.pop("endpoint").items()})
    return {k: (flat[0].get(k), flat[1].get(k)) for k in flat[0] if flat[0].get(k) != flat[1].get(k)}


def _words(
    a: RunData,
    b: RunData,
    rows: list[NewRow],
    only_a: list[str],
    only_b: list[str],
    settings: Mapping[str, Any],
) -> Iterator[str]:
    yield THE_DAY.format(apart=_apart(a, b))
    if not rows:
        yield "The runs have no (scenario, load, level) in common, so nothing can be compared."
    for name, only in (("a", only_a), ("b", only_b)):
        if only:
            yield f"Only {name} has {', '.join(only)}."
    if a.config.price is not None or b.config.price is not None:
        origins = ["unknown: no price is given" if c.price is None else c.price.origin for c in (a.config, b.config)]
        yield f"Costs of a: {origins[0]}. Costs of b: {origins[1]}."
    if settings:
        yield f"The configurations differ in {', '.join(settings)}."
    if any(row["metric"] in SHARES and (row["a"] or 0) != (row["b"] or 0) for row in rows):
        yield "The shares of failed or late requests differ. Latencies cover only successful requests: another part of each run."


def _apart(a: RunData, b: RunData) -> str:
    at = [run.manifest.metadata.started_at for run in (a, b)]
    if None in at:
        return "at an unknown time"
    return " and ".join(f"{datetime.fromtimestamp(x, UTC):%Y-%m-%d %H:%M} UTC" for x in at if x is not None)
