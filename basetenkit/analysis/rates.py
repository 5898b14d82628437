"""Throughput, error rate and goodput of a level: arrivals per time, and the share of sent requests that succeeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ..core.types import Estimate, NewRow
from ..results.manifest import LevelEntry
from ..results.schema import LEVEL, is_open_loop
from ..stats import intervals as st
from ..stats.counts import BATCHES, rate_of_stretches, ratio_of_stretches
from .metrics import AT_ONCE, CENSORED, METRICS, Metric, felt, headline
from .relaxation import without_bottom
from .stretches import Counts, Stretch, counted, stretches, tokens_as_they_came

# column -> the rate of what it counts
WEIGHED = {"output_tokens": "output_tokens_per_s", "input_tokens": "input_tokens_per_s", "batch_size": "inputs_per_s"}


def named(name: str, estimate: Estimate, n: int) -> dict[str, object]:
    """An estimate as the three columns of a summary, of `n` values; beside them, for `metrics`, where it comes from."""
    found = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return found | {f"{name}_n": n, f"{name}_n_eff": estimate.n, f"{name}_how": estimate.how}


def rates(
    rows: pl.DataFrame, chunks: pl.LazyFrame | None = None, levels: Sequence[LevelEntry] = ()
) -> dict[tuple[object, ...], dict[str, object]]:
    """Throughput of each (scenario, load, level): what came in its stretch of time (see `stretches`), over that time.

    `rows`: run.requests; `chunks`: run.chunks, for when tokens came; `levels`: run.manifest.levels. A rate is null if the
    tokens of a response are not known: counting them as none would halve it in silence. For an open loop also `offered_per_s`,
    the requests due in the same time, and `served_share`, the share of them that was served.
    """
    parts = dict(rows.group_by(LEVEL, maintain_order=True))
    of = {
        key: stretches(part, [entry for entry in levels if tuple(entry.key.columns.values()) == key])
        for key, part in parts.items()
    }
    tokens = tokens_as_they_came(rows, chunks, of)
    return {key: _of_level(part, of[key], tokens[key]) for key, part in parts.items()}


def _of_level(rows: pl.DataFrame, of: Sequence[Stretch], tokens: Sequence[Counts]) -> dict[str, object]:
    if not of:
        return {}
    seconds = [s.seconds for s in of]
    ok = rows.filter(pl.col("outcome") == "ok")
    under_way = _under_way(rows, of)
    served = counted(ok, "end_s", of, pl.lit(1))
    open_loop = is_open_loop(rows)
    lasting = not open_loop and _lasting(ok, of)
    out: NewRow = {"duration_s": sum(seconds)}
    out |= named("requests_per_s", rate_of_stretches(served, seconds, under_way, lasting), under_way)
    for name, rate in WEIGHED.items():
        if not ok[name].null_count():
            counts = tokens if name == "output_tokens" else counted(ok, "end_s", of, pl.col(name))
            slow = lasting or (name == "output_tokens" and open_loop)
            least = _error_of_arrivals(rows, ok, of, name) if open_loop else 0.0
            out |= named(rate, rate_of_stretches(counts, seconds, under_way, slow, least), under_way)
    if open_loop:
        due = counted(rows, "scheduled_s", of, pl.lit(1))
        out["offered_per_s"] = sum(float(c.sum()) for c in due) / sum(seconds)
        out |= named("served_share", ratio_of_stretches(served, due, under_way), under_way)
    return out


def _error_of_arrivals(rows: pl.DataFrame, ok: pl.DataFrame, of: Sequence[Stretch], weight: str) -> float:
    """The standard deviation of the sum of a `weight` over the requests that ended in the stretches, if each has one of its own and
    arrivals vary as they did: what an open loop brings at random, however evenly it is then served."""
    ended = pl.any_horizontal(
        *((pl.col("repeat") == s.repeat) & pl.col("end_s").is_between(s.from_s, s.until_s) for s in of)
    )
    x = ok.filter(ended)[weight].to_numpy().astype(np.float64)
    gaps = rows.sort("scheduled_s").select(pl.col("scheduled_s").diff().over("repeat")).to_series().drop_nulls()
    if len(x) < 2 or len(gaps) < 2 or not (mean := float(gaps.mean() or 0.0)):  # type: ignore[arg-type]
        return 0.0
    dispersion = float(gaps.var() or 0.0) / mean**2  # type: ignore[arg-type]
    return float(np.sqrt(len(x) * (x.var() + dispersion * x.mean() ** 2)))


def _lasting(ok: pl.DataFrame, of: Sequence[Stretch]) -> bool:
    """Whether a response took longer than the largest batch of a stretch, so that counts forget slowly."""
    longest = ok.select((pl.col("end_s") - pl.col("start_s")).max()).item()
    return longest is not None and longest * BATCHES[-1] > min(s.seconds for s in of)


def _under_way(rows: pl.DataFrame, of: Sequence[Stretch]) -> int:
    """How many requests were under way in the stretches."""
    here = [
        rows.filter(
            (pl.col("repeat") == s.repeat) & (pl.col("start_s") < s.until_s) & (pl.col("end_s") > s.from_s)
        ).height
        for s in of
    ]
    return sum(here)


def shares(window: pl.DataFrame, slo: Mapping[str, float], known: bool = True) -> dict[str, object]:
    """Error rate and goodput; of an open loop too short against its queue (not `known`), goodput without a lower bound."""
    cut = pl.col("outcome") == "cancelled"
    judged = window.filter(~cut)
    failed, took = (judged["outcome"] != "ok").to_numpy(), judged["end_s"] - judged["start_s"]
    out = named("error_rate", st.fraction(failed, judged["repeat"].to_numpy(), _like(took)), judged.height)
    if not slo:
        return out
    goodput = _goodput(window, cut, slo)
    return out | named("goodput", goodput if known else without_bottom(goodput), window.height)


def _like(took: pl.Series) -> st.Array | None:
    """How long each request took, if that is known of all."""
    return None if took.null_count() else took.to_numpy().astype(np.float64)


def _of_known(
    window: pl.DataFrame, limited: list[Metric], limits: list[float]
) -> tuple[pl.DataFrame, list[pl.Expr]] | None:
    """(the rows that can be judged, the rows within each limit); None if no success has one of the figures. A success without a
    figure breaks no limit on it: without a TPOT since nothing came after its first message, it keeps one; else it is left out."""
    ok = pl.col("outcome") == "ok"
    within, unknown = [], []
    for metric, limit in zip(limited, limits, strict=True):
        value = felt(metric)
        no_pace = pl.lit(metric.name == "tpot_s") & value.is_null() & pl.col("ttft_s").is_not_null() & ~AT_ONCE
        within.append(((value <= limit) | no_pace).fill_null(False))
        unknown.append(ok & value.is_null() & ~no_pace)
    successes = window.filter(ok)
    if successes.height and any(successes.select(lost.all()).item() for lost in unknown):
        return None
    broken = [~good & ~lost for good, lost in zip(within, unknown, strict=True)]
    left_out = pl.any_horizontal(*unknown) & ~pl.any_horizontal(*broken)
    return window.filter(~left_out), within


def misses(window: pl.DataFrame, slo: Mapping[str, float]) -> dict[str, float]:
    """Why requests are not within the limits: of the requests that goodput judges, the share that is over each limit, by its name,
    and the share that `failed`. A request may be over several limits; shares of 0 are left out."""
    seen = _against_limits(window, pl.col("outcome") == "cancelled", slo)
    judged = None if seen is None else seen.filter(~pl.col("open"))
    if judged is None or not judged.height:
        return {}
    shares = {name: float(judged[f"over {name}"].mean() or 0.0) for name in slo}  # type: ignore[arg-type]
    shares["failed"] = float(judged["failed"].mean() or 0.0)  # type: ignore[arg-type]
    return {name: share for name, share in shares.items() if share}


def _against_limits(window: pl.DataFrame, cut: pl.Expr, slo: Mapping[str, float]) -> pl.DataFrame | None:
    """Each request that can be judged: repeat, took (s), whether it is `good`, `failed`, "over" each limit, and `open`: it was cut
    before anybody could know. None if no success has one of the figures."""
    kept = [METRICS[headline(name, str(window["load"][0]))] if window.height else METRICS[name] for name in slo]
    known = _of_known(window, kept, list(slo.values()))
    if known is None:
        return None
    window, within = known
    waited = {
        m.name: (pl.coalesce(m.expression, pl.col("end_s") - pl.col(CENSORED[m.name][1])) > limit).fill_null(False)
        for m, limit in zip(kept, slo.values(), strict=True)
        if m.name in CENSORED
    }
    ok, never = pl.col("outcome") == "ok", pl.lit(False)
    over = {
        f"over {name}": (ok & ~good) | (cut & waited.get(m.name, never))
        for name, m, good in zip(slo, kept, within, strict=True)
    }
    good = ok & pl.all_horizontal(pl.lit(True), *within)
    open_yet = cut & ~pl.any_horizontal(never, *waited.values())
    took = pl.col("end_s") - pl.col("start_s")
    return window.select("repeat", good=good, open=open_yet, took=took, failed=~ok & ~cut, **over)


def _goodput(window: pl.DataFrame, cut: pl.Expr, slo: Mapping[str, float]) -> Estimate:
    """The share within every limit. A cut request that was over a limit when it was cut is bad. Other cut requests are unknown:
    the low bound counts them as bad, the high bound as good."""
    seen = _against_limits(window, cut, slo)
    if seen is None:
        return st.NOTHING

    def share(frame: pl.DataFrame, values: pl.Series) -> Estimate:
        return st.fraction(values.to_numpy(), frame["repeat"].to_numpy(), _like(frame["took"]))

    judged = seen.filter(~pl.col("open"))
    value = share(judged, judged["good"])
    if judged.height == seen.height:
        return value
    low, high = share(seen, seen["good"]), share(seen, seen["good"] | seen["open"])
    return Estimate(value.value, low.low, high.high, value.n, f"{value.how}; {seen.height - judged.height} cut")


def judged(rows: pl.DataFrame, slo: Mapping[str, float]) -> pl.Series:
    """For each row of one load whether it is within every limit: 1 or 0; null if unknown. A failure is 0. A cut request is 0 if
    it was over a limit when it was cut. A success that lacks a figure is 0 if it missed another limit."""
    ok, cut = pl.col("outcome") == "ok", pl.col("outcome") == "cancelled"
    never, broken, unknown, waited = pl.lit(False), [], [], []
    for name, limit in slo.items():
        metric = METRICS[headline(name, str(rows["load"][0]))] if rows.height else METRICS[name]
        value = felt(metric)
        no_pace = pl.lit(metric.name == "tpot_s") & value.is_null() & pl.col("ttft_s").is_not_null() & ~AT_ONCE
        lost = value.is_null() & ~no_pace
        broken.append(ok & ~lost & ~((value <= limit) | no_pace).fill_null(False))
        unknown.append(ok & lost)
        if metric.name in CENSORED:
            least = pl.coalesce(metric.expression, pl.col("end_s") - pl.col(CENSORED[metric.name][1]))
            waited.append((least > limit).fill_null(False))
    bad = pl.any_horizontal(never, *broken) | (~ok & ~cut) | (cut & pl.any_horizontal(never, *waited))
    open_yet = ~bad & (cut | pl.any_horizontal(never, *unknown))
    return rows.select(pl.when(open_yet).then(None).otherwise((~bad).cast(pl.Float64)).alias("good"))["good"]
