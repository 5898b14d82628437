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

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.load, self.n, self.good, self.design, self.abandoned)

    def evidence_with(self, unknown_good: bool) -> Evidence:
        """The same if all requests that could not be judged were good, or bad."""
        more = self.unknown if unknown_good else 0
        return Evidence(self.load, self.n + self.unknown, self.good + more, self.design, self.abandoned)

    @property
    def block(self) -> cs.Block:
        return cs.Block(self.evidence, self.p95_s)

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
    config: RunConfig, ask: cs.Ask, goodput: float, folder: Path | Storage | None, watch: Watch
) -> tuple[Run, bool]:
    """(the block's run, whether it was ended early). `config`: with the block's load and number of requests."""
    live, growth, looks, hopeless = start(config, save_to=folder), InFlight(), 0, False
    try:
        while not live.done:
            await live.wait_async(LOOK_S)
            seen, looks = live.progress, looks + 1
            watch(seen)
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
    known = good.drop_nulls().to_numpy()
    evidence = evidence_of(ask.load, known, abandoned)
    ok = rows.filter(pl.col("outcome") == "ok")
    p95 = ok["e2e_s"].quantile(0.95) if ok.height else None
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
    )


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


async def until_idle(config: RunConfig, limit_s: float, p95_s: float, tries: int) -> int:
    """Waits after an overload: twice the 95th percentile of E2E, then single requests until one is as quick as on an idle
    endpoint. Returns how many requests that took."""
    await asyncio.sleep(2 * p95_s)
    for sent in range(1, tries + 1):
        run = await start(config.with_(concurrency=[1], request_rate=[], max_requests=1))
        took = run.rows.filter(pl.col("outcome") == "ok")["e2e_s"].max()
        if isinstance(took, float) and took <= limit_s:
            return sent
        await asyncio.sleep(p95_s)
    return tries
