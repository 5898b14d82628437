"""What it costs to analyse a run: `python tests/benchmarks/analysis_cost.py [requests]`. 100,000 requests with 20 chunks each:
the summary (all metrics, all intervals) and the findings. Medians of 5 turns; CPU time of this process counts, not the wall's.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))

import basetenkit as bk
from basetenkit.analysis.diagnosis import diagnose
from basetenkit.analysis.summary import summarise
from basetenkit.results.manifest import Manifest
from tests.analysis.frames import chunks_of, rows


def clocked(what: Callable[[], object], turns: int = 5) -> tuple[float, float]:
    """(CPU s, wall s), medians."""
    cpu, wall = [], []
    for _ in range(turns):
        began, at = time.process_time(), time.perf_counter()
        what()
        cpu.append(time.process_time() - began)
        wall.append(time.perf_counter() - at)
    return statistics.median(cpu), statistics.median(wall)


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rng = np.random.default_rng(1)
    ttft = rng.exponential(0.2, n)
    outcome = np.where(rng.random(n) < 0.01, "timeout", "ok")
    frame = rows(
        n, level=64.0, ttft_s=ttft, e2e_s=ttft + rng.exponential(2.0, n), start_s=np.arange(n) / 30, outcome=outcome
    )
    cut = frame.with_columns(
        outcome=pl.when(pl.col("start_s") > (n - 200) / 30).then(pl.lit("cancelled")).otherwise("outcome")
    )
    chunks = chunks_of(frame, [0.02] * 19)
    config = bk.RunConfig(endpoint=bk.Endpoint(url="http://127.0.0.1:9/x"), concurrency=64)
    levels = [
        {"scenario": "D(100,20)", "load": "concurrency", "level": 64.0, "repeat": 0, "done": True, "ended_by": None}
    ]
    document = {"config": {}, "levels": levels, "metadata": {"tokenizer": "embedded"}}
    manifest = Manifest.model_validate(document)
    summary = summarise(frame)
    slo = {"ttft_s": 0.5, "e2e_s": 5.0}
    for title, what in {
        "summary": lambda: summarise(frame, slo=slo),
        "summary, 200 cut": lambda: summarise(cut, slo=slo),
        "summary with chunks": lambda: summarise(frame, chunks.lazy(), slo),
        "findings": lambda: diagnose(frame, summary, config, manifest, []),
    }.items():
        cpu, wall = clocked(what)
        print(f"{title:22}{cpu:8.3f} s CPU {wall:8.3f} s")


if __name__ == "__main__":
    main()
