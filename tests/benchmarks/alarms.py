"""How often the caveats come if they should not, and are missing if they should be there; and what sweeps claim.

`python tests/benchmarks/alarms.py [--runs N] [--sweeps N]` prints the tables of docs/concepts/intervals.md.
Runs are made as in `coverage`.
For each caveat CASES says on which levels it should come and on which not. A sweep goes over closed loops of 1 to 64 users, once of
a server that is full from 32 on and once of one with 128 places, and over open loops of 40 to 120% of capacity.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from basetenkit.analysis.behaviour import near_capacity, of_behaviour
from basetenkit.analysis.sweep import falls_behind, sweep
from basetenkit.config.loads import load_of

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.benchmarks import virtual
from tests.benchmarks.coverage import CAPACITY, LEVELS, MIXED
from tests.benchmarks.output_lengths import MIXTURE
from tests.benchmarks.queueing import SLOTS, Load, World, capacity, simulate

LONG = "U(150,450)/(700,900)"
FEW_OF = [f"ttft_s_p{p}" for p in (50, 90, 95)]
CODES = ("trend", "short_run", "ttft_waiting", "level_too_short", "few_requests")
WIDE = 128  # places of a server that 64 users do not fill
# level -> (world, load, requests, the caveats that should come)
CASES: dict[str, tuple[str, dict[str, Any], int, tuple[str, ...]]] = {
    **{
        name: (*LEVELS[name], ())
        for name in (
            "8 users",
            "8 users, n=200",
            "64 users",
            "8 users, 20 or 800 tokens",
            "8 users, conversations",
            "50% of capacity",
        )
    },
    "50% of capacity, 20 or 800 tokens": ("clean", {"rate": 0.5 * capacity(MIXTURE), **MIXED}, 1000, ()),
    "8 users, 20% slower at the end": ("slows", {"users": 8}, 1000, ("trend",)),
    "8 users, drift": ("drift", {"users": 8}, 1000, ("short_run",)),
    "8 users, drift, n=200": ("drift", {"users": 8}, 200, ("short_run",)),
    "85% of capacity": (*LEVELS["85% of capacity"], ("ttft_waiting",)),
    "95% of capacity": (*LEVELS["95% of capacity"], ("ttft_waiting",)),
    "25 s of responses of 20 s": (
        "clean",
        {"rate": 4.0, "scenario": LONG, "steady": False},
        100,
        ("level_too_short",),
    ),
    "8 users, n=60": ("clean", {"users": 8}, 60, ("few_requests",)),
}


def one(kind: str, load: dict[str, Any], n: int, seed: int, slots: int = SLOTS) -> tuple[Any, Any, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    run = simulate(World(kind, 20_000, rng, slots=slots), Load(rng, n, **load))
    return virtual.frames(run, load.get("users", 0), load.get("rate", 0.0))


def told(parts: tuple[Any, Any, dict[str, Any]]) -> set[str]:
    """The codes of the caveats of a run."""
    row = virtual.summary([parts])
    codes = {f.code for f in of_behaviour("", virtual.marked(parts[0]))}
    few = any(row[name] is not None and row[f"{name}_high"] is None for name in FEW_OF)
    return codes | ({"few_requests"} if few else set())


def caveats(runs: int, seed: int, levels: list[str] | None) -> None:
    print(f"{runs} runs per row; in %; bold: it should come\n")
    print(f"| level | {' | '.join(f'`{code}`' for code in CODES)} |\n|---|{'---|' * len(CODES)}")
    slots = {"25 s of responses of 20 s": WIDE}
    for place, (name, (kind, load, n, should)) in enumerate(CASES.items()):
        if levels and name not in levels:
            continue
        seen: Counter[str] = Counter()
        for i in range(runs):
            seen.update(told(one(kind, load, n, seed + 10_000 * place + i, slots.get(name, SLOTS))))
        shown = [f"{'**' * (code in should)}{100 * seen[code] / runs:.0f}{'**' * (code in should)}" for code in CODES]
        print(f"| {name} | {' | '.join(shown)} |", flush=True)


def overload(runs: int, seed: int) -> None:
    print("\n| load, % of capacity | n=200 | n=1,000 |\n|---|---|---|")
    for share in (0.50, 0.85, 0.95, 1.05, 1.20, 1.50):
        shares = []
        for n, many in ((200, runs), (1000, max(runs // 2, 1))):
            load = {"rate": share * CAPACITY}
            frames = (
                virtual.marked(one("clean", load, n, seed + 10_000 * int(100 * share) + i)[0]) for i in range(many)
            )
            shares.append(100 * np.mean([falls_behind(frame) is not None for frame in frames]))
        print(f"| {100 * share:.0f} | {shares[0]:.0f} | {shares[1]:.0f} |", flush=True)


def closed_sweeps(many: int, seed: int) -> None:
    print(
        "\n| server | no saturation | at 16 or below | at 32 | at 64 | knee's interval holds it |\n|---|---|---|---|---|---|"
    )
    users = (1, 2, 4, 8, 16, 32, 64)
    for name, slots in ((f"full from {SLOTS} users on", SLOTS), (f"{WIDE} places", WIDE)):
        answers = []
        for i in range(many):
            rows = [_level({"users": c}, "concurrency", c, seed + 100 * i + c, slots) for c in users]
            answers.append(sweep(pl.DataFrame(rows)).frame.row(0, named=True))
        at = [a["saturation"] for a in answers]
        knees = [a["knee"] for a in answers]
        usual = max(set(knees), key=knees.count)
        held = np.mean([a["knee_from"] <= usual <= a["knee_to"] for a in answers])
        shares = [np.mean([x is None for x in at]), np.mean([x is not None and x <= 16 for x in at])]
        shares += [np.mean([x == c for x in at]) for c in (32, 64)]
        print(f"| {name} | {' | '.join(f'{100 * x:.0f}' for x in (*shares, held))} |", flush=True)


def _level(load: dict[str, Any], kind: str, level: float, seed: int, slots: int) -> dict[str, Any]:
    n = load_of(kind, level).auto_requests
    return virtual.summary([one("clean", load, n, seed, slots)])


def open_sweeps(many: int, seed: int) -> None:
    """Saturation of open loops, and `near_capacity` at each level."""
    shares = (0.4, 0.6, 0.85, 0.95, 1.2)
    early = proven = 0
    near: Counter[str] = Counter()
    for i in range(many):
        levels = {round(share * CAPACITY, 3): share for share in shares}
        rows = [_level({"rate": r}, "request_rate", r, seed + 100 * i + k, SLOTS) for k, r in enumerate(levels)]
        frame = pl.DataFrame(rows, infer_schema_length=None)
        at = sweep(frame).frame["saturation"][0]
        early += at is not None and levels[round(at, 3)] <= 1
        proven += at is not None and levels[round(at, 3)] > 1
        near.update(f.where for f in near_capacity(frame))
    print(f"\n{many} sweeps of open loops: saturation below capacity {100 * early / many:.0f}%, ", end="")
    print(f"at 120% of it {100 * proven / many:.0f}%; `near_capacity`:")
    for share in shares:
        label = str(load_of("request_rate", round(share * CAPACITY, 3)))
        count = sum(times for where, times in near.items() if where.endswith(f" {label}"))
        print(f"  at {100 * share:.0f}%: {100 * count / many:.0f}%")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=150)
    parser.add_argument("--levels", nargs="*", choices=CASES)
    parser.add_argument("--overload", type=int, default=150)
    parser.add_argument("--sweeps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=500_000)
    options = parser.parse_args()
    if options.runs:
        caveats(options.runs, options.seed, options.levels)
    if options.overload:
        overload(options.overload, options.seed)
    if options.sweeps:
        closed_sweeps(options.sweeps, options.seed)
        open_sweeps(options.sweeps, options.seed)


if __name__ == "__main__":
    main()
