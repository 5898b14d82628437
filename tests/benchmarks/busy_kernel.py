"""What a computing kernel does to a clock, with `workers=0` and `workers=1`: `python tests/benchmarks/busy_kernel.py`.

In this process a thread computes all the time, as a cell may. The same load is measured meanwhile by the engine on a thread
beside it (workers=0) and by its own process (workers=1), turn by turn, against the embedded endpoint, which knows the
truth; and once more with nothing computing. It prints for each how far TTFT and E2E were off (p50 and p99 of all
turns), the error that was stated, and the loop's lag. `--ratio R` fails where the busy p99 with workers=1 is not at least R
times nearer to the truth than with workers=0.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

import basetenkit as bk

FIGURES = ("ttft_s", "e2e_s")


@contextmanager
def computing(on: bool) -> Iterator[None]:
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(20_000))

    thread = threading.Thread(target=compute, daemon=True)
    if on:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if on:
            thread.join()


def measure(config: bk.RunConfig, workers: int, busy: bool) -> tuple[pl.DataFrame, float]:
    """(one row a figure, the loop's lag in s): the bias against the truth and the stated error, s."""
    with computing(busy):
        found = bk.calibrate(config.model_copy(update={"workers": workers}))
    lag = max(level["loop_lag_p99_s"] or 0.0 for level in found.run.metadata["levels"])
    return found.frame.filter(pl.col("metric").is_in(FIGURES)), lag


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--ratio", type=float, default=0.0)
    options = parser.parse_args()
    endpoint = bk.Endpoint(url="http://127.0.0.1/")
    config = bk.RunConfig(
        steady=False,
        preflight=False,
        endpoint=endpoint,
        scenarios="D(100,50)",
        concurrency=options.in_flight,
        max_requests=options.requests,
    )
    worst: dict[tuple[int, bool], float] = {}
    print(
        f"{'kernel':>7} {'workers':>7} {'figure':>7} {'bias p50':>10} {'bias p99':>10} {'stated p99':>10} {'lag p99':>9}  ms"
    )
    for busy in (False, True):
        for workers in (0, 1):
            turns = [measure(config, workers, busy) for _ in range(options.turns)]
            rows, lag = pl.concat([frame for frame, _ in turns]), max(lag for _, lag in turns)
            for figure in FIGURES:
                of = rows.filter(pl.col("metric") == figure)
                values = [of[name].median() for name in ("bias_p50_s", "bias_p99_s", "bound_p99_s")] + [lag]
                shown = " ".join(f"{float(v) * 1e3:10.3f}" if isinstance(v, float) else f"{'-':>10}" for v in values)
                print(f"{'busy' if busy else 'idle':>7} {workers:>7} {figure:>7} {shown}")
            ttft = rows.filter(pl.col("metric") == "ttft_s")["bias_p99_s"].median()
            worst[workers, busy] = abs(float(ttft)) if isinstance(ttft, float) else float("nan")
    ratio = worst[0, True] / worst[1, True]
    print(f"with the kernel busy, TTFT's p99 is {ratio:.1f} times nearer to the truth with workers=1")
    if not ratio >= options.ratio:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
