"""Each metric's definition, once: its column or expression, unit, formula, source, and which way is better.

Latencies are of successful requests in the measured window. Where requests were cut at a level's end, percentiles come from a
survival curve in which those are censored values, not dropped: dropping them makes a slow server look fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ..types import Estimate, Outcome
from . import statistics as st

LEVEL = ["scenario", "load", "level"]
UNIT = [*LEVEL, "repeat"]
PERCENTILES = (50, 90, 95, 99)
OUTCOMES = [str(o) for o in Outcome]
TOKENS = [
    "input_tokens",
    "output_tokens",
    "input_tokens_target",
    "output_tokens_target",
    "input_tokens_server",
    "output_tokens_server",
    "input_tokens_client",
    "output_tokens_client",
    "reasoning_tokens",
    "cached_tokens",
    "output_chunks",
]


@dataclass(frozen=True, slots=True)
class Metric:
    """One definition. `expression` is over the rows of `run.requests` (over `run.chunks` where `kind` is "chunk")."""

    name: str
    title: str
    unit: str
    expression: pl.Expr
    formula: str
    source: str
    better: str
    kind: str


# fmt: off
_c = pl.col
# name, title, unit, expression, formula, source, better, kind
_DEFINITIONS: list[tuple[str, str, str, pl.Expr, str, str, str, str]] = [
    ("ttft_s", "Time to first token", "s", _c("ttft_s"), "first output event - send", "arrivals", "lower", "latency"),
    ("first_content_s", "Time to first content", "s",
     _c("first_content_s"), "first content - send", "arrivals", "lower", "latency"),
    ("tpot_s", "Time per output token", "s",
     _c("tpot_s"), "(E2E - TTFT) / (output tokens - 1)", "arrivals, tokens", "lower", "latency"),
    ("itl_s", "Inter-token latency", "s",
     _c("arrival_s").diff(), "gap between output chunks", "arrivals", "lower", "chunk"),
    ("e2e_s", "End-to-end latency", "s", _c("e2e_s"), "last output event - send", "arrivals", "lower", "latency"),
    ("output_latency_s", "Output latency", "s",
     _c("e2e_s") - _c("ttft_s"), "E2E - TTFT", "arrivals", "lower", "latency"),
    ("output_inference_speed", "Output inference speed", "tokens/s",
     pl.when(_c("tpot_s") > 0).then(1 / _c("tpot_s")), "1 / TPOT", "TPOT", "higher", "speed"),
    ("output_tokens_per_s", "Output throughput", "tokens/s",
     _c("output_tokens"), "tokens / time, one window", "tokens", "higher", "rate"),
    ("input_tokens_per_s", "Input throughput", "tokens/s",
     _c("input_tokens"), "tokens / time, one window", "tokens", "higher", "rate"),
    ("requests_per_s", "Requests a second", "1/s",
     pl.lit(1), "successes / time, one window", "ends", "higher", "rate"),
    ("error_rate", "Error rate", "", _c("outcome") != "ok", "not ok / not cut", "outcomes", "lower", "share"),
    ("goodput", "Goodput", "",
     _c("outcome") == "ok", "within every limit / not cut", "outcomes, latencies", "higher", "share"),
]
# fmt: on
METRICS: dict[str, Metric] = {d[0]: Metric(*d) for d in _DEFINITIONS}
CENSORED = ("ttft_s", "first_content_s", "e2e_s")  # of these a cut request tells how long it had taken by then


def mark_window(rows: pl.DataFrame) -> pl.DataFrame:
    """Sets `in_window`: measured requests, less the first 2C and the last C by start order of each closed-loop level C where
    at least 10C were sent. Below that, and in an open loop, nothing is cut."""
    measured = pl.col("phase") == "measured"
    rank = pl.col("start_s").rank("ordinal").over([*UNIT, "phase"]) - 1
    n, level = pl.len().over([*UNIT, "phase"]), pl.col("level")
    cut = (pl.col("load") == "concurrency") & (n >= 10 * level)
    inside = ~cut | ((rank >= 2 * level) & (rank < n - level))
    return rows.with_columns(in_window=(measured & inside).fill_null(False))


def summarise(
    rows: pl.DataFrame, chunks: pl.LazyFrame | None = None, slo: Mapping[str, float] | None = None
) -> pl.DataFrame:
    """One row a (scenario, load, level): counts by outcome; each metric as value, _low, _high (95%); tokens; the clock's error.

    `rows`: run.requests; `chunks`: run.chunks; `slo`: limits in s for goodput. What cannot be measured is null.
    """
    gaps = _gaps(rows, chunks)
    found = []
    for key, level in rows.group_by(LEVEL, maintain_order=True):
        itl = gaps.get(key)
        found.append(dict(zip(LEVEL, key, strict=True)) | _level(level.sort("repeat", "start_s"), itl, slo or {}))
    schema: dict[str, Any] = _schema()
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in found], schema=schema)


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = {"scenario": pl.String, "load": pl.String, "level": pl.Float64, "sent": pl.Int64}
    schema |= dict.fromkeys(OUTCOMES, pl.Int64) | {"in_window": pl.Int64, "duration_s": pl.Float64}
    names = [
        f"{m.name}_{stat}"
        for m in METRICS.values()
        if m.kind in ("latency", "chunk", "speed")
        for stat in ("mean", *(f"p{p}" for p in PERCENTILES))
    ]
    names += [m.name for m in METRICS.values() if m.kind in ("rate", "share")]
    schema |= {f"{n}{end}": pl.Float64 for n in names for end in ("", "_low", "_high")}
    schema |= dict.fromkeys(TOKENS, pl.Int64)
    return schema | {"clock_error_p50_s": pl.Float64, "clock_error_p99_s": pl.Float64, "rtt_s_p50": pl.Float64}


def _gaps(rows: pl.DataFrame, chunks: pl.LazyFrame | None) -> dict[tuple[object, ...], np.ndarray[Any, Any]]:
    """Gaps between output chunks (s) of each level's successful requests in the window, in start order."""
    if chunks is None or not rows.height:
        return {}
    kept = rows.lazy().filter(pl.col("in_window") & (pl.col("outcome") == "ok")).select("request_id", *UNIT, "start_s")
    gap = pl.col("arrival_s").diff().over("request_id", order_by="index")
    frame = chunks.select("request_id", "index", "arrival_s").join(kept, on="request_id").with_columns(gap=gap)
    frame = (
        frame.filter(pl.col("gap").is_not_null())
        .sort("repeat", "start_s", "request_id", "index")
        .group_by(LEVEL)
        .agg("gap")
    )
    return {tuple(row[:3]): np.asarray(row[3], float) for row in frame.collect().iter_rows()}


