"""How often our 95% intervals cover the truth, on a simulated server: `python tests/benchmarks/coverage.py [--replications N]`.

Each run is made as the product makes one under steady load (`queueing`), becomes the frames that a real one leaves (`virtual`), and
goes through the product's own window, summary and findings. Printed as the tables of
docs/concepts/intervals.md: for each level and figure
the share of runs whose interval holds the long-run value, and how far the mean figure is off it; for rates how many times its true
spread the interval is wide; `+` after a share: a fifth of the runs or more have no bound on the far side, and a bound that is not
given cannot be missed. Then the same of what `explain_latency` says, and how often `compare_endpoints` would call two equal
endpoints different while both share one drift.
`alarms.py` has the tables of the caveats and of sweeps.

The truth is that of `--truth` requests per level, five times as many near capacity; `--truths` keeps it in a file. All takes about
half an hour on one core. `--seed` is that of the first run: rules were chosen with seeds below 100,000, and the docs' tables have
others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from basetenkit.analysis.latency_model import BASE, MOST, QUEUE, TOKEN, explain_latency
from basetenkit.stats.paired import DIFFERS, judge_means, judge_p95

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.benchmarks import virtual
from tests.benchmarks.output_lengths import EXPONENTIAL, HEAVY, MIXTURE
from tests.benchmarks.queueing import Load, World, capacity, simulate

STATS = ("mean", "p50", "p95")
FIGURES = (
    *(f"{m}_s_{s}" for m in ("ttft", "tpot", "e2e") for s in STATS),
    "requests_per_s",
    "output_tokens_per_s",
    "goodput",
)
CAPACITY = capacity()
NEAR = 0.8  # of capacity: from here on the truth takes NEAR_TIMES as many requests
NEAR_TIMES = 5
MIXED: dict[str, Any] = {"scenario": MIXTURE}
LEVELS: dict[str, tuple[str, dict[str, Any], int]] = {
    "8 users": ("clean", {"users": 8}, 1000),
    "8 users, n=200": ("clean", {"users": 8}, 200),
    "8 users, data set": ("clean", {"users": 8, "known": False}, 1000),
    "64 users": ("clean", {"users": 64}, 1000),
    "8 users, 20 or 800 tokens": ("clean", {"users": 8, **MIXED}, 1000),
    "8 users, 20 or 800 tokens, n=200": ("clean", {"users": 8, **MIXED}, 200),
    "64 users, 20 or 800 tokens": ("clean", {"users": 64, **MIXED}, 1000),
    "8 users, heavy lengths": ("clean", {"users": 8, "scenario": HEAVY}, 1000),
    "8 users, heavy lengths, data set": ("clean", {"users": 8, "scenario": HEAVY, "known": False}, 1000),
    "8 users, conversations": ("clean", {"users": 8, "talks": True}, 1000),
    "8 users, drift": ("drift", {"users": 8}, 1000),
    "8 users, stalls": ("stalls", {"users": 8}, 1000),
    "50% of capacity": ("clean", {"rate": 0.50 * CAPACITY}, 1000),
    "50% of capacity, n=200": ("clean", {"rate": 0.50 * CAPACITY}, 200),
    "50% of capacity, 20 or 800 tokens": ("clean", {"rate": 0.50 * capacity(MIXTURE), **MIXED}, 1000),
    "85% of capacity": ("clean", {"rate": 0.85 * CAPACITY}, 1000),
    "85% of capacity, n=200": ("clean", {"rate": 0.85 * CAPACITY}, 200),
    "95% of capacity": ("clean", {"rate": 0.95 * CAPACITY}, 1000),
    "95% of capacity, n=200": ("clean", {"rate": 0.95 * CAPACITY}, 200),
}


def true_values(kind: str, load: dict[str, Any], n: int) -> tuple[dict[str, float], dict[str, float]]:
    """(figure -> its long-run value, the SLO that nine tenths of the requests keep)."""
    rng = np.random.default_rng(99)
    run = simulate(World(kind, 100_000, rng), Load(rng, n, **load))
    kept = (run["phase"] == "measured") & np.isfinite(run["last_s"])
    kept[: n // 30] = False
    start, first, last, tokens = (run[name][kept] for name in ("start_s", "first_s", "last_s", "tokens"))
    several = tokens > 1
    series = {"ttft": first - start, "tpot": ((last - first) / np.maximum(tokens - 1, 1))[several], "e2e": last - start}
    out = {f"{m}_s_mean": float(x.mean()) for m, x in series.items()}
    for m, x in series.items():
        out |= {f"{m}_s_p{p}": float(np.quantile(x, p / 100, method="inverted_cdf")) for p in (50, 95)}
    rate = load.get("rate") or (len(start) - 1) / (start[-1] - start[0])
    limit = float(np.quantile(series["ttft"], 0.9))
    out |= {"requests_per_s": rate, "output_tokens_per_s": rate * float(tokens.mean())}
    return out | {"goodput": float((series["ttft"] <= limit).mean())}, {"ttft_s": limit}


def one_run(kind: str, load: dict[str, Any], n: int, seed: int) -> tuple[Any, Any, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    run = simulate(World(kind, 20_000, rng), Load(rng, n, **load))
    return virtual.frames(run, load.get("users", 0), load.get("rate", 0.0))


def truth_of(name: str, options: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    """`true_values` of a level, from the file of those that are known if there is one."""
    kind, load, n = LEVELS[name]
    name = name.removesuffix(f", n={n}")
    known = json.loads(options.truths.read_text()) if options.truths and options.truths.exists() else {}
    if name not in known:
        near = load.get("rate", 0.0) > NEAR * capacity(load.get("scenario", EXPONENTIAL))
        known[name] = true_values(kind, load, options.truth * (NEAR_TIMES if near else 1))
        if options.truths:
            options.truths.write_text(json.dumps(known))
    return known[name][0], known[name][1]


def coverage(options: argparse.Namespace) -> None:
    print(f"{options.replications} runs per row; nominal 95%\n")
    print("| level | TTFT mean/p50/p95 | TPOT | E2E | requests/s | tokens/s | goodput |\n|---|---|---|---|---|---|---|")
    for place, (name, (kind, load, n)) in enumerate(LEVELS.items()):
        if options.levels and name not in options.levels:
            continue
        truth, slo = truth_of(name, options)
        found: dict[str, list[tuple[float, float, float, bool]]] = {figure: [] for figure in FIGURES}
        for i in range(options.replications):
            row = virtual.summary([one_run(kind, load, n, options.seed + 10_000 * place + i)], slo)
            for figure in FIGURES:
                found[figure].append(held(row, figure, truth[figure]))
        print(f"| {name} | {' | '.join(cells(found))} |", flush=True)


def held(row: dict[str, Any], figure: str, true: float) -> tuple[float, float, float, bool]:
    """(whether the interval covers the truth, the figure over the truth, half of the interval over the truth, whether one end is
    missing)."""
    value, low, high = (row[f"{figure}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return np.nan, np.nan, np.nan, True
    slack = 1e-9 * true
    hit = (low is None or low <= true + slack) and (high is None or high >= true - slack)
    open_ended = low is None or high is None
    return float(hit), value / true, np.nan if open_ended else (high - low) / 2 / true, open_ended


def cells(found: dict[str, list[tuple[float, float, float, bool]]]) -> Iterator[str]:
    def cell(figure: str) -> str:
        x = np.array(found[figure], float)
        share, off = 100 * np.nanmean(x[:, 0]), 100 * (np.nanmean(x[:, 1]) - 1)
        return f"{share:.0f}{'+' if x[:, 3].mean() >= 0.2 else ''} ({off:+.0f}%)"

    for m in ("ttft", "tpot", "e2e"):
        yield " / ".join(cell(f"{m}_s_{s}") for s in STATS)
    for figure in ("requests_per_s", "output_tokens_per_s", "goodput"):
        x = np.array(found[figure], float)
        real = 1.96 * np.nanstd(x[:, 1])
        half = "" if figure == "goodput" else f", x{np.nanmean(x[:, 2]) / real:.1f}"
        yield cell(figure)[:-1] + half + ")"


def costs(replications: int, seed: int) -> None:
    """How often the intervals of `explain_latency` hold what it says of a very long run, at the median."""
    print("\n| level | seconds per prompt token | base | queue |\n|---|---|---|---|")
    for place, name in enumerate(("50% of capacity", "85% of capacity")):
        kind, load, n = LEVELS[name]
        frame = virtual.marked(one_run(kind, load, 20 * MOST, 99)[0])
        true = {row["term"]: row["value"] for row in explain_latency(frame, [0.5]).iter_rows(named=True)}
        held = dict.fromkeys((TOKEN, BASE, QUEUE), 0)
        for i in range(replications):
            frame = virtual.marked(one_run(kind, load, n, seed + 10_000 * place + i)[0])
            for row in explain_latency(frame, [0.5]).iter_rows(named=True):
                held[row["term"]] += row["low"] is not None and row["low"] <= true[row["term"]] <= row["high"]
        print(f"| {name} | {' | '.join(f'{100 * hits / replications:.0f}' for hits in held.values())} |", flush=True)


def false_positives(replications: int, pairs: int, seconds: float) -> None:
    """Two equal endpoints in turns, through one drift: how often one is called different."""
    print("\n| drift that both share | block means | pooled p95 |\n|---|---|---|")
    n, users = int(seconds * CAPACITY / 4), 8
    for title, kind, tau in (("none", "clean", 30.0), ("of 30 s", "drift", 30.0), ("of 300 s", "drift", 300.0)):
        rng, wrong = np.random.default_rng(2), np.zeros(2)
        for _ in range(replications):
            world = World(kind, int(6 * pairs * seconds), rng, tau)
            both, now = [], 0.0
            for _ in range(pairs):
                blocks = []
                for _ in range(2):
                    run = simulate(world, Load(rng, n, users=users, steady=False, begin=now))
                    now = float(run["last_s"].max()) + 1.0
                    blocks.append((run["last_s"] - run["start_s"])[users:].tolist())
                both.append((blocks[0], blocks[1]) if rng.random() < 0.5 else (blocks[1], blocks[0]))
            verdicts = (judge_means("e2e_s", both, 0.05), judge_p95("e2e_s", both, 0.05))
            wrong += [v.verdict == DIFFERS for v in verdicts]
        print(f"| {title} | {100 * wrong[0] / replications:.1f} | {100 * wrong[1] / replications:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--replications", type=int, default=150)
    parser.add_argument("--seed", type=int, default=100_000)
    parser.add_argument("--truth", type=int, default=300_000)
    parser.add_argument("--truths", type=Path)
    parser.add_argument("--levels", nargs="*", choices=LEVELS)
    parser.add_argument("--costs", type=int, default=150, help="0: none")
    parser.add_argument("--comparisons", type=int, default=600, help="0: none")
    options = parser.parse_args()
    if options.replications:
        coverage(options)
    if options.costs:
        costs(options.costs, options.seed + 700_000)
    if options.comparisons:
        false_positives(options.comparisons, 20, 30.0)


if __name__ == "__main__":
    main()
