"""Rows -> one row per level: counts, every metric with its interval, tokens, the clock's error, the load of this client.

`figures_of` computes them once. `as_summary` shows them with one column per figure. `as_metrics` has one row per metric, with
the data behind its interval: the number of values, the number of independent values with the same information, and the method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from ..core.types import Estimate, NewRow, Row
from ..results.manifest import LevelEntry
from ..results.schema import LEVEL, is_open_loop
from ..stats import intervals as st
from ..stats.survival import restricted_mean
from . import relaxation
from .clock_error import BOUNDED, clock_errors, error_name, with_content_errors, within_the_clock
from .cost import COSTS, TOTALS
from .covariates import CONTROLLED, of_window
from .gaps import Gaps, gaps
from .metrics import AROUND, METRICS, OUTCOMES, PERCENTILES, WORDS, Metric, observations, percentile
from .rates import named, rates, shares

# The columns that one compares first: who was served, how much, how fast, and how sure the clock is.
FIRST = [
    *("sent", "ok", "goodput", "error_rate", "requests_per_s", "output_tokens_per_s"),
    *("ttft_s_mean", "ttft_s_p50", "ttft_s_p90", "ttft_s_p95", "ttft_s_p99", "tpot_s_mean", "tpot_s_p50", "itl_s_p50"),
    "output_inference_speed_mean",
    *("e2e_s_mean", "e2e_s_p50", "e2e_s_p95", "e2e_s_p99", "in_window", "duration_s", "clock_error_p99_s"),
]
# Those that only some runs have: an open loop's latencies from when a request was due, and an embedding run's throughput.
ALSO_FIRST = [f"{name}_{stat}" for name in ("ttft_due_s", "e2e_due_s") for stat in ("p50", "p95", "p99")]
ALSO_FIRST += ["served_share", "input_tokens_per_s", "inputs_per_s"]
ALSO_FIRST += [f"{name}{end}" for name in COSTS for end in ("_low", "_high")]
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


def summarise(
    rows: pl.DataFrame,
    chunks: pl.LazyFrame | None = None,
    slo: Mapping[str, float] | None = None,
    levels: Sequence[LevelEntry] = (),
    *,
    controlled: bool = True,
) -> pl.DataFrame:
    """One row per (scenario, load, level): counts by outcome; each metric as value, _low, _high (95%); tokens; the clock's error.

    `rows`: run.requests; `chunks`: run.chunks; `slo`: limits in s for goodput; `levels`: run.manifest.levels, for the time
    that was measured and how busy this client was. What cannot be measured is null. A sum of tokens is over all successful
    requests of the window: it is null if one of them lacks that count, and the column that ends in `_n` says how many have it.

    `controlled`: the means of TTFT, TPOT and E2E are read off at the scenario's own mean lengths if all requests of a level's
    window succeeded, and the column that ends in `_mean_how` says for which lengths; False gives the plain means.
    """
    return as_summary(figures_of(rows, chunks, slo, levels, controlled=controlled))


def figures_of(
    rows: pl.DataFrame,
    chunks: pl.LazyFrame | None = None,
    slo: Mapping[str, float] | None = None,
    levels: Sequence[LevelEntry] = (),
    *,
    controlled: bool = True,
) -> list[dict[str, object]]:
    """The figures of each (scenario, load, level) by name; arguments as in `summarise`."""
    rows = with_content_errors(rows.drop(WORDS, strict=False), chunks)
    between, flows = gaps(rows, chunks), rates(rows, chunks, levels)
    found = []
    for key, level in rows.group_by(LEVEL, maintain_order=True):
        entries = [entry for entry in levels if tuple(entry.key.columns.values()) == key]
        figures = _level(level.sort("repeat", "start_s"), between.get(key), slo or {}, controlled) | flows[key]
        local = {name: max((x for x in values if x is not None), default=None) for name, values in _local(entries)}
        found.append(dict(zip(LEVEL, key, strict=True)) | figures | local)
    return found


def as_summary(found: Sequence[Row]) -> pl.DataFrame:
    """A column per figure: what `summarise` gives."""
    schema: dict[str, Any] = summary_schema()
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in found], schema=schema)


def readable(wide: pl.DataFrame) -> pl.DataFrame:
    """Of what `as_summary` gives: the level, FIRST, and of ALSO_FIRST the columns that have a value. Input tokens per second are
    for runs that produce no output tokens."""
    no_output = not wide["output_tokens_per_s"].count()
    also = [n for n in ALSO_FIRST if wide[n].count() and (no_output or n != "input_tokens_per_s")]
    return wide.select(*LEVEL, *FIRST, *COSTS, "usd", *also)


def as_metrics(found: Sequence[Row]) -> pl.DataFrame:
    """One row per (scenario, load, level, metric), of each metric that has a value or a bound: `value`, `low` and `high` (95%), `n`
    values, `n_eff` independent ones that would say as much, and the `method` of the interval, or why a bound is missing."""
    out = []
    for row in found:
        for metric in (*metric_names(), *COSTS):
            ends = [row.get(f"{metric}{end}") for end in ("", "_low", "_high")]
            rests_on = [row.get(f"{metric}_{key}") for key in ("n", "n_eff", "how")]
            if any(end is not None for end in ends):
                out.append([*(row[name] for name in LEVEL), metric, *ends, *rests_on])
    schema: dict[str, Any] = {"scenario": pl.String, "load": pl.String, "level": pl.Float64, "metric": pl.String}
    schema |= dict.fromkeys(("value", "low", "high"), pl.Float64)
    return pl.DataFrame(out, schema | {"n": pl.Int64, "n_eff": pl.Float64, "method": pl.String}, orient="row")


def metric_names() -> list[str]:
    """The names of all figures that have an interval: `ttft_s_p95`, `requests_per_s` and so on."""
    kinds = ("latency", "chunk", "speed")
    names = [
        f"{m.name}_{stat}"
        for m in METRICS.values()
        if m.kind in kinds
        for stat in ("mean", *(f"p{p}" for p in PERCENTILES))
    ]
    return names + [m.name for m in METRICS.values() if m.kind in ("rate", "share")]


def _local(entries: Sequence[LevelEntry]) -> Iterator[tuple[str, list[float | None]]]:
    """How busy this client was in each repeat, under the names of the summary's columns."""
    yield "loop_lag_p99_s", [entry.loop_lag_p99_s for entry in entries]
    yield "cpu_share", [entry.cpu_share for entry in entries]


