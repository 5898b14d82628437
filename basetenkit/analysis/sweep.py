"""What more load does to an endpoint: how many requests are in flight over time, where the knee of a sweep lies, and where the
endpoint is full. Each answer comes with the figures it rests on, and with how far it could be elsewhere.

The knee is the level of the greatest power, throughput over latency (Kleinrock 1979): below it throughput is given away, above
it waiting is bought. Saturation is the first level from which no further one brings noticeably more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ..display import Html, html_table
from ..types import Estimate
from .metrics import headline
from .statistics import batch_means, mann_kendall

FLAT = 0.05  # a twentieth more throughput is none worth having
BEHIND_TAU, BEHIND_P, BEHIND_SHARE = 0.5, 0.001, 0.05


def in_flight(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests in flight over time, of the rows of one level: `repeat`, `at_s` (s since the level's start) and `in_flight`
    from then on; a row a change."""
    parts = [
        rows.select("repeat", at_s=pl.col(column), step=pl.lit(step, pl.Int64))
        for column, step in (("start_s", 1), ("end_s", -1))
    ]
    changes = pl.concat(parts).drop_nulls().sort("repeat", "at_s", "step")
    return changes.select("repeat", "at_s", in_flight=pl.col("step").cum_sum().over("repeat"))


def at_each_start(rows: pl.DataFrame) -> list[np.ndarray[Any, Any]]:
    """How many others were in flight when each request was taken up, in start order; a series a repeat."""
    out = []
    for _, part in rows.drop_nulls("start_s").group_by("repeat", maintain_order=True):
        starts, ends = np.sort(part["start_s"].to_numpy()), np.sort(part["end_s"].drop_nulls().to_numpy())
        out.append(np.arange(len(starts)) - np.searchsorted(ends, starts, side="right"))
    return out


def falls_behind(rows: pl.DataFrame) -> tuple[float, float] | None:
    """(in flight early, in flight late) where an open loop's endpoint falls behind for good: what is in flight rises all the
    way (Mann-Kendall on 15 of 20 batch means: the first quarter fills an empty server) and a twentieth of what was sent is not
    served when the last one is; else None. Means over the second and the last quarter."""
    return next((found for series in at_each_start(rows) if (found := rises(series, len(series)))), None)


def rises(in_flight: Sequence[float] | np.ndarray[Any, Any], sent: int) -> tuple[float, float] | None:
    """What `falls_behind` says of one series of what is in flight, after `sent` requests."""
    means = batch_means(np.asarray(in_flight, float))
    if means is None:
        return None
    tau, p = mann_kendall(means[5:])
    early, late = float(means[5:10].mean()), float(means[15:].mean())
    if tau > BEHIND_TAU and p < BEHIND_P and in_flight[-1] > BEHIND_SHARE * sent and late > 1.5 * early:
        return early, late
    return None


@dataclass(frozen=True)
class Sweep:
    """`frame`: one row a scenario and load: `knee`, and `knee_from` to `knee_to`, between which it may lie; `saturation` (null:
    not reached within the sweep), `throughput` (requests/s, the most reached) with its bounds; `evidence` in words. `levels`:
    the figures that it rests on: throughput, latency (s, median) and power (their quotient), each with bounds where known."""

    frame: pl.DataFrame
    levels: pl.DataFrame

    def _table(self) -> Html:
        rows = []
        for row in self.frame.iter_rows(named=True):
            unit = "/s" if row["load"] == "request_rate" else " in flight"
            span = f"{row['knee_from']:g} to {row['knee_to']:g}{unit}" if row["knee"] is not None else "–"
            full = "not reached" if row["saturation"] is None else f"{row['saturation']:g}{unit}"
            if row["knee"] is None:
                full = knee = "–"
            else:
                knee = f"{row['knee']:g}{unit}"
            shown = {"scenario": row["scenario"], "knee": knee, "may lie in": span}
            rows.append(shown | {"saturation": full, "evidence": row["evidence"]})
        return html_table(rows, "Knee and saturation")

    def _repr_mimebundle_(self, **kw: Any) -> dict[str, str]:
        return self._table()._repr_mimebundle_(**kw)

    def __repr__(self) -> str:
        return repr(self._table())


