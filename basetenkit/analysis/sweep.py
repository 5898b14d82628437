"""The effect of more load on an endpoint: the number of requests in flight over time, the knee of a sweep, and the level at
which the endpoint is full. Each answer comes with its evidence and its uncertainty.

The knee is the level of the largest power, which is throughput divided by latency (Kleinrock 1979). Saturation is the first
level from which no higher level has noticeably more throughput.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..config.loads import OpenLoop, load_of
from ..core.frames import ColumnTypes
from ..core.tables import Html, html_table
from ..core.types import Estimate, NewRow, Row
from ..stats.growth import grows
from ..stats.intervals import LEAST, batch_means, mann_kendall
from .metrics import headline
from .stretches import counted, sending

FLAT = 0.05  # a twentieth more throughput is none worth having
ONE_SIDED = 1.729 / 2.093  # half of a one-sided interval over that of a two-sided one, t with 19 degrees of freedom
SLOWS_P = 0.01
BEHIND_T, BEHIND_LEAST = 1.729, 0.05  # Student's t with 19 degrees of freedom, one-sided 5%


def in_flight(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests in flight over time, of the rows of one level: `repeat`, `at_s` (s since the level's start) and `in_flight`
    from then on; a row a change."""
    parts = [
        rows.select("repeat", at_s=pl.col(column), step=pl.lit(step, pl.Int64))
        for column, step in (("start_s", 1), ("end_s", -1))
    ]
    changes = pl.concat(parts).drop_nulls().sort("repeat", "at_s", "step")
    return changes.select("repeat", "at_s", in_flight=pl.col("step").cum_sum().over("repeat"))


def at_each_start(rows: pl.DataFrame) -> list[NDArray[np.signedinteger[Any]]]:
    """How many others were in flight when each request was taken up, in start order; a series a repeat."""
    out = []
    for _, part in rows.drop_nulls("start_s").group_by("repeat", maintain_order=True):
        starts, ends = np.sort(part["start_s"].to_numpy()), np.sort(part["end_s"].drop_nulls().to_numpy())
        out.append(np.arange(len(starts)) - np.searchsorted(ends, starts, side="right"))
    return out


def falls_behind(rows: pl.DataFrame) -> tuple[float, float] | None:
    """(in flight early, in flight late) if an open loop's endpoint falls behind for good, else None: arrivals less departures in
    20 equal parts of the time in which requests were sent are above 0 with one-sided confidence of 95%, and a twentieth of the
    requests that were due is not served. In a level that was not full when this began, E2E must rise as well. Means over the
    first and the last quarter of that time."""
    for of, full in sending(rows):
        mine = rows.filter((pl.col("repeat") == of.repeat) & (pl.col("phase") != "preflight"))
        over = mine.filter(pl.col("outcome") != "cancelled")
        (due,) = counted(mine, "scheduled_s", [of], pl.lit(1))
        (left,) = counted(over, "end_s", [of], pl.lit(1))
        if due.sum() < LEAST or left.sum() > (1 - BEHIND_LEAST) * due.sum() or not grows(due - left, BEHIND_T):
            continue
        if full or _slows(mine):
            before = (
                mine.filter(pl.col("scheduled_s") <= of.from_s).height
                - over.filter(pl.col("end_s") <= of.from_s).height
            )
            course = before + np.cumsum(due - left)
            return float(course[:5].mean()), float(course[-5:].mean())
    return None


def _slows(rows: pl.DataFrame) -> bool:
    """Whether requests take longer the later they start; of one that was cut, what it had taken by then."""
    taken = (
        rows.drop_nulls(["start_s", "end_s"]).sort("start_s").select(pl.col("end_s") - pl.col("start_s")).to_series()
    )
    means = batch_means(taken.to_numpy())
    if means is None:
        return False
    tau, p = mann_kendall(means)
    return tau > 0 and p < SLOWS_P