def _level(rows: pl.DataFrame, itl: np.ndarray[Any, Any] | None, slo: Mapping[str, float]) -> dict[str, Any]:
    window = rows.filter("in_window")
    ok = window.filter(pl.col("outcome") == "ok")
    out: dict[str, Any] = {"sent": rows.height, "in_window": window.height}
    out |= {name: int((rows["outcome"] == name).sum()) for name in OUTCOMES}
    for metric in METRICS.values():
        if metric.kind in ("latency", "speed"):
            out |= _distribution(metric, ok, window)
    if itl is not None:
        out |= _named("itl_s_mean", st.mean(itl))
        for p in PERCENTILES:
            out |= _named(f"itl_s_p{p}", st.quantile(itl, p / 100))
    out |= _rates(rows) | _shares(window, slo)
    out |= {name: int(ok[name].sum()) if ok[name].count() else None for name in TOKENS}
    out |= {f"clock_error_p{p}_s": ok["ttft_error_s"].quantile(p / 100) for p in (50, 99)}
    return out | {"rtt_s_p50": ok["rtt_s"].median()}


def _distribution(metric: Metric, ok: pl.DataFrame, window: pl.DataFrame) -> dict[str, Any]:
    values = ok.select(metric.expression.alias("x"))["x"].drop_nulls().to_numpy()
    x, cut = observed(metric, window)
    mean = st.mean(x if cut.any() else values)
    if cut.any():  # the cut ones took longer than they had by then: that bounds the mean from below, and no more
        mean = Estimate(None, mean.value if mean.low is None else max(mean.low, 0.0), None, mean.n, "censored")
    out = _named(f"{metric.name}_mean", mean)
    for p in PERCENTILES:
        out |= _named(f"{metric.name}_p{p}", percentile(x, cut, p))
    return out


