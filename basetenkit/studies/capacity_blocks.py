"""One block of a search for a capacity on a real endpoint: sent, watched, ended early if it is hopeless, and judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from ..analysis.cost import spent
from ..analysis.rates import judged
from ..config.run_config import RunConfig
from ..core.types import JsonObject
from ..runs import Run
from ..session import LiveRun, start
from ..stats import capacity_search as cs
from ..stats.capacity import Evidence, evidence_of, growing
from ..storage.address import Storage

LOOK_S, JUDGE_EVERY = 0.05, 20  # how often a block is watched, and every how many looks its rows are judged
AFTER_OVERLOAD = 10  # single requests after an overload, whose times show whether the endpoint stayed slower
REFUSED = (429, 503, 529)
Watch = Callable[[JsonObject], None]


@dataclass(frozen=True)
class BlockRecord:
    """What a block left, as it is saved. Times in s; `tokens` of its successes; `reasons`: bad requests by their reason."""

    load: float
    kind: str
    seconds: float
    sent: int
    n: int
    good: float
    unknown: int
    design: float | None
    abandoned: bool
    p95_s: float | None
    reached_per_s: float | None
    tokens: int
    usd: float | None
    reasons: dict[str, int] = field(default_factory=dict)
    singles: list[float] = field(default_factory=list)  # how long single requests took after it: see `pace`
    sessions: int | None = None  # judged conversations, which then are what `n` counts

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.load, self.n, self.good, self.design, self.abandoned)

    def evidence_with(self, unknown_good: bool) -> Evidence:
        """The same if all requests that could not be judged were good, or bad."""
        more = self.unknown if unknown_good else 0
        return Evidence(self.load, self.n + self.unknown, self.good + more, self.design, self.abandoned)

    @property
    def block(self) -> cs.Block:
        return cs.Block(self.evidence, self.p95_s, self.singles)

    def saved(self) -> JsonObject:
        return asdict(self)

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        return cls(**saved)


class InFlight:
    """Requests in flight when each request was sent, from looks at a level's counts."""

    def __init__(self) -> None:
        self._seen = np.zeros(0)

    def look(self, sent: int, in_flight: int) -> int | None:
        """At which request the block is overloaded, if it is."""
        if sent > len(self._seen):
            self._seen = np.append(self._seen, np.full(sent - len(self._seen), float(in_flight)))
        return growing(self._seen)


async def perform(
    config: RunConfig,
    ask: cs.Ask,
    goodput: float,
    folder: Path | Storage | None,
    watch: Watch,
    stopped: Callable[[], bool] = lambda: False,
    cluster: object = None,
) -> tuple[Run, bool]:
    """(the block's run, whether it was ended early). `config`: with the block's load and number of requests. It ends at once if
    `stopped` says so; `cluster`: as in `bk.run`."""
    live, growth, looks, hopeless = start(config, save_to=folder, cluster=cluster), InFlight(), 0, False
    try:
        while not live.done:
            await live.wait_async(LOOK_S)
            seen, looks = live.progress, looks + 1
            watch(seen)
            if stopped() and not hopeless:
                hopeless = True
                live.stop("the search was stopped")
            if hopeless or not seen["level"]:
                continue
            growing = config.request_rate and growth.look(seen["sent"], seen["in_flight"]) is not None
            if growing or (looks % JUDGE_EVERY == 0 and _too_many_bad(live, ask, goodput)):
                hopeless = True
                live.stop("this load is hopeless")
        return live.result(), hopeless
    finally:
        if not live.done:
            live.stop("the search was stopped")
            live.wait(5)