def summary_schema() -> dict[str, Any]:
    """The columns of `summarise` and their types."""
    schema: dict[str, Any] = {"scenario": pl.String, "load": pl.String, "level": pl.Float64, "sent": pl.Int64}
    schema |= dict.fromkeys(OUTCOMES, pl.Int64) | {"in_window": pl.Int64, "duration_s": pl.Float64}
    schema |= {f"{n}{end}": pl.Float64 for n in metric_names() for end in ("", "_low", "_high")}
    schema |= {f"{name}_mean_how": pl.String for name in CONTROLLED} | {"offered_per_s": pl.Float64}
    schema |= {f"{name}{end}": pl.Int64 for name in TOKENS for end in ("", "_n")}
    bounds = [error_name(name, p) for name in BOUNDED for p in (50, 99)]
    last = (
        "clock_error_p50_s",
        "clock_error_p99_s",
        *bounds,
        "rtt_s_p50",
        "network_share_ttft_p50",
        *(name for name, _ in _local(())),
    )
    costs = (*(f"{name}{end}" for name in COSTS for end in ("", "_low", "_high")), *TOTALS)
    return schema | dict.fromkeys((*last, *costs), pl.Float64)


def _level(rows: pl.DataFrame, itl: Gaps | None, slo: Mapping[str, float], controlled: bool) -> dict[str, object]:
    window = rows.filter("in_window")
    ok = window.filter(pl.col("outcome") == "ok")
    planned = rows.filter(~pl.col("phase").is_in(AROUND))
    out: NewRow = {"sent": planned.height, "in_window": window.height}
    out |= {name: int((planned["outcome"] == name).sum()) for name in OUTCOMES}
    seen = relaxation.looks(rows)
    short = relaxation.too_short(rows, seen)
    nothing_due = not is_open_loop(rows)
    for metric in METRICS.values():
        if metric.kind in ("latency", "speed") and not (nothing_due and metric.name.endswith("_due_s")):
            out |= _distribution(metric, window, short, controlled and metric.name in CONTROLLED)
    if itl is not None:
        out |= named("itl_s_mean", itl.mean(), itl.n)
        for p, e in zip(PERCENTILES, _in_order(itl.quantiles([p / 100 for p in PERCENTILES])), strict=True):
            out |= named(f"itl_s_p{p}", e, itl.n)
    waiting = seen is not None and out["ttft_s_mean_low"] is not None and out["ttft_s_mean_high"] is None
    out |= shares(window, slo, known=not (short or waiting))
    out |= {name: int(ok[name].sum()) if 0 < ok[name].count() == ok.height else None for name in TOKENS}
    out |= {f"{name}_n": ok[name].count() for name in TOKENS}
    bounds = clock_errors(window)
    first = next((name for name in ("ttft_s", "e2e_s") if bounds[error_name(name)] is not None), "ttft_s")
    out |= bounds | {f"clock_error_p{p}_s": bounds[error_name(first, p)] for p in (50, 99)}
    share = (ok["rtt_s"] / ok["ttft_s"]).filter(ok["ttft_s"] > 0)  # a TTFT holds one round trip
    return out | {"rtt_s_p50": ok["rtt_s"].median(), "network_share_ttft_p50": share.median()}