def sweep(summary: pl.DataFrame) -> Sweep:
    """Knee and saturation of each scenario and load of `run.summary`; those with fewer than 3 levels have neither."""
    levels = pl.DataFrame([_figures(row) for row in summary.iter_rows(named=True)], schema=_levels_schema())
    levels = levels.filter(pl.col("throughput") > 0, pl.col("latency_s") > 0).sort("scenario", "load", "level")
    found = [_answer(key, part) for key, part in levels.group_by("scenario", "load", maintain_order=True)]
    numbers = ("knee", "knee_from", "knee_to", "saturation", "throughput", "throughput_low", "throughput_high")
    text = dict.fromkeys(("scenario", "load"), pl.String) | dict.fromkeys(numbers, pl.Float64)
    return Sweep(pl.DataFrame(found, schema={**text, "evidence": pl.String}), levels)


def _levels_schema() -> dict[str, Any]:
    figures = [f"{n}{end}" for n in ("throughput", "latency_s", "power") for end in ("", "_low", "_high")]
    return {"scenario": pl.String, "load": pl.String, "level": pl.Float64} | dict.fromkeys(figures, pl.Float64)


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    latency = f"{headline('e2e_s', row['load'])}_p50"
    out = {name: row[name] for name in ("scenario", "load", "level")}
    x, y = (Estimate(row[n], row[f"{n}_low"], row[f"{n}_high"]) for n in ("requests_per_s", latency))
    low = x.low / y.high if x.low is not None and y.high else None
    high = x.high / y.low if x.high is not None and y.low else None
    power = Estimate(x.value / y.value if x.value is not None and y.value else None, low, high)
    for name, e in (("throughput", x), ("latency_s", y), ("power", power)):
        out |= {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}
    return out


def _answer(key: tuple[Any, ...], levels: pl.DataFrame) -> dict[str, Any]:
    out = dict(zip(("scenario", "load"), key, strict=True))
    best = levels.sort("throughput").row(-1, named=True)
    out |= {name: best[name] for name in ("throughput", "throughput_low", "throughput_high")}
    if levels.height < 3:
        return out | {"evidence": f"{levels.height} level(s): a knee needs 3 at least"}
    top = levels.sort("power").row(-1, named=True)
    least = top["power"] if top["power_low"] is None else top["power_low"]
    could = levels.filter(pl.coalesce("power_high", "power") >= least)["level"].to_list()
    full = _saturation(key[1], levels)
    out |= {"knee": top["level"], "knee_from": min(could), "knee_to": max(could), "saturation": full}
    return out | {"evidence": " ".join(_evidence(key[1], levels, top, best, full))}


def _saturation(load: str, levels: pl.DataFrame) -> float | None:
    """Closed loop: the first level, not the last one, whose throughput none above it exceeds by a twentieth. Open loop: the
    first whose throughput is a twentieth below what was offered, by its whole interval."""
    rows = levels.to_dicts()
    if load == "request_rate":
        short = [r["level"] for r in rows if (r["throughput_high"] or r["throughput"]) < (1 - FLAT) * r["level"]]
        return short[0] if short else None
    for i, row in enumerate(rows[:-1]):
        if max(r["throughput"] for r in rows[i + 1 :]) < (1 + FLAT) * row["throughput"]:
            return float(row["level"])
    return None


def _evidence(
    load: str, levels: pl.DataFrame, top: Mapping[str, Any], best: Mapping[str, Any], full: float | None
) -> Iterator[str]:
    ends = (levels["level"][0], levels["level"][-1])
    yield (
        f"Requests/s over median latency is greatest at {top['level']:g} ({top['throughput']:.3g}/s, "
        f"{top['latency_s'] * 1e3:.3g} ms)."
    )
    if top["level"] in ends:
        yield "That is the end of the sweep: the knee may lie beyond it."
    if full is None:
        yield f"Throughput still grew at {ends[1]:g}: the endpoint was not seen full."
    elif load == "request_rate":
        yield f"At {full:g}/s offered it served less than {1 - FLAT:.0%} of that."
    else:
        yield f"From {full:g} on no level brought {FLAT:.0%} more; the most was {best['throughput']:.3g}/s at {best['level']:g}."