@dataclass(frozen=True)
class Sweep:
    """`frame`: one row per scenario and load: `knee`, and `knee_from` to `knee_to`, between which it may lie; `saturation` (null
    if no interval proves it within the sweep), `throughput` (requests/s, the most reached) with its bounds; `evidence` in words.
    `levels`: the figures that it rests on: throughput, latency (s, median) and power (their quotient), each with bounds if known;
    `relative`: output tokens/s, or requests/s without them, by which levels of a closed loop are compared; `served`: the share
    of what an open loop offered. A level whose latency was cut stays as a bound."""

    frame: pl.DataFrame
    levels: pl.DataFrame

    def _table(self) -> Html:
        rows = []
        for row in self.frame.iter_rows(named=True):
            known, full = row["knee"] is not None, row["saturation"]
            span = f"{row['knee_from']:g} to {load_of(row['load'], row['knee_to'])}" if known else "–"
            knee = str(load_of(row["load"], row["knee"])) if known else "–"
            full = "–" if not known else "not reached" if full is None else str(load_of(row["load"], full))
            shown = {"scenario": row["scenario"], "knee": knee, "may lie in": span}
            rows.append(shown | {"saturation": full, "evidence": row["evidence"]})
        return html_table(rows, "Knee and saturation")

    def _repr_mimebundle_(self, **kw: object) -> dict[str, str]:
        return self._table()._repr_mimebundle_(**kw)

    def __repr__(self) -> str:
        return repr(self._table())


def sweep(summary: pl.DataFrame) -> Sweep:
    """Knee and saturation of each scenario and load of `run.summary_wide`; those with fewer than 3 levels have neither."""
    levels = pl.DataFrame([_figures(row) for row in summary.iter_rows(named=True)], schema=_levels_schema())
    levels = levels.filter(pl.col("throughput").is_not_null()).sort("scenario", "load", "level")
    found = [_answer(key, part) for key, part in levels.group_by("scenario", "load", maintain_order=True)]
    numbers = ("knee", "knee_from", "knee_to", "saturation", "throughput", "throughput_low", "throughput_high")
    text = dict.fromkeys(("scenario", "load"), pl.String) | dict.fromkeys(numbers, pl.Float64)
    return Sweep(pl.DataFrame(found, schema={**text, "evidence": pl.String}), levels)


def _levels_schema() -> ColumnTypes:
    names = ("throughput", "latency_s", "power", "relative", "served")
    figures = [f"{n}{end}" for n in names for end in ("", "_low", "_high")]
    return {"scenario": pl.String, "load": pl.String, "level": pl.Float64} | dict.fromkeys(figures, pl.Float64)


def _figures(row: Row) -> NewRow:
    latency = f"{headline('e2e_s', row['load'])}_p50"
    out = {name: row[name] for name in ("scenario", "load", "level")}
    x, y, tokens = (_estimate(row, n) for n in ("requests_per_s", latency, "output_tokens_per_s"))
    low = x.low / y.high if x.low is not None and y.high else None
    high = x.high / y.low if x.high is not None and y.low else None
    power = Estimate(x.value / y.value if x.value is not None and y.value else None, low, high)
    named = {"throughput": x, "latency_s": y, "power": power, "relative": x if tokens.value is None else tokens}
    for name, e in (named | {"served": served(row)}).items():
        out |= {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}
    return out