def percentile(x: np.ndarray[Any, Any], cut: np.ndarray[Any, Any], p: float) -> Estimate:
    """The p-th percentile of what `observed` gives, in its unit."""
    return st.censored_quantile(x, cut, p / 100) if cut.any() else st.quantile(x, p / 100)


def observed(metric: Metric, window: pl.DataFrame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(values, cut) of a latency in the rows of a window, in their order. TTFT and E2E of each that was cut when its level
    ended are what it had taken by then, at the least; a cut request that had its first token has a TTFT like any other."""
    ok = window.filter(pl.col("outcome") == "ok").select(x=metric.expression).drop_nulls()
    if metric.name not in CENSORED or not ok.height:
        return ok["x"].to_numpy(), np.zeros(ok.height, bool)
    name = metric.name
    cancelled = (pl.col("outcome") == "cancelled") & pl.col("sent_s").is_not_null() & pl.col("end_s").is_not_null()
    known = pl.col("outcome") == "ok" if name == "e2e_s" else pl.col(name).is_not_null()
    value = pl.when(known).then(pl.col(name)).when(cancelled).then(pl.col("end_s") - pl.col("sent_s"))
    kept = window.filter((pl.col("outcome") == "ok") | cancelled).select(x=value, cut=cancelled & ~known).drop_nulls()
    return kept["x"].to_numpy(), kept["cut"].to_numpy()


def _named(name: str, estimate: Estimate) -> dict[str, Any]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _rates(rows: pl.DataFrame) -> dict[str, Any]:
    """Throughput: what ended successfully within a stretch of time, over that stretch; repeats one after the other. Null
    where a response's tokens are not known: counting them as none would halve a rate in silence."""
    parts = [_departures(part) for _, part in rows.group_by("repeat", maintain_order=True)]
    parts = [(moments, part) for moments, part in parts if len(moments) > 1 and moments[-1] > moments[0]]
    moments = [at for at, _ in parts]
    out: dict[str, Any] = {"duration_s": sum(float(at[-1] - at[0]) for at in moments) or None}
    out |= _named("requests_per_s", st.rate_of_parts(moments))
    for name in ("output_tokens", "input_tokens"):
        if parts and not any(part[name].null_count() for _, part in parts):
            weights = [np.concatenate([[0.0], part[name].to_numpy()]) for _, part in parts]
            out |= _named(f"{name}_per_s", st.rate_of_parts(moments, weights))
    return out


def _departures(rows: pl.DataFrame) -> tuple[np.ndarray[Any, Any], pl.DataFrame]:
    """(moments, successes) of one repeat: what ended while the window's requests were being sent, by end; one success for each
    gap between moments.

    Whichever request they belong to: one sent before the window may end inside it, and the window's own last ones end in the
    drain. To count the window's requests over their own ends would make a server look slower by its spread of lengths (9% at
    8 in flight, 200 requests of exponential length). A closed loop's clock starts with the window's first request, not with
    the first departure: waves of C leave together, and n departures span one wave less than they took. An open loop sends
    whatever the server does: there the gaps are those between departures."""
    start, inside = pl.col("start_s"), rows.filter("in_window")["start_s"]
    first, last = inside.min(), inside.max()
    if first is None:
        return np.zeros(0), rows.clear()
    after = rows.filter(start > last)["start_s"].min()
    over = math.inf if after is None else after
    ended = (pl.col("outcome") == "ok") & (pl.col("end_s") > first) & (pl.col("end_s") <= over)
    left = rows.filter(ended).sort("end_s")
    ends = left["end_s"].to_numpy()
    if rows["load"][0] != "concurrency":
        return ends, left[1:]
    until = ends[-1:] if after is None else np.array([over])  # what follows the last departure is of the window, too
    return (np.concatenate([[first], ends[:-1], until]) if len(ends) else ends), left


def _shares(window: pl.DataFrame, slo: Mapping[str, float]) -> dict[str, Any]:
    judged = window.filter(pl.col("outcome") != "cancelled")
    out = _named("error_rate", st.fraction((judged["outcome"] != "ok").to_numpy()))
    if slo:
        good = pl.all_horizontal(
            pl.col("outcome") == "ok", *((pl.col(k) <= v).fill_null(False) for k, v in slo.items())
        )
        out |= _named("goodput", st.fraction(judged.select(good.alias("good"))["good"].to_numpy()))
    return out


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
