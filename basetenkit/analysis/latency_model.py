"""The parts of TTFT: seconds per prompt token, a constant, and seconds per other request in flight.

A quantile regression (Koenker and Bassett 1978) of TTFT on the prompt tokens that were not cached and on the requests in flight
at the send. A few requests that a stall delayed do not change the median. Requests of a run depend on each other, so the error
comes from blocks: each tenth of the requests, in start order, has its own fit, and the spread of the ten fits gives a t
interval (batch means).

The cost of something that does not vary cannot be estimated: in a closed loop of one level the number in flight hardly changes.
Such a term is null, and its `note` has the reason. One more fit covers all levels together, in which the number varies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import ConfigError
from ..core.frames import ColumnTypes
from ..core.types import NewRow, Outcome
from ..results.schema import LEVEL, UNIT
from ..stats import intervals as st

BASE, TOKEN, QUEUE = "base", "seconds per prompt token", "queue"
TERMS = {
    BASE: "seconds of a first token with no prompt and nothing else in flight",
    TOKEN: "seconds more per prompt token that no cache held",
    QUEUE: "seconds more per other request in flight at its start",
}
LEAST, LEAST_FOR_INTERVAL, BLOCKS, LEAST_BLOCKS = 20, 100, 10, 5
MOST = 20_000  # requests of a fit; of more, every second, third, ... is taken
QUANTILES = (0.5, 0.9)
VARIES = 0.02  # the least coefficient of variation with which a cost can be estimated
METHOD = "quantile regression, t interval on the fits of {n} blocks"
_SCHEMA: ColumnTypes = {
    "scenario": pl.String(), "load": pl.String(), "level": pl.Float64(), "quantile": pl.Float64(), "term": pl.String(),
    "value": pl.Float64(), "low": pl.Float64(), "high": pl.Float64(), "n": pl.Int64(), "method": pl.String(),
    "note": pl.String(),
}  # fmt: skip
Array = NDArray[np.float64]


def explain_latency(rows: pl.DataFrame, quantiles: Sequence[float] = QUANTILES) -> pl.DataFrame:
    """One row per (scenario, load, level), quantile and term of TERMS, and per scenario and load one more set with `level` null,
    of all its levels together if there are several: `value` in seconds, `low`, `high` (95%), `n` requests, `method`. A value
    that cannot be estimated is null, and `note` has the reason. ConfigError if a quantile does not lie between 0 and 1.

    Near capacity one run contains only one period of its queue: on a simulated server at 85% of capacity the intervals of base
    and queue covered the true value in 80% and 79% of runs, those of the seconds per prompt token in 95%. If TTFT follows the
    prompt tokens exactly, as on a server without noise, an interval has no width.
    """
    for quantile in quantiles:
        if not 0 < quantile < 1:
            raise ConfigError(
                f"explain_latency: quantile {quantile}; give numbers between 0 and 1, e.g. 0.5 for the median"
            )
    seen = observed(rows)
    found = [
        {**place, "quantile": float(q), **term}
        for place, part in _groups(rows, seen)
        for q in quantiles
        for term in _fitted(part, q)
    ]
    return pl.DataFrame([{name: row.get(name) for name in _SCHEMA} for row in found], schema=_SCHEMA)


def observed(rows: pl.DataFrame) -> pl.DataFrame:
    """Each success of the window that was streamed: UNIT, `ttft`, `tokens` (of its prompt, less those from a cache), `others` (in
    flight when it was sent, of its level and repeat) and `block` (which tenth of its repeat), in start order."""
    parts = [_with_others(part) for _, part in rows.group_by(UNIT, maintain_order=True)]
    if not parts:
        return rows.select(*UNIT, ttft="ttft_s", tokens=pl.lit(0.0), others=pl.lit(0.0), block=pl.lit(0))
    ok = (pl.col("outcome") == Outcome.OK.value) & pl.col("in_window") & pl.col("ttft_s").is_not_null()
    tokens = (pl.col("input_tokens") - pl.col("cached_tokens").fill_null(0)).cast(pl.Float64)
    seen = pl.concat(parts).filter(ok.fill_null(False))
    seen = seen.select(*UNIT, "sent_s", "others", ttft="ttft_s", tokens=tokens).drop_nulls(["ttft", "tokens", "others"])
    order = (pl.col("sent_s").rank("ordinal").over(UNIT) - 1) * BLOCKS // pl.len().over(UNIT)
    return seen.with_columns(block=order.cast(pl.Int64)).sort(*UNIT, "sent_s", maintain_order=True)


def _with_others(part: pl.DataFrame) -> pl.DataFrame:
    """The rows of one level and repeat with `others`: sent before or with this one, and not over by then, less itself."""
    sent = np.sort(part["sent_s"].drop_nulls().to_numpy())
    over = np.sort(part.filter(pl.col("sent_s").is_not_null())["end_s"].drop_nulls().to_numpy())
    at = part["sent_s"].fill_null(float("nan")).to_numpy()
    others = np.searchsorted(sent, at, "right") - np.searchsorted(over, at, "right") - 1.0
    return part.with_columns(others=pl.when(pl.col("sent_s").is_not_null()).then(pl.Series(np.maximum(others, 0.0))))


def _groups(rows: pl.DataFrame, seen: pl.DataFrame) -> Iterator[tuple[dict[str, object], pl.DataFrame]]:
    """(its place, its requests) of each level, then of all levels of a scenario and load together if there are several."""
    levels = rows.select(LEVEL).unique(maintain_order=True)
    for row in levels.iter_rows(named=True):
        yield row, seen.filter(pl.all_horizontal(pl.col(name) == row[name] for name in LEVEL))
    for (scenario, load), several in levels.group_by("scenario", "load", maintain_order=True):
        if several.height > 1:
            of_all = (pl.col("scenario") == scenario) & (pl.col("load") == load)
            yield {"scenario": scenario, "load": load, "level": None}, seen.filter(of_all)


def _fitted(part: pl.DataFrame, q: float) -> Iterator[NewRow]:
    if part.height < LEAST:
        for term in TERMS:
            note = f"{part.height} successful requests with a TTFT are too few: at least {LEAST} are needed."
            yield {"term": term, "n": part.height, "note": note}
        return
    part = part.gather_every(-(-part.height // MOST))
    x, y = part.select("tokens", "others").to_numpy(), part["ttft"].to_numpy()
    block = part["block"].to_numpy()
    constant = [_constant(x[:, i], block) for i in range(2)]
    used = [i for i in range(2) if not constant[i]]
    if len(used) == 2 and abs(float(np.corrcoef(x[:, 0], x[:, 1])[0, 1])) > 1 - 1e-6:
        used = [0]
    values = quantile_fit(x[:, used], y, q)
    errors, blocks = _errors(x[:, used], y, block, q)
    method = METHOD.format(n=blocks) if errors is not None else "quantile regression"
    for i, term in enumerate(TERMS):
        found: NewRow = {"term": term, "n": part.height, "method": method}
        place = 0 if i == 0 else used.index(i - 1) + 1 if i - 1 in used else None
        if place is None:
            yield found | {"method": None, "note": _why(term, x[:, i - 1], constant[i - 1])}
            continue
        value = float(values[place])
        found |= {"value": value, "note": _of_base(constant) if i == 0 else None}
        if errors is None:
            few = f"{part.height} requests are too few for an interval: at least {LEAST_FOR_INTERVAL} are needed."
            yield found | {"note": " ".join(filter(None, (found["note"], few)))}
            continue
        half = st.t975(blocks - 1) * float(errors[place])
        yield found | {"low": value - half, "high": value + half}


def _constant(x: Array, block: Any) -> bool:
    """Whether a column varies too little to estimate its cost: over all, or within most blocks."""
    if float(x.std()) <= VARIES * max(abs(float(x.mean())), 1.0):
        return True
    numbers = np.unique(block)
    still = sum(float(x[block == number].std()) == 0 for number in numbers)
    return still > len(numbers) / 2


def _why(term: str, x: Array, constant: bool) -> str:
    what = "prompt tokens" if term == TOKEN else "number of other requests in flight"
    if constant:
        return f"The {what} hardly varied (about {x.mean():.3g}), so the cost of one more cannot be estimated."
    return f"The {what} varied together with the prompt tokens, so their effects cannot be separated."


def _of_base(constant: Sequence[bool]) -> str | None:
    held = [name for name, is_held in zip(("prompt", "other requests in flight"), constant, strict=True) if is_held]
    return f"It includes the cost of the {' and the '.join(held)}, which did not vary." if held else None


def _errors(x: Array, y: Array, block: Any, q: float) -> tuple[Array | None, int]:
    """(the standard error of each coefficient, the blocks that it comes from); None if there are too few requests. A block in
    which a length does not vary has no fit of its own and is left out."""
    if len(y) < LEAST_FOR_INTERVAL:
        return None, 0
    fits = []
    for number in range(BLOCKS):
        mine = block == number
        if int(mine.sum()) > 2 * (x.shape[1] + 1) and not any(x[mine, i].std() == 0 for i in range(x.shape[1])):
            fits.append(quantile_fit(x[mine], y[mine], q))
    if len(fits) < LEAST_BLOCKS:
        return None, 0
    found: Array = np.std(fits, axis=0, ddof=1) / np.sqrt(len(fits))
    return found, len(fits)


def quantile_fit(x: Array, y: Array, q: float) -> Array:
    """(constant, a coefficient per column of `x`) of the q-quantile of `y`: least sum of the tilted absolute deviations."""
    from scipy import optimize, sparse

    n, k = len(y), x.shape[1] + 1
    scale = np.maximum(np.abs(x).max(axis=0), 1e-12) if k > 1 else np.ones(0)
    tall = max(float(np.abs(y).max()), 1e-12)
    design = np.column_stack([np.ones(n), x / scale])
    # the dual of the usual programme: n bounded unknowns and k equations, which HiGHS solves in a fraction of the time
    found = optimize.linprog(
        -y / tall, A_eq=sparse.csr_matrix(design.T), b_eq=(1 - q) * design.sum(axis=0), bounds=(0, 1), method="highs"
    )
    coefficients: Array = -np.asarray(found.eqlin.marginals, float) * tall
    coefficients[1:] /= scale
    return coefficients
