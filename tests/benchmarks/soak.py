"""A long run against the embedded endpoint: does memory stay flat, and under a gibibyte?

    python tests/benchmarks/soak.py                                  # 200,000 requests of 500 chunks: eleven minutes on two cores
    python tests/benchmarks/soak.py --requests 4000 --chunks 100     # the same, scaled down

Prints a line every few seconds (requests, rows per second, resident memory of this process), and at the end the peak. Exit code 1
where the peak is over --limit-mib or a request has no row.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

import basetenkit as bk


def memory_mib(name: str) -> float:
    """`VmRSS` (now) or `VmHWM` (the peak) of this process, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--chunks", type=int, default=500)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--limit-mib", type=float, default=1024)
    parser.add_argument("--every-s", type=float, default=5)
    return parser.parse_args()


def watch(live: bk.LiveRun, every_s: float) -> bk.Run:
    while not live.done:
        at = live.progress
        print(f"{at['seconds']:8.0f} s  {at['finished']:>8} requests  {memory_mib('VmRSS'):7.0f} MiB", flush=True)
        until = time.monotonic() + every_s
        while not live.done and time.monotonic() < until:
            time.sleep(0.1)
    return live.result()


def main() -> int:
    options = arguments()
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server, tempfile.TemporaryDirectory() as folder:
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=bk.Endpoint(url=server.url),
            scenarios=f"D(20,{options.chunks})",
            concurrency=options.in_flight,
            max_requests=options.requests,
            max_seconds=86_400,
        )
        run = watch(bk.start(config, save_to=Path(folder) / "run"), options.every_s)
        rows, chunks = run.requests.height, run.chunks.select(pl.len()).collect().item()
    peak = memory_mib("VmHWM")
    print(f"{rows} rows and {chunks} chunks of {options.requests} requests; peak {peak:.0f} MiB")
    return int(peak > options.limit_mib or rows != options.requests)


if __name__ == "__main__":
    sys.exit(main())
