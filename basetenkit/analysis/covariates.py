"""Means that correct for the lengths that were drawn by chance: the lengths of a run's requests as control variates.

A run draws lengths at random, and long requests take longer. So mean latencies of two runs differ mostly because other lengths
were drawn. The true mean of the lengths is known from the scenario. Therefore the mean latency is computed at that known mean,
by regression on the lengths (Lavenberg and Welch 1981), and the interval covers only what the lengths do not explain. It still
uses batch means of the series in start order, because requests of a run are not independent.

The lengths of a run are a random sample only if every drawn request is in the figures: if one failed or was cut, if a length
does not vary, or if there are few requests, the plain mean is used. The plain mean is also used for TTFT if, apart from the
effect of lengths, only a few requests that had to wait differ: a run without such requests would have a narrow interval around
a mean that is too low.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..config.scenarios import parse_scenario
from ..core.errors import BasetenkitError
from ..core.types import Estimate
from ..stats import intervals as st

LEAST = 40  # requests
SELDOM = 20  # requests that make up what lengths leave, as n over its kurtosis
LENGTHS = ("input_tokens_target", "output_tokens_target")
CONTROLLED = ("ttft_s", "tpot_s", "e2e_s", "ttft_due_s", "e2e_due_s")
FAR = 5.0  # standard errors that the drawn mean may be off the known one: beyond, it is the mean of something else
Array = NDArray[np.float64]


def controlled_mean(
    values: Sequence[float] | Array,
    covariates: Mapping[str, Sequence[float] | Array],
    known: Mapping[str, float | None],
    parts: st.Labels | None = None,
    *,
    waits: bool = False,
) -> Estimate:
    """The mean of `values` (in start order) at the `known` means of the covariates, each with a value per request; `parts`: the
    run of each value; `waits`: whether a few of them may wait for long. `how` names the covariates that were used; if none can
    be, this is `statistics.mean`."""
    x = np.asarray(values, float)
    columns = {name: np.asarray(column, float) for name, column in covariates.items()}
    names = _usable(len(x), columns, known)
    if not names:
        return st.mean(x, parts)
    centred = np.stack([columns[name] - columns[name].mean() for name in names], axis=1)
    off = np.array([columns[name].mean() - float(known[name] or 0.0) for name in names])
    products = centred.T @ centred
    slopes = np.linalg.solve(products, centred.T @ (x - x.mean()))
    rest = x - centred @ slopes
    if waits and _of_few(rest, float(x.var())):
        return st.mean(x, parts)
    of = st.moments(rest, parts)
    se, df = st.standard_error(of)
    # the slopes are estimates: fewer degrees of freedom, and the further the drawn mean is off, the more they matter
    n = len(x)
    se *= math.sqrt((n - 2) / (n - 2 - len(names)) * (1 + n * float(off @ np.linalg.solve(products, off))))
    value = of.mean - float(slopes @ off)
    effective = n if se == 0 else min(float(n), of.variance / se**2)
    how = f"{st.how('t interval', of.runs)}, controlled for {' and '.join(names)}"
    below, above = st.sides(of, se, df)
    return Estimate(value, value - below, value + above, effective, how)


def _of_few(rest: Array, variance: float) -> bool:
    """Whether what the lengths leave is that of a few requests only, or nothing at all."""
    away = rest - rest.mean()
    second = float((away**2).mean())
    return second <= 1e-12 * variance or len(rest) * second**2 / float((away**4).mean()) < SELDOM


def _usable(n: int, columns: Mapping[str, Array], known: Mapping[str, float | None]) -> list[str]:
    """The covariates that vary, each by itself, and whose drawn mean can be one of the known mean."""
    out: list[str] = []
    if n < LEAST:
        return out
    for name, column in columns.items():
        mean, spread = known.get(name), float(column.std(ddof=1)) if len(column) == n else 0.0
        if mean is None or not spread > 1e-9 * max(abs(float(column.mean())), 1.0):
            continue
        if abs(float(column.mean()) - mean) > FAR * spread / math.sqrt(n):
            continue
        if np.linalg.matrix_rank(np.stack([(columns[k] - columns[k].mean()) for k in (*out, name)], axis=1)) > len(out):
            out.append(name)
    return out


def of_window(values: pl.DataFrame, window: pl.DataFrame, *, waits: bool = False) -> Estimate:
    """The mean of a latency of one level, for the lengths that its scenario draws. `values`: x and repeat of each request that
    has it, in start order; `window`: the rows of the window in the same order. Plain unless each of them succeeded and has it.
    `waits`: as in `controlled_mean`."""
    x, parts = values["x"].to_numpy(), values["repeat"].to_numpy()
    if len(x) != window.height or len(x) < LEAST or not (window["outcome"] == "ok").all():
        return st.mean(x, parts)
    drawn = {name: window[name].to_numpy() for name in LENGTHS if not window[name].null_count()}
    varying = {name: column for name, column in drawn.items() if column.min() < column.max()}
    known = known_means(str(window["scenario"][0])) if varying else {}
    return controlled_mean(x, varying, known, parts, waits=waits)


@lru_cache(maxsize=256)
def known_means(scenario: str) -> dict[str, float | None]:
    """The mean of each of LENGTHS over all that a scenario may draw, by its text; None if it does not say, or if no
    requests can be made for it."""
    try:
        means = parse_scenario(scenario).mean_lengths()
    except BasetenkitError:
        return dict.fromkeys(LENGTHS)
    return dict(zip(LENGTHS, means, strict=True))
