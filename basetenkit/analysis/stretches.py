"""The stretch of time that a level's rates cover, and the counts in equal parts of it.

A rate is a count over a fixed stretch of time, including requests of the ramp and of the cooldown, because the server works for
them, too. Tokens count when they arrived and not when their request ended: the 800 tokens of one request do not count at one
moment. If a level was ended by time, the stretch lasts until that moment, so a server that froze has a lower rate. The stretch
is divided into PARTS equal parts, and their counts give the interval (Law, Simulation Modeling and Analysis, 2015, section
9.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..results.manifest import LevelEntry
from ..results.schema import LEVEL, UNIT, is_open_loop
from ..stats.intervals import LEAST

PARTS = 20
# How long an open loop takes to fill: percentiles of E2E of the first tenth that was sent.
EARLY, LONG, MOSTLY = 0.1, 0.95, 0.8
SILENT = 0.05  # of a level's time, at its end
Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """(from_s, until_s] of one repeat, s since the level's start."""

    repeat: int
    from_s: float
    until_s: float

    @property
    def seconds(self) -> float:
        return self.until_s - self.from_s


def stretches(rows: pl.DataFrame, entries: Sequence[LevelEntry] = ()) -> list[Stretch]:
    """One for each repeat of a level that has any. `rows`: all of the level's; `entries`: its entries of
    run.manifest.levels. An open loop that was shorter than its own responses has none: see `too_short`."""
    return [found for found, short in _all(rows, entries) if not short]


def too_short(rows: pl.DataFrame, entries: Sequence[LevelEntry] = ()) -> Stretch | None:
    """The part of an open loop after it has filled, if that is less than half of the time in which requests were sent:
    its rates would be of the filling. None if every repeat is long enough."""
    return next((found for found, short in _all(rows, entries) if short), None)


def sending(rows: pl.DataFrame) -> list[tuple[Stretch, bool]]:
    """Of each repeat of an open loop the time in which it shows whether the endpoint keeps up: from when it was full until its last
    request was sent, cooldown and all, but at most without the first third. And whether it was mostly full by then; if not,
    requests in flight may rise for that reason alone."""
    rows = rows.filter(pl.col("start_s").is_not_null() & (pl.col("phase") != "preflight"))
    out = []
    for (repeat,), part in rows.group_by("repeat", maintain_order=True):
        first, last = _number(part["start_s"].min()) or 0.0, _number(part["start_s"].max()) or 0.0
        full = first + _ramp(part, MOSTLY)
        begun = _number(part.filter(pl.col("phase") == "measured")["start_s"].min()) or first
        begun = max(begun if (part["phase"] == "ramp").any() else first, min(full, first + (last - first) / 3))
        if begun < last:
            out.append((Stretch(int(str(repeat)), begun, last), begun >= full))
    return out


def _all(rows: pl.DataFrame, entries: Sequence[LevelEntry]) -> list[tuple[Stretch, bool]]:
    known = {entry.repeat: entry for entry in entries}
    rows = rows.filter(pl.col("start_s").is_not_null() & (pl.col("phase") != "preflight"))
    out = []
    for (repeat,), part in rows.group_by("repeat", maintain_order=True):
        found = _of_repeat(part, known.get(repeat))
        if found is not None and (found[2] or found[1] > found[0]):
            first, until, short = found
            out.append((Stretch(repeat, first, until), short))
    return out


def _of_repeat(part: pl.DataFrame, entry: LevelEntry | None) -> tuple[float, float, bool] | None:
    """(from, until, whether the level was shorter than its responses)."""
    inside = part.filter("in_window")
    first, last = _number(inside["start_s"].min()), _number(inside["start_s"].max())
    cut = _cut(part, entry)
    if cut is not None and _from_its_start(part, cut):
        return 0.0, cut, False
    if first is None or last is None:
        return None
    measured = part.filter(pl.col("phase") == "measured")
    steady = part["phase"].is_in(["ramp", "cooldown"]).any()
    whole = steady and measured["in_window"].all()
    after = _number(part.filter(pl.col("start_s") > last)["start_s"].min())
    if cut is not None and cut > last:
        until = cut
    elif whole or is_open_loop(part):
        until = last
    else:
        until = after if after is not None else _number(inside["end_s"].max()) or last
    if not is_open_loop(part):
        return first, until, False
    filled = max(first, (_number(part["start_s"].min()) or 0.0) + _ramp(part))
    return filled, until, until - filled < (until - first) / 2


def _from_its_start(part: pl.DataFrame, cut: float) -> bool:
    """Whether a level that was ended counts from its start: what it completed over how long it ran. A closed loop does. An open
    loop begins empty, so it does only if nothing ended any more for long before the cut: its endpoint had frozen."""
    if not is_open_loop(part):
        return True
    ok = part.filter(pl.col("outcome") == "ok")
    longest = _number(ok.select((pl.col("end_s") - pl.col("start_s")).max()).item()) or 0.0
    return cut - (_number(ok["end_s"].max()) or 0.0) > max(2 * longest, SILENT * cut)


def _cut(part: pl.DataFrame, entry: LevelEntry | None) -> float | None:
    """When a level was ended with measured requests in flight or unsent: what had come by then is all there is."""
    ended = part.filter((pl.col("outcome") == "cancelled") & (pl.col("phase") == "measured"))["end_s"].max()
    known = None if entry is None else entry.cut_s
    return _number(ended) if known is None else known


