"""Each metric's spread in the figures that genai-bench's users know: min, max, mean, stddev, sum, and seven percentiles.

They describe only the measured requests; figures of the endpoint, with intervals, are in the summary.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from ..results.schema import LEVEL
from ..stats import intervals as st
from .gaps import Gaps, gaps
from .metrics import METRICS, WORDS, Values, observations, percentile

PERCENTILES = (25, 50, 75, 90, 95, 99)
_COUNTS = ("input_tokens", "output_tokens", "output_chunks")
_FIGURES = ("min", "max", "mean", "stddev", "sum", *(f"p{p}" for p in PERCENTILES))


def spread(rows: pl.DataFrame, chunks: pl.LazyFrame | None = None) -> pl.DataFrame:
    """One row per (scenario, load, level, metric): unit, n, min, max, mean, stddev (of the sample, n - 1), sum, p25, p50, p75,
    p90, p95, p99, of the successful requests in the window; of `itl_s`, of the gaps between their chunks.

    If requests were cut at a level's end, percentiles are those of the survival curve, and max, mean, stddev and sum of a
    latency that the cut ones would have had are null, because they are unknown. A metric without a value has no row.
    """
    rows = rows.drop(WORDS, strict=False)
    between = gaps(rows, chunks)
    found: list[dict[str, object]] = []
    for key, level in rows.group_by(LEVEL, maintain_order=True):
        window = level.filter("in_window")
        place = dict(zip(LEVEL, key, strict=True))
        for name, unit, values in _values(window, between.get(key)):
            figures = _of_gaps(values) if isinstance(values, Gaps) else _figures(*values)
            if figures["n"]:
                found.append(place | {"metric": name, "unit": unit} | figures)
    text, numbers = dict.fromkeys(("metric", "unit"), pl.String), dict.fromkeys(_FIGURES, pl.Float64)
    schema = {"scenario": pl.String, "load": pl.String, "level": pl.Float64, **text, "n": pl.Int64, **numbers}
    return pl.DataFrame(found, schema=schema)


def _values(window: pl.DataFrame, itl: Gaps | None) -> list[tuple[str, str, tuple[Values, Values] | Gaps]]:
    out: list[tuple[str, str, tuple[Values, Values] | Gaps]] = []
    for metric in METRICS.values():
        if metric.kind in ("latency", "speed"):
            seen = observations(metric, window)
            out.append((metric.name, metric.unit, (seen["x"].to_numpy(), seen["cut"].to_numpy())))
        elif metric.kind == "chunk" and itl is not None:
            out.append((metric.name, metric.unit, itl))
    ok = window.filter(pl.col("outcome") == "ok")
    for name in _COUNTS:
        x = ok[name].drop_nulls().to_numpy().astype(float)
        out.append((name, "chunks" if name == "output_chunks" else "tokens", (x, np.zeros(len(x), bool))))
    return out


def _of_gaps(gaps: Gaps) -> dict[str, object]:
    n, of = gaps.n, gaps.moments()
    low, high, *between = gaps.at([1, n, *(st.rank(n, p / 100) for p in PERCENTILES)])
    out: dict[str, object] = {"n": n, "min": low, "max": high, "mean": of.mean, "sum": of.mean * n}
    out["stddev"] = math.sqrt(of.variance * n / (n - 1)) if n > 1 else None
    return out | {f"p{p}": value for p, value in zip(PERCENTILES, between, strict=True)}


def _figures(x: Values, cut: Values) -> dict[str, object]:
    if not len(x):
        return {"n": 0}
    out: dict[str, object] = {"n": len(x), "min": None if cut.any() and cut[x.argmin()] else float(x.min())}
    if not cut.any():
        out |= {"max": float(x.max()), "mean": float(x.mean()), "sum": float(x.sum())}
        out["stddev"] = float(x.std(ddof=1)) if len(x) > 1 else None
    return out | {f"p{p}": percentile(x, cut, p).value for p in PERCENTILES}
