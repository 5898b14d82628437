"""What a level shows about the endpoint: whether it was stable, kept up, was nearly full, or served one request at a time.

Trends are searched in 20 batch means and never in raw requests, which depend on each other and would cause a false alarm in
every second run. No test distinguishes a drift from a trend, and if no trend is found, there may still be one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from ..config.loads import LevelKey
from ..core.findings import Finding, finding
from ..core.types import NewRow
from ..results.schema import OPEN_LOOP, is_open_loop
from ..stats.intervals import Array, batch_means, lag_one, mann_kendall
from .relaxation import LOOKS_AT_A_QUEUE, QUEUES, looks
from .stretches import too_short
from .sweep import at_each_start, falls_behind, full

BATCHES, TREND_P = 20, 0.01
MATTERS = 0.005  # means that differ by less than half a percent are alike to any reader
LEAST_TIMES = 25  # correlation times in a run, below which its interval describes that stretch of time only
LAG_ONE = 0.40  # of 20 independent means one in thirty shows more; 25 correlation times show 0.29
FULL, WAITING = 0.80, 0.2
SERIAL_WAVE, SERIAL_LEAST, SAME_LENGTH = 0.75, 4, 1.25
WRITING, OVERLAP = 0.3, 0.2
LONG_PROMPT = 1000  # tokens; reading fewer takes little of a request's time
FEW_REPEATS = 5
SERIES = {"e2e_s": "E2E", "ttft_s": "TTFT"}


def of_behaviour(where: str, rows: pl.DataFrame) -> Iterator[Finding]:
    """Findings of one (scenario, load, level), all its repeats."""
    if (short := too_short(rows)) is not None:
        begun = float(rows["start_s"].min())  # type: ignore[arg-type]
        yield finding("level_too_short", where=where, ramp_s=short.from_s - begun, sent_s=short.until_s - begun)
    ok = rows.filter(pl.col("in_window") & (pl.col("outcome") == "ok")).sort("start_s")
    repeats = rows["repeat"].n_unique()
    if 1 < repeats < FEW_REPEATS:
        yield finding("few_repeats", where=where, n=repeats, least=FEW_REPEATS)
    if is_open_loop(rows) and (behind := falls_behind(rows.sort("start_s"))):
        yield finding("falls_behind", where=where, early=behind[0], late=behind[1])
    elif repeats == 1:
        yield from _of_time(where, ok)
    if is_open_loop(rows) and _waiting(rows, ok):
        yield finding("ttft_waiting", where=where)
    if (times := _one_by_one(rows)) is not None:
        first, last, c = times
        yield finding("serialised", where=where, what=_wave_words(first, last, c))


def _of_time(where: str, ok: pl.DataFrame) -> Iterator[Finding]:
    """A trend, or else a correlation that lasts too long for the run; of the first series that shows either."""
    seen = [(title, means) for column, title in SERIES.items() if (means := _course(ok, column)) is not None]
    for title, means in seen:
        tau, p = mann_kendall(means)
        if p < TREND_P:
            percent = f"{100 * (float(means[-5:].mean()) / float(means[:5].mean()) - 1):+.0f}"
            yield finding("trend", where=where, what=title, percent=percent, tau=f"{tau:+.2f}", p=f"{p:.2g}")
            return
    for title, means in seen:
        if (phi := lag_one(means)) > LAG_ONE:
            seconds = float(ok["start_s"][-1] - ok["start_s"][0])
            lasts = seconds / BATCHES / -math.log(min(phi, 0.99))
            told = {"seconds": seconds, "lasts": lasts, "least": LEAST_TIMES, "need": math.ceil(LEAST_TIMES * lasts)}
            yield finding("short_run", where=where, what=title, **told)
            return


def _course(ok: pl.DataFrame, column: str) -> Array | None:
    """Batch means of a latency, of a conversation's turn relative to others of that turn: all conversations begin at turn 1, and
    later turns are longer. None if there are too few values, or if they hardly differ."""
    value = pl.col(column)
    alike = pl.when(pl.col("turn").is_null()).then(value).otherwise(value / value.mean().over("turn") * value.mean())
    means = batch_means(ok.select(alike).to_series().drop_nulls().to_numpy(), BATCHES)
    return means if means is not None and means.std() > MATTERS * abs(means.mean()) else None


def _waiting(rows: pl.DataFrame, ok: pl.DataFrame) -> bool:
    """Whether requests of an open loop waited in a queue of which the run has seen little: TTFT spreads widely, and with how many
    others were in flight."""
    if ok["ttft_s"].count() < 100 or rows["repeat"].n_unique() > 1:
        return False
    before = rows.drop_nulls("start_s").sort("start_s").with_columns(others=np.concatenate(at_each_start(rows)))
    seen = before.filter(pl.col("in_window") & (pl.col("outcome") == "ok")).drop_nulls("ttft_s")
    low, high = (seen["ttft_s"].quantile(q) or 0.0 for q in (0.1, 0.95))
    if low <= 0 or high <= QUEUES * low:
        return False
    rho = seen.select(pl.corr("ttft_s", "others", method="spearman")).item()
    return rho is not None and rho > WAITING and (looks(rows) or LOOKS_AT_A_QUEUE) < LOOKS_AT_A_QUEUE


def near_capacity(summary: pl.DataFrame) -> Iterator[Finding]:
    """Levels of an open loop that were offered over 80% of what the endpoint was seen to serve at most, if that is known: if
    another level of the same scenario proves that it was offered more than it served."""
    levels = summary.filter(OPEN_LOOP & pl.col("requests_per_s").is_not_null())
    for _, part in levels.group_by("scenario", maintain_order=True):
        most = max((row["requests_per_s"] for row in part.iter_rows(named=True) if full(row)), default=None)
        if most is None:
            continue
        for row in part.iter_rows(named=True):
            share = (row.get("offered_per_s") or row["level"]) / most
            if FULL <= share <= 1 and not full(row):
                where = str(LevelKey.of(row))
                yield finding("near_capacity", where=where, percent=100 * share)


def _one_by_one(rows: pl.DataFrame) -> tuple[float, float, int] | None:
    """(first, last, C) E2E in s of a closed loop's first wave, where its requests, of one length and sent together, ended
    one after the other: a server that works on all at once ends them together."""
    c = int(rows["level"][0])
    if is_open_loop(rows) or c < SERIAL_LEAST:
        return None
    for _, part in rows.group_by("repeat", maintain_order=True):
        wave = part.drop_nulls("start_s").sort("start_s").head(c)
        e2e = np.sort(wave["e2e_s"].drop_nulls().to_numpy())
        if len(e2e) < c or not (wave["outcome"] == "ok").all() or not _same_length(wave):
            return None
        sent_within = float(wave["start_s"][-1] - wave["start_s"][0])
        places = np.arange(1, c + 1)
        straight = float(np.corrcoef(places, e2e)[0, 1]) if e2e.std() > 0 else 0.0
        if not (e2e[-1] > SERIAL_WAVE * c * e2e[0] and straight > 0.98 and sent_within < e2e[0] and _in_turns(wave)):
            return None
    return float(e2e[0]), float(e2e[-1]), c


def _in_turns(wave: pl.DataFrame) -> bool:
    """Whether no response of a wave was written while another was, and writing is a good part of the work: a server that reads
    long prompts one after the other and writes all answers together looks the same from E2E alone."""
    streamed = wave.drop_nulls(["ttft_s", "sent_s"])
    if streamed.height < wave.height:
        return True  # not streamed: E2E is all that is known
    spans = streamed.select(
        first=pl.col("sent_s") + pl.col("ttft_s"), last=pl.col("sent_s") + pl.col("e2e_s"), e2e="e2e_s"
    )
    spans = spans.sort("first").with_columns(writing=pl.col("last") - pl.col("first"))
    long = float(wave["input_tokens"].median() or 0) >= LONG_PROMPT  # type: ignore[arg-type]
    if long and spans["writing"][0] < WRITING * spans["e2e"][0]:
        return False
    overlap = (spans["last"].shift(1) - spans["first"]).clip(0).median()
    return float(overlap or 0) < OVERLAP * float(spans["writing"].median() or 0)  # type: ignore[arg-type]


def _same_length(wave: pl.DataFrame) -> bool:
    tokens = wave["output_tokens"].drop_nulls().to_numpy()
    return len(tokens) == wave.height and float(tokens.max()) <= SAME_LENGTH * float(max(tokens.min(), 1))


def _wave_words(first: float, last: float, c: int) -> str:
    ended = f"the first ended after {first * 1e3:.3g} ms and the last after {last * 1e3:.3g} ms"
    return f"of the first {c} requests, sent together, {ended}"


def flat_throughput(summary: pl.DataFrame, told: set[str]) -> Iterator[Finding]:
    """Closed loops whose throughput did not rise from one or two in flight to four times as many and more, while latency rose
    with them. One finding a scenario, of its highest level; none for those in `told`, where the first wave said so."""
    levels = summary.filter(~OPEN_LOOP & (pl.col("requests_per_s") > 0) & (pl.col("e2e_s_p50") > 0))
    for _, part in levels.group_by("scenario", maintain_order=True):
        low, high = (part.sort("level").row(i, named=True) for i in (0, -1))
        where, times = str(LevelKey.of(high)), high["level"] / low["level"]
        if low["level"] > 2 or times < SERIAL_LEAST or where in told:
            continue
        gain, slower = (high[k] / low[k] for k in ("requests_per_s", "e2e_s_p50"))
        if gain < 1.2 and slower > 0.6 * times and not _bound_by_prompts(low, high):
            yield finding("serialised", where=where, what=_flat_words(low, high, slower))


def _bound_by_prompts(low: NewRow, high: NewRow) -> bool:
    """Whether reading the prompts explains a flat throughput: alone, a request spends little time on writing; or in company its
    writing takes longer, as that of a server that batches does while others are read."""
    alone, together = low["output_latency_s_p50"], high["output_latency_s_p50"]
    tokens = low["input_tokens"]
    if not alone or together is None or tokens is None or tokens < LONG_PROMPT * low["in_window"]:
        return False  # short prompts; or nothing was streamed, and E2E is all that is known
    return bool(alone < WRITING * low["e2e_s_p50"] or together > 2 * alone)


def _flat_words(low: dict[str, object], high: dict[str, object], slower: float) -> str:
    return (
        f"{high['requests_per_s']:.3g} requests/s against {low['requests_per_s']:.3g} with {low['level']:g} in flight, "
        f"while E2E is {slower:.1f} times as long"
    )