def _ramp(part: pl.DataFrame, share: float = LONG) -> float:
    """How long an open loop takes to fill. Of its early requests: an endpoint that cannot keep up is as busy as it will be
    long before its queue stops growing."""
    early = part.sort("start_s").head(max(LEAST, int(EARLY * part.height))).filter(pl.col("outcome") == "ok")
    return _number(early.select((pl.col("end_s") - pl.col("start_s")).quantile(share)).item()) or 0.0


def _number(x: Any) -> float | None:
    return None if x is None else float(x)


def counted(rows: pl.DataFrame, at: str, of: Sequence[Stretch], weight: pl.Expr) -> list[Counts]:
    """What came in each part of each stretch: the `weight` of the rows whose moment `at` lies in it."""
    frame = rows.select("repeat", at=pl.col(at), weight=weight.cast(pl.Float64)).drop_nulls()
    return [_binned(frame.filter(pl.col("repeat") == s.repeat), s) for s in of]


def _binned(frame: pl.DataFrame, of: Stretch) -> Counts:
    seen = frame.filter((pl.col("at") > of.from_s) & (pl.col("at") <= of.until_s))
    part = np.ceil((seen["at"].to_numpy() - of.from_s) / of.seconds * PARTS).astype(np.int64) - 1
    counts: Counts = np.bincount(part.clip(0, PARTS - 1), seen["weight"].to_numpy(), PARTS).astype(np.float64)
    return counts


def tokens_as_they_came(
    rows: pl.DataFrame, chunks: pl.LazyFrame | None, of: Mapping[tuple[Any, ...], Sequence[Stretch]]
) -> dict[tuple[Any, ...], list[Counts]]:
    """Output tokens that came in each part of each stretch of each level, of all requests that succeeded or were cut.

    A chunk holds the share of its response's output tokens that its text is of the response's text; by the chunk's own tokens
    when they are known, and equal shares when any chunk's text is not. A response without chunks counts when it ended. The
    chunks are never all in memory.
    """
    kept = rows.filter(pl.col("outcome").is_in(["ok", "cancelled"]) & (pl.col("output_tokens") > 0))
    sums = pl.DataFrame() if chunks is None else _sums(chunks, kept)
    whole = kept.join(sums, on="request_id", how="anti") if sums.height else kept
    whole = whole.filter(pl.col("outcome") == "ok")
    out = {}
    for key, mine in of.items():
        level = whole.filter(pl.all_horizontal(pl.col(c) == k for c, k in zip(LEVEL, key, strict=True)))
        out[key] = counted(level, "end_s", mine, pl.col("output_tokens"))
    if chunks is None or not sums.height:
        return out
    places = [(key, i, s) for key, mine in of.items() for i, s in enumerate(mine)]
    bounds = pl.DataFrame(
        [(*key, s.repeat, place, s.from_s, s.seconds) for place, (key, _, s) in enumerate(places)],
        schema={**{c: rows.schema[c] for c in UNIT}, "place": pl.Int64, "from_s": pl.Float64, "seconds": pl.Float64},
        orient="row",
    )
    responses = (
        kept.select("request_id", *UNIT, "sent_s", "output_tokens").join(sums, on="request_id").join(bounds, on=UNIT)
    )
    for place, part, tokens in _by_part(chunks, responses.drop(UNIT)).iter_rows():
        key, i, _ = places[place]
        out[key][i][min(max(part, 0), PARTS - 1)] += tokens
    return out


def _by_part(chunks: pl.LazyFrame, responses: pl.DataFrame) -> pl.DataFrame:
    """(place, part, tokens) of the chunks that came within the stretch of their response."""
    text = pl.col("text_end") - pl.col("text_start")
    own = pl.when(pl.col("by") == 0).then("tokens").when(pl.col("by") == 1).then(text).otherwise(1).cast(pl.Float64)
    return (
        chunks.select("request_id", "arrival_s", "tokens", "text_start", "text_end")
        .join(responses.lazy(), on="request_id")
        .with_columns(since=pl.col("sent_s") + pl.col("arrival_s") - pl.col("from_s"))
        .filter((pl.col("since") > 0) & (pl.col("since") <= pl.col("seconds")))
        .group_by("place", part=(pl.col("since") / pl.col("seconds") * PARTS).ceil().cast(pl.Int32) - 1)
        .agg(tokens=(pl.col("output_tokens") * own / pl.col("total")).sum())
        .collect(engine="streaming")
    )


def _sums(chunks: pl.LazyFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """How each response's tokens are shared out among its chunks: `by` 0 their own tokens, 1 their text, 2 equally; `total`."""
    text = pl.col("text_end") - pl.col("text_start")
    tokens, letters = pl.col("tokens").sum(), text.sum()
    by_tokens = (pl.col("tokens").null_count() == 0) & (tokens > 0)
    by_text = (text.null_count() == 0) & (letters > 0)
    by = pl.when(by_tokens).then(0).when(by_text).then(1).otherwise(2)
    total = pl.when(by_tokens).then(tokens).when(by_text).then(letters).otherwise(pl.len()).cast(pl.Float64)
    sums = chunks.drop_nulls("arrival_s").group_by("request_id").agg(by=by, total=total)
    return sums.join(kept.lazy().select("request_id"), on="request_id", how="semi").collect(engine="streaming")
