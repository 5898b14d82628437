"""Does the search for a capacity find what is true? Hundreds of searches in virtual time, on servers whose true capacity is known
from long simulations.

    uv run --with numba python -m tests.benchmarks.capacity                 # all servers, 15,000 requests a search
    uv run --with numba python -m tests.benchmarks.capacity --searches 20 clean stalls

The settings of the method are those of basetenkit/stats/capacity.py and capacity_search.py. The seeds begin at FIRST_SEED,
which was drawn after the settings were frozen. docs/concepts/capacity.md has the table.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from basetenkit.emulator.virtual import Virtual
from basetenkit.stats import capacity_search as cs
from basetenkit.stats.capacity import evidence_of, growing
from tests.benchmarks.capacity_engine import ENGINES, engine_block, engine_truth, mix_of, single_times
from tests.benchmarks.capacity_servers import (
    SERVERS,
    Array,
    Server,
    block,
    truth,
    world_of,
)

EVERY = SERVERS | ENGINES
FIRST_SEED = 0  # `--seed` sets it
LEAST_GOOD = 0.5  # of a session's turns; fewer make it bad when a block is given up
SINGLES, AFTER_OVERLOAD = 20, 10  # single requests before the search, and after an overload


@dataclass
class Bench:
    """One search on one server. Drift and stalls go on while blocks follow each other."""

    server: Server
    goodput: float
    budget: float
    seed: int
    sent: int = 0
    at_s: float = 0.0
    blocks: int = 0
    factor: float = 1.0
    loads: list[float] = field(default_factory=list)
    virtual: Virtual | None = None

    def run(self) -> cs.Answer:
        world = world_of(self.server, self.seed * 13 + 5)
        units = self.budget / self.server.turns
        rules = cs.Rules(self.goodput, lambda _: units, lambda _: units - self.sent, users=self.server.users)
        if self.server.engine is not None:
            self.virtual = Virtual(self.server.engine, mix_of(self.server), self.seed * 13 + 5)
        search = cs.Search(rules, self.server.light_s * (2 * self.server.turns - 1), self._singles(SINGLES, world))
        while (ask := search.next()) is not None:
            search.take(self.perform(ask, world))
        assert search.answer is not None
        return search.answer

    def _singles(self, n: int, world: tuple[Array, Array]) -> list[float]:
        """Seconds per token of single requests, as `bk.capacity` sends them."""
        if self.virtual is None:
            return single_times(self.server, self.seed * 1000 + 500 + self.blocks, n, self.at_s, world, self.factor)
        jobs = self.virtual.closed_loop(1, n)[:n]
        return [((j.end_s or 0.0) - (j.first_s or 0.0)) / (j.output - 1) for j in jobs if j.first_s and j.output > 1]

    def perform(self, ask: cs.Ask, world: tuple[Array, Array]) -> cs.Block:
        self.blocks += 1
        n, seed = ask.total, self.seed * 1000 + self.blocks
        if self.virtual is not None:
            arrival, first, end, good = engine_block(self.virtual, self.server, n, ask.load)
        else:
            arrival, first, end, good = block(self.server, seed, n, ask.load, self.at_s, world, self.factor)
        cut = self._given_up(ask, arrival, first, end, good)
        abandoned = cut < n
        skipped = cs.kept_of_abandoned(ask, cut) if abandoned else ask.warm_up
        judged = good[skipped:cut]
        judged = judged[~np.isnan(judged)]
        took = (end - arrival)[:cut][first[:cut] > 0]
        p95 = float(np.quantile(took, 0.95)) if len(took) else None
        self.sent += cut
        self.at_s = float(end[:cut].max()) + 1 + (2 * (p95 or 1.0) if abandoned else 0.0)
        if abandoned:
            self.factor = self.server.sticky
        self.loads.append(ask.load)
        singles = self._singles(AFTER_OVERLOAD, world) if abandoned else []
        return cs.Block(evidence_of(ask.load, judged, abandoned), p95, singles)

    def _given_up(self, ask: cs.Ask, arrival: Array, first: Array, end: Array, good: Array) -> int:
        """How many requests were sent before the block was given up; all if it was not."""
        n = len(arrival)
        if not self.server.users:
            ended = np.searchsorted(np.sort(end), arrival, side="right")
            grown = growing((np.arange(n) - ended).astype(float))
            n = n if grown is None else grown
        late = np.where(
            first == 0, arrival, np.where(first - arrival > self.server.ttft_s, arrival + self.server.ttft_s, end)
        )
        known = np.sort(late[ask.warm_up // 2 :][good[ask.warm_up // 2 :] < LEAST_GOOD])
        most = int(cs.most_bad(ask, self.goodput))
        if len(known) > most:
            n = min(n, int(np.searchsorted(arrival, known[most])))
        return max(n, 50)


@dataclass
class Row:
    """What one search gave."""

    outcome: str
    low: float | None
    value: float | None
    high: float | None
    resolved: bool
    certificate: str
    drifted: bool
    sent: int
    minutes: float
    blocks: int
    design: float
    shift: float | None
    changed: bool
    slower: float | None


def search(name: str, goodput: float, budget: float, seed: int) -> Row:
    bench = Bench(EVERY[name], goodput, budget, seed)
    answer = bench.run()
    found = answer.posterior
    return Row(
        answer.outcome.value,
        None if found is None else found.low,
        None if found is None else found.value,
        None if found is None else found.high,
        answer.resolved,
        answer.certificate,
        answer.drifted,
        bench.sent,
        bench.at_s / 60,
        bench.blocks,
        answer.design,
        None if found is None else found.shift,
        bool(answer.changed),
        answer.slower,
    )


def table_row(name: str, rows: list[Row], true: float | None) -> dict[str, Any]:
    """The columns of the table, in percent of the searches if there is no other unit."""
    n = len(rows)
    found = [row for row in rows if row.outcome == "found" and row.low is not None]

    def percent(count: int, of: int) -> float | None:
        return round(100 * count / of, 1) if of else None

    out: dict[str, Any] = {"server": name, "searches": n, "truth": true, "number given": percent(len(found), n)}
    for outcome in ("none_kept", "all_kept", "not_monotone", "no_data"):
        out[outcome] = percent(sum(row.outcome == outcome for row in rows), n)
    if true is not None and found:
        edges = [(row.low or 0.0, row.value or 0.0, row.high or 0.0) for row in found]
        out["covers"] = percent(sum(a <= true <= c for a, _, c in edges), len(found))
        out["ratio"] = round(float(np.median([c / a for a, _, c in edges])), 3)
        out["bias"] = round(100 * (float(np.median([b for _, b, _ in edges])) / true - 1), 1)
        out["low above truth"] = percent(sum(a > true for a, _, _ in edges), len(found))
        out["low above by 5%"] = percent(sum(a > 1.05 * true for a, _, _ in edges), len(found))
        out["median above by 5%"] = percent(sum(b > 1.05 * true for _, b, _ in edges), len(found))
        kept = [a for (a, _, _), row in zip(edges, found, strict=True) if row.certificate == "kept"]
        out["certificate kept"] = percent(len(kept), len(found))
        out["kept but false"] = percent(sum(a > true for a in kept), len(found))
    out["resolved"] = percent(sum(row.resolved for row in rows), n)
    out["said it changed"] = percent(sum(row.drifted for row in rows), n)
    out["said slower after an overload"] = percent(sum(row.slower is not None for row in rows), n)
    silent = [
        r for r in found if r.certificate == "kept" and not r.drifted and true is not None and (r.low or 0.0) > true
    ]
    out["kept, false and silent"] = percent(len(silent), n)
    out["blocks disagree"] = percent(sum(row.changed for row in rows), n)
    for title, values in (
        ("requests", [row.sent for row in rows]),
        ("minutes", [row.minutes for row in rows]),
        ("blocks", [row.blocks for row in rows]),
        ("design effect", [row.design for row in rows]),
        ("shift", [row.shift for row in rows if row.shift is not None]),
    ):
        out[title] = round(float(np.median(np.array(values, float))), 3) if values else None
    return out


def main() -> None:
    known = argparse.ArgumentParser(description=__doc__)
    known.add_argument("servers", nargs="*", default=list(EVERY))
    known.add_argument("--searches", type=int, default=100)
    known.add_argument("--budget", type=float, default=15_000)
    known.add_argument("--goodput", type=float, default=0.95)
    known.add_argument("--seed", type=int, default=FIRST_SEED)
    known.add_argument("--truths", type=Path, default=Path("/tmp/capacity-truths.json"), help="kept between calls")
    known.add_argument("--rows", type=Path, help="a file to which each search is added")
    given = known.parse_args()
    truths = json.loads(given.truths.read_text()) if given.truths.exists() else {}
    for name in given.servers:
        key, began = f"{name} {given.goodput}", time.monotonic()
        if key not in truths:
            server = EVERY[name]
            truths[key] = (truth if server.engine is None else engine_truth)(server, given.goodput)
            given.truths.write_text(json.dumps(truths))
        rows = [search(name, given.goodput, given.budget, given.seed + k) for k in range(given.searches)]
        row = table_row(name, rows, truths[key])
        if given.rows:
            with given.rows.open("a") as file:
                file.writelines(json.dumps({"server": name, **vars(one)}) + "\n" for one in rows)
        print(json.dumps(row | {"seconds": round(time.monotonic() - began)}), flush=True)


if __name__ == "__main__":
    main()