def _estimate(row: Row, name: str) -> Estimate:
    return Estimate(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"))


def served(row: Row) -> Estimate:
    """The share of what an open loop offered that was served in the same time; of a summary without that, its rate over the
    level's own."""
    if row["load"] != OpenLoop.kind:
        return Estimate(None)
    known = _estimate(row, "served_share")
    if known.value is not None:
        return known
    x = _estimate(row, "requests_per_s")
    value, low, high = (None if n is None else n / row["level"] for n in (x.value, x.low, x.high))
    return Estimate(value, low, high)


def full(row: Mapping[str, object]) -> bool:
    """Whether an open loop's level proves that the endpoint is full: the whole interval of what it served is a twentieth below
    what was offered."""
    high = served(row).high
    return high is not None and high < 1 - FLAT


def _answer(key: tuple[Any, ...], levels: pl.DataFrame) -> NewRow:
    out = dict(zip(("scenario", "load"), key, strict=True))
    best = levels.sort("throughput").row(-1, named=True)
    out |= {name: best[name] for name in ("throughput", "throughput_low", "throughput_high")}
    if levels.height < 3:
        return out | {"evidence": f"{levels.height} level(s): a knee needs 3 at least"}
    known = levels.filter(pl.col("power") > 0)
    if not known.height:
        return out | {"evidence": "no level has a median latency: too few of its requests ended"}
    top = known.sort("power").row(-1, named=True)
    least = top["power"] if top["power_low"] is None else top["power_low"]
    could = levels.filter(pl.coalesce("power_high", "power", pl.lit(math.inf)) >= least)["level"].to_list()
    at, proven = _saturation(key[1], levels)
    out |= {"knee": top["level"], "knee_from": min(could), "knee_to": max(could), "saturation": at if proven else None}
    return out | {"evidence": " ".join(_evidence(key[1], levels, top, best, at, proven))}


def _saturation(load: str, levels: pl.DataFrame) -> tuple[float | None, bool]:
    """(level, whether the intervals prove it). Closed loop: the first level, not the last one, that none above it exceeds by a
    twentieth. Open loop: the first that served a twentieth less than the offered rate."""
    rows = levels.to_dicts()
    if load == OpenLoop.kind:
        proven = [r["level"] for r in rows if r["served_high"] is not None and r["served_high"] < 1 - FLAT]
        seen = [r["level"] for r in rows if r["served"] is not None and r["served"] < 1 - FLAT]
        return (proven[0], True) if proven else (seen[0] if seen else None, False)
    by_figure = None
    for i, row in enumerate(rows[:-1]):
        above = rows[i + 1 :]
        if all(_exceeds_at_most(row, other) < 1 + FLAT for other in above):
            return float(row["level"]), True
        if by_figure is None and all((r["relative"] or 0) < (1 + FLAT) * row["relative"] for r in above):
            by_figure = float(row["level"])
    return by_figure, False


def _exceeds_at_most(row: Row, other: Row) -> float:
    """How many times the throughput of `row` that of `other` can be, with one-sided confidence of 95%: every level above
    must pass, so no one of them needs more (Berger 1982)."""
    low, high = row["relative_low"], other["relative_high"]
    if not row["relative"] or low is None or high is None:
        return math.inf
    if not other["relative"]:
        return 0.0
    apart = math.log(other["relative"] / row["relative"])
    below = math.log(row["relative"] / low) if low > 0 else math.inf
    return math.exp(min(apart + ONE_SIDED * math.hypot(below, math.log(high / other["relative"])), 700))


def _evidence(
    load: str,
    levels: pl.DataFrame,
    top: Row,
    best: Row,
    at: float | None,
    proven: bool,
) -> Iterator[str]:
    ends = (levels["level"][0], levels["level"][-1])
    yield (
        f"Requests/s divided by median latency is largest at {top['level']:g} ({top['throughput']:.3g}/s, "
        f"{top['latency_s'] * 1e3:.3g} ms)."
    )
    if top["level"] in ends:
        yield "That is the end of the sweep: the knee may lie beyond it."
    unknown = levels.filter(pl.col("latency_s").is_null())["level"].to_list()
    if unknown:
        yield f"At {', '.join(f'{x:g}' for x in unknown)} fewer than half of the requests ended: that level counts as a bound."
    if at is None:
        yield f"Throughput still grew at {ends[1]:g}: the sweep did not reach the endpoint's limit."
    elif load == OpenLoop.kind:
        yield f"At {at:g} offered requests/s, the endpoint served less than {1 - FLAT:.0%} of them."
    else:
        yield f"From {at:g} on, no level had {FLAT:.0%} more throughput. "
        yield f"The highest throughput was {best['throughput']:.3g}/s at {best['level']:g}."
    if at is not None and not proven:
        yield "The intervals do not prove that: send more requests per level."
