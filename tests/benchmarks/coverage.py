"""How often our 95% intervals hold the truth, on a simulated server: `python tests/benchmarks/coverage.py [--replications N]`.

For each kind of trouble and each load: the share of runs of `--requests` whose interval holds the long-run value, of the mean,
p50 and p95 of TTFT, TPOT and E2E; then the same as 10 short runs spread in time and pooled; and how often each p95 has no top.
A bound that is not given cannot be missed: an interval without a top is asked for its low end only, so such a cell may show
97 to 98. Last: how often `compare_endpoints` would call two equal endpoints different while both share one drift.

The truth is that of `--truth` requests a load. The whole table (`--replications 2000 --comparisons 600`) takes some half an hour on
one core; the defaults take two minutes and are off by about 3 points a cell.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from queueing import KINDS, Array, World, simulate

from basetenkit.analysis import statistics as st
from basetenkit.analysis.paired import DIFFERS, judge_means, judge_p95

METRICS = ("ttft_s", "tpot_s", "e2e_s")
FIGURES: dict[str, float | None] = {"mean": None, "p50": 0.50, "p95": 0.95}
LOADS = ({"users": 8}, {"users": 64}, {"share": 0.50}, {"share": 0.85})
RUNS = 10


def capacity() -> float:
    """Requests a second of a clean server that is never idle."""
    run = simulate(World("clean", 3000, np.random.default_rng(0)), 20_000, users=64)
    return 20_000 / float(run["start_s"][-1])


def one_run(kind: str, load: dict[str, float], n: int, rng: np.random.Generator, full: float) -> dict[str, Array]:
    """`n` requests inside the window that our rule leaves, of a run of their own."""
    users, rate = int(load.get("users", 0)), load.get("share", 0.0) * full
    head, tail = (
        (2 * users, users) if users else (500, 200)
    )  # a queue takes minutes to fill, and its drain is another load
    seconds = int(3 * (n + head + tail) / (rate or full * min(users, 32) / 32)) + 100
    run = simulate(World(kind, seconds, rng), n + head + tail, users=users, rate=rate)
    return {name: x[head : head + n] for name, x in run.items()}


def true_values(run: dict[str, Array]) -> dict[tuple[str, str], float]:
    return {
        (m, f): float(run[m].mean() if p is None else np.quantile(run[m], p))
        for m in METRICS
        for f, p in FIGURES.items()
    }


def holds(
    run: dict[str, Array], truth: dict[tuple[str, str], float], parts: Array | None
) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Each figure -> (its interval holds the truth, it has no top)."""
    out = {}
    for (metric, figure), true in truth.items():
        p = FIGURES[figure]
        e = st.mean(run[metric], parts) if p is None else st.quantile(run[metric], p, parts)
        low = -np.inf if e.low is None else e.low
        slack = 1e-9 * abs(true)  # equal lengths give equal times, less the rounding
        out[metric, figure] = (low <= true + slack and (e.high is None or true - slack <= e.high), e.high is None)
    return out


def coverage(options: argparse.Namespace) -> None:
    full, n = capacity(), options.requests
    print(f"capacity {full:.1f} requests/s; {options.replications} replications of {n} requests; nominal 95%\n")
    print(f"{'':22}{'one run':>24}{f'{RUNS} runs, pooled':>24}{'p95 without a top':>20}")
    print(f"{'':22}{'mean   p50   p95':>24}{'mean   p50   p95':>24}")
    pooled: dict[tuple[str, str, bool], list[bool]] = defaultdict(list)
    for kind, load in itertools.product(options.kinds, LOADS):
        rng = np.random.default_rng(1)
        truth = true_values(one_run(kind, load, options.truth, rng, full))
        cells: dict[tuple[str, bool], list[tuple[bool, bool]]] = defaultdict(list)
        for _ in range(options.replications):
            short = [one_run(kind, load, n // RUNS, rng, full) for _ in range(RUNS)]
            many = {m: np.concatenate([s[m] for s in short]) for m in METRICS}
            parts = np.repeat(np.arange(float(RUNS)), n // RUNS)
            for spread, found in (
                (False, holds(one_run(kind, load, n, rng, full), truth, None)),
                (True, holds(many, truth, parts)),
            ):
                for (_, figure), seen in found.items():
                    cells[figure, spread].append(seen)
                    pooled[kind, figure, spread].append(seen[0])
        print_row(f"{kind} {' '.join(f'{k} {v:g}' for k, v in load.items())}", cells)
    print("\nover all loads")
    for kind in options.kinds:
        print_row(kind, {(f, s): [(x, False) for x in pooled[kind, f, s]] for f in FIGURES for s in (False, True)})


def print_row(title: str, cells: dict[tuple[str, bool], list[tuple[bool, bool]]]) -> None:
    def percent(figure: str, spread: bool) -> str:
        return f"{100 * np.mean([hit for hit, _ in cells[figure, spread]]):5.1f}"

    one, many = (" ".join(percent(f, spread) for f in FIGURES) for spread in (False, True))
    topless = " / ".join(f"{100 * np.mean([t for _, t in cells['p95', spread]]):.0f}%" for spread in (False, True))
    print(f"{title:22}{one:>24}{many:>24}{topless:>20}", flush=True)


def false_positives(replications: int, pairs: int, seconds: float) -> None:
    """Two equal endpoints in turns, through one drift: how often one is called different."""
    print(f"\n{pairs} pairs of {seconds:g} s, 8 in flight, nothing differs: called different, % (5 nominal)")
    print(f"{'':22}{'block means':>14}{'pooled p95':>14}")
    full, users = capacity(), 8
    n = int(seconds * full / 4)
    for title, kind, tau in (
        ("no drift", "clean", 30.0),
        ("shared, 30 s", "drift", 30.0),
        ("shared, 300 s", "drift", 300.0),
    ):
        rng, wrong = np.random.default_rng(2), np.zeros(2)
        for _ in range(replications):
            world = World(kind, int(6 * pairs * seconds), rng, tau)
            both, now = [], 0.0
            for _ in range(pairs):
                blocks = []
                for _ in range(2):
                    run = simulate(world, n, users=users, begin=now)
                    now = float((run["start_s"] + run["e2e_s"]).max()) + 1.0
                    blocks.append(run["e2e_s"][users:].tolist())
                both.append((blocks[0], blocks[1]) if rng.random() < 0.5 else (blocks[1], blocks[0]))
            verdicts = (judge_means("e2e_s", both, 0.05), judge_p95("e2e_s", both, 0.05))
            wrong += [v.verdict == DIFFERS for v in verdicts]
        print(f"{title:22}{100 * wrong[0] / replications:14.1f}{100 * wrong[1] / replications:14.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--replications", type=int, default=100)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--truth", type=int, default=200_000)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--comparisons", type=int, default=100, help="0: none")
    options = parser.parse_args()
    if options.kinds:
        coverage(options)
    if options.comparisons:
        false_positives(options.comparisons, 20, 30.0)


if __name__ == "__main__":
    main()