def _distribution(metric: Metric, window: pl.DataFrame, short: bool, controlled: bool) -> dict[str, object]:
    """`short`: whether an open loop was too short against its queue for an upper bound of a latency; `controlled`: whether the
    mean is to be at the scenario's lengths."""
    names = [f"{metric.name}_mean", *(f"{metric.name}_p{p}" for p in PERCENTILES)]
    queues, drawn = metric.name.startswith("ttft"), window if controlled else None
    found = within_the_clock(metric, window, lambda seen: _estimates(seen, drawn, queues))
    one_open_loop = is_open_loop(window) and window["repeat"].n_unique() == 1
    queued = one_open_loop and queues
    # by the plain mean: a queue waits whatever lengths were drawn
    if short or (queued and relaxation.waits(within_the_clock(metric, window, lambda seen: _estimates(seen, None))[0])):
        limit = relaxation.without_top if metric.better == "lower" else relaxation.without_bottom
        found = [limit(e) for e in found]
    found = [found[0], *_in_order(found[1:])]
    n, out = observations(metric, window).height, dict[str, Any]()
    for name, estimate in zip(names, found, strict=True):
        out |= named(name, estimate, n)
    return out


def _in_order(percentiles: Sequence[Estimate]) -> list[Estimate]:
    """Percentiles of one distribution, in rising order, with bounds that rise, too: what bounds p50 from below bounds p99."""
    out, least = list[Estimate](), None
    for e in percentiles:
        if least is not None and e.low is not None and e.low < least:
            e = replace(e, low=least)
        least = e.low if e.low is not None else least
        out.append(e)
    most = None
    for i in reversed(range(len(out))):
        high = out[i].high
        if most is not None and high is not None and high > most:
            out[i] = replace(out[i], high=most)
        most = out[i].high if high is not None else most
    return out


def _estimates(seen: pl.DataFrame, drawn: pl.DataFrame | None, waits: bool = False) -> list[Estimate]:
    """The mean and each percentile of the observed values; `drawn`: the window, if the mean is to be at the scenario's lengths;
    `waits`: whether a few requests may wait for long."""
    x, cut, parts = seen["x"].to_numpy(), seen["cut"].to_numpy(), seen["repeat"].to_numpy()
    with np.errstate(invalid="ignore"):  # a speed may be without limit within the clock's error
        plain = restricted_mean(x, cut, parts) if cut.any() else st.mean(x, parts)
    mean = plain if drawn is None or cut.any() else of_window(seen, drawn, waits=waits)
    return [mean, *(percentile(x, cut, p, parts) for p in PERCENTILES)]
