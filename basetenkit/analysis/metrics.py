"""Each metric's definition, once: its column or expression, unit, formula, source, and which way is better.

Latencies are of successful requests in the measured window. Those of an open loop exist twice, from the send and from when the
request was due (`_due_s`), and the latter is the headline: a user waits from the moment they asked. Where requests were cut at
a level's end, percentiles come from a survival curve in which those are censored values, not dropped: dropping them makes a
slow server look fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ..types import Estimate, Outcome
from . import statistics as st

LEVEL = ["scenario", "load", "level"]
UNIT = [*LEVEL, "repeat"]
PERCENTILES = (50, 90, 95, 99)
Values = np.ndarray[Any, Any]
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


def _since_due(name: str) -> pl.Expr:
    """A latency from when its request was due; null in a closed loop, where nothing is due."""
    return pl.when(pl.col("load") == "request_rate").then(pl.col(name) + pl.col("sent_s") - pl.col("scheduled_s"))


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
    ("ttft_due_s", "Time to first token, from when it was due", "s",
     _since_due("ttft_s"), "first output event - due (open loop)", "arrivals, schedule", "lower", "latency"),
    ("first_content_due_s", "Time to first content, from when it was due", "s",
     _since_due("first_content_s"), "first content - due (open loop)", "arrivals, schedule", "lower", "latency"),
    ("e2e_due_s", "End-to-end latency, from when it was due", "s",
     _since_due("e2e_s"), "last output event - due (open loop)", "arrivals, schedule", "lower", "latency"),
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
# Of these a cut request tells how long it had taken by then: the column that says whether it was over, and since when.
CENSORED = {
    name.removesuffix("_s") + ending: (name, since)
    for name in ("ttft_s", "first_content_s", "e2e_s")
    for ending, since in (("_s", "sent_s"), ("_due_s", "scheduled_s"))
}
LOCAL = {"loop_lag_p99_s": "loop_lag_p99_s", "cpu_share": "cpu_share"}  # summary column -> key of a level's entry


def headline(name: str, load: str) -> str:
    """The metric that stands for `name` under a load: in an open loop a latency counts from when its request was due."""
    due = name.removesuffix("_s") + "_due_s"
    return due if load == "request_rate" and due in METRICS else name


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
    rows: pl.DataFrame,
    chunks: pl.LazyFrame | None = None,
    slo: Mapping[str, float] | None = None,
    levels: Sequence[Mapping[str, Any]] = (),
) -> pl.DataFrame:
    """One row a (scenario, load, level): counts by outcome; each metric as value, _low, _high (95%); tokens; the clock's error.

    `rows`: run.requests; `chunks`: run.chunks; `slo`: limits in s for goodput; `levels`: run.metadata["levels"], for how busy
    this client was. What cannot be measured is null.
    """
    gaps = _gaps(rows, chunks)
    found = []
    for key, level in rows.group_by(LEVEL, maintain_order=True):
        figures = _level(level.sort("repeat", "start_s"), gaps.get(key), slo or {})
        entries = [x for x in levels if tuple(x.get(k) for k in LEVEL) == key]
        local = {c: max((x[k] for x in entries if x.get(k) is not None), default=None) for c, k in LOCAL.items()}
        found.append(dict(zip(LEVEL, key, strict=True)) | figures | local)
    schema: dict[str, Any] = summary_schema()
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in found], schema=schema)


def summary_schema() -> dict[str, Any]:
    """The columns of `summarise` and their types."""
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
    last = ("clock_error_p50_s", "clock_error_p99_s", "rtt_s_p50", "network_share_ttft_p50", *LOCAL)
    return schema | dict.fromkeys(last, pl.Float64)


def _gaps(rows: pl.DataFrame, chunks: pl.LazyFrame | None) -> dict[tuple[object, ...], tuple[Values, Values]]:
    """(gaps between output chunks in s, the repeat of each) of each level's successful requests in the window, in start order."""
    if chunks is None or not rows.height:
        return {}
    kept = rows.lazy().filter(pl.col("in_window") & (pl.col("outcome") == "ok")).select("request_id", *UNIT, "start_s")
    kept = kept.sort("repeat", "start_s", "request_id").with_row_index("place")
    frame = chunks.select("request_id", "index", "arrival_s").join(kept, on="request_id").sort("place", "index")
    first = pl.col("place") != pl.col("place").shift()
    whole = (
        frame.with_columns(gap=pl.when(~first).then(pl.col("arrival_s").diff()))
        .drop_nulls("gap")
        .group_by(LEVEL, maintain_order=True)
        .agg("gap", "repeat")
        .collect()
    )
    gaps, repeats = whole["gap"], whole["repeat"]
    return {key: (gaps[i].to_numpy(), repeats[i].to_numpy()) for i, key in enumerate(whole.select(LEVEL).iter_rows())}