def _too_many_bad(live: LiveRun, ask: cs.Ask, goodput: float) -> bool:
    rows = live.requests_without_text.sort("start_s", nulls_last=True)[ask.warm_up // 2 :]
    return int((judged(rows, live.config.slo) == 0).sum()) > cs.most_bad(ask, goodput)


def record(run: Run, ask: cs.Ask, abandoned: bool, seconds: float) -> BlockRecord:
    """Judges a block's requests in start order, the warm-up left out."""
    rows = run.rows.sort("start_s", nulls_last=True)
    skip = cs.kept_of_abandoned(ask, rows.height) if abandoned else ask.warm_up
    window = rows[skip:]
    good = judged(window, run.config.slo)
    talks = by_conversation(window, good)
    known = (good.drop_nulls() if talks is None else talks).to_numpy()
    evidence = evidence_of(ask.load, known, abandoned)
    ok = rows.filter(pl.col("outcome") == "ok")
    p95 = session_lengths(ok).quantile(0.95) if ok.height else None
    served = ok["end_s"].max() if ok.height else None
    price = run.config.price
    return BlockRecord(
        ask.load,
        ask.kind.value,
        seconds,
        rows.height,
        evidence.n,
        evidence.good,
        good.null_count(),
        evidence.design,
        abandoned,
        p95,
        ok.height / served if isinstance(served, float) and served > 0 else None,
        int(ok["input_tokens"].fill_null(0).sum()) + int(ok["output_tokens"].fill_null(0).sum()),
        None if price is None else spent(rows, [seconds], price),
        _reasons(window.filter(good == 0), run.config.slo),
        sessions=None if talks is None else len(talks),
    )


def by_conversation(window: pl.DataFrame, good: pl.Series) -> pl.Series | None:
    """Of each conversation, in the order in which they began: the share of its judged turns that were good; None if there are no
    conversations. Turns of a conversation share its history and its cache, so it counts as one observation."""
    if "conversation_id" not in window.columns or not window["conversation_id"].count():
        return None
    turns = window.select("conversation_id", good=good).drop_nulls()
    return turns.group_by("conversation_id", maintain_order=True).agg(pl.col("good").mean())["good"]


def session_lengths(ok: pl.DataFrame) -> pl.Series:
    """Seconds from the first send to the last end of each conversation, or E2E of single requests."""
    if "conversation_id" not in ok.columns or not ok["conversation_id"].count():
        return ok["e2e_s"]
    spans = ok.group_by("conversation_id").agg(took=pl.col("end_s").max() - pl.col("start_s").min())
    return spans["took"].fill_null(0.0)


def pace(rows: pl.DataFrame) -> list[float]:
    """How long single requests took, per successful one: TPOT in s if all have one, since lengths differ; else E2E in s."""
    ok = rows.filter(pl.col("outcome") == "ok")
    name = "tpot_s" if ok.height and not ok["tpot_s"].null_count() else "e2e_s"
    return [float(took) for took in ok[name].drop_nulls() if took > 0]


def _reasons(bad: pl.DataFrame, slo: Mapping[str, float]) -> dict[str, int]:
    """Bad requests by the first reason that holds."""
    late = [pl.col(name) > limit for name, limit in slo.items() if name in ("ttft_s", "first_content_s")]
    slow = [pl.col(name) > limit for name, limit in slo.items() if name == "tpot_s"]
    long = [pl.col(name) > limit for name, limit in slo.items() if name == "e2e_s"]
    ok, no = pl.col("outcome") == "ok", pl.lit(False)
    reason = (
        pl.when(pl.col("status").is_in(REFUSED))
        .then(pl.lit("refused"))
        .when(pl.col("outcome") == "cancelled")
        .then(pl.lit("cut"))
        .when(~ok)
        .then(pl.lit("failed"))
        .when(pl.any_horizontal(no, *late))
        .then(pl.lit("late first token"))
        .when(pl.any_horizontal(no, *slow))
        .then(pl.lit("slow tokens"))
        .when(pl.any_horizontal(no, *long))
        .then(pl.lit("slow response"))
        .otherwise(pl.lit("late send or first token"))
    )
    counts = bad.select(reason=reason)["reason"].value_counts(sort=True)
    return {str(name): int(n) for name, n in counts.iter_rows()}


async def until_idle(config: RunConfig, limit_s: float, p95_s: float, tries: int) -> pl.DataFrame:
    """Waits after an overload: twice the 95th percentile of E2E, then single requests until one is as quick as on an idle
    endpoint, and then AFTER_OVERLOAD of them. Returns the rows of all of these."""
    await asyncio.sleep(2 * p95_s)
    one, rows = config.with_(concurrency=[1], request_rate=[], max_requests=1), []
    for _ in range(tries):
        rows.append((await start(one)).rows)
        took = rows[-1].filter(pl.col("outcome") == "ok")["e2e_s"].max()
        if isinstance(took, float) and took <= limit_s:
            break
        await asyncio.sleep(p95_s)
    rows.append((await start(one.with_(max_requests=AFTER_OVERLOAD, salt=f"{config.salt}-after"))).rows)
    return pl.concat(rows, how="diagonal_relaxed")