def _level(rows: pl.DataFrame, itl: tuple[Values, Values] | None, slo: Mapping[str, float]) -> dict[str, Any]:
    window = rows.filter("in_window")
    ok = window.filter(pl.col("outcome") == "ok")
    out: dict[str, Any] = {"sent": rows.height, "in_window": window.height}
    out |= {name: int((rows["outcome"] == name).sum()) for name in OUTCOMES}
    nothing_due = rows["load"][0] != "request_rate"
    for metric in METRICS.values():
        if metric.kind in ("latency", "speed") and not (nothing_due and metric.name.endswith("_due_s")):
            out |= _distribution(metric, window)
    if itl is not None:
        out |= _named("itl_s_mean", st.mean(*itl))
        for p, e in zip(PERCENTILES, st.quantiles(itl[0], [p / 100 for p in PERCENTILES], itl[1]), strict=True):
            out |= _named(f"itl_s_p{p}", e)
    out |= _rates(rows) | _shares(window, slo)
    out |= {name: int(ok[name].sum()) if ok[name].count() else None for name in TOKENS}
    out |= {f"clock_error_p{p}_s": ok["ttft_error_s"].quantile(p / 100) for p in (50, 99)}
    share = (ok["rtt_s"] / ok["ttft_s"]).filter(ok["ttft_s"] > 0)  # a TTFT holds one round trip
    return out | {"rtt_s_p50": ok["rtt_s"].median(), "network_share_ttft_p50": share.median()}


def _distribution(metric: Metric, window: pl.DataFrame) -> dict[str, Any]:
    seen = observations(metric, window)
    x, cut, parts = seen["x"].to_numpy(), seen["cut"].to_numpy(), seen["repeat"].to_numpy()
    over = np.ones(len(x), bool) if cut.any() else seen["ok"].to_numpy()
    mean = st.mean(x[over], parts[over])
    if cut.any():  # the cut ones took longer than they had by then: that bounds the mean from below, and no more
        mean = Estimate(None, mean.value if mean.low is None else max(mean.low, 0.0), None, mean.n, "censored")
    out = _named(f"{metric.name}_mean", mean)
    for p in PERCENTILES:
        out |= _named(f"{metric.name}_p{p}", percentile(x, cut, p, parts))
    return out


def percentile(x: Values, cut: Values, p: float, parts: Values | None = None) -> Estimate:
    """The p-th percentile of what `observed` gives, in its unit; `parts`: the repeat of each value."""
    return st.censored_quantile(x, cut, p / 100, parts) if cut.any() else st.quantile(x, p / 100, parts)


def observed(metric: Metric, window: pl.DataFrame) -> tuple[Values, Values]:
    """(values, cut) of a latency in the rows of a window, in their order. TTFT and E2E of each that was cut when its level
    ended are what it had taken by then, at the least; a cut request that had its first token has a TTFT like any other."""
    seen = observations(metric, window)
    return seen["x"].to_numpy(), seen["cut"].to_numpy()


def observations(metric: Metric, window: pl.DataFrame) -> pl.DataFrame:
    """What `observed` says, as a frame: x, cut, ok, repeat."""
    ok = pl.col("outcome") == "ok"
    seen = window.filter(ok).select("repeat", x=metric.expression, cut=False, ok=ok).drop_nulls("x")
    if metric.name not in CENSORED or not seen.height:
        return seen
    column, since = CENSORED[metric.name]
    if not window.select((metric.expression.is_not_null() & ok).any()).item():
        return seen
    known = ok if column == "e2e_s" else pl.col(column).is_not_null()
    cancelled = (pl.col("outcome") == "cancelled") & pl.col(since).is_not_null() & pl.col("end_s").is_not_null()
    value = pl.when(known).then(metric.expression).when(cancelled).then(pl.col("end_s") - pl.col(since))
    kept = window.filter(ok | cancelled).select("repeat", x=value, cut=cancelled & ~known, ok=ok)
    return kept.drop_nulls("x")


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
    cut = pl.col("outcome") == "cancelled"
    judged = window.filter(~cut)
    out = _named("error_rate", st.fraction((judged["outcome"] != "ok").to_numpy(), judged["repeat"].to_numpy()))
    return out | _named("goodput", _goodput(window, cut, slo)) if slo else out


def _goodput(window: pl.DataFrame, cut: pl.Expr, slo: Mapping[str, float]) -> Estimate:
    """The share within every limit. A cut request that was over a limit by then is bad; of another one nobody knows: the low
    bound takes all of those for bad, the high bound for good."""
    kept = [METRICS[headline(name, str(window["load"][0]))] if window.height else METRICS[name] for name in slo]
    within = [(m.expression <= limit).fill_null(False) for m, limit in zip(kept, slo.values(), strict=True)]
    waited = [
        (pl.coalesce(m.expression, pl.col("end_s") - pl.col(CENSORED[m.name][1])) > limit).fill_null(False)
        for m, limit in zip(kept, slo.values(), strict=True)
        if m.name in CENSORED
    ]
    good = (pl.col("outcome") == "ok") & pl.all_horizontal(pl.lit(True), *within)
    open_yet = cut & ~pl.any_horizontal(pl.lit(False), *waited)
    seen = window.select("repeat", good=good, open=open_yet)

    def share(frame: pl.DataFrame, values: pl.Series) -> Estimate:
        return st.fraction(values.to_numpy(), frame["repeat"].to_numpy())

    judged = seen.filter(~pl.col("open"))
    value = share(judged, judged["good"])
    if judged.height == seen.height:
        return value
    low, high = share(seen, seen["good"]), share(seen, seen["good"] | seen["open"])
    return Estimate(value.value, low.low, high.high, value.n, f"{value.how}; {seen.height - judged.height} cut")


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
