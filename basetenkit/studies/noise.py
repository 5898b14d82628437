"""The noise floor: an endpoint against itself, so that a later difference can be held against what nothing gives.

Pairs of blocks in random order, both of the same endpoint, as `compare_endpoints` runs them. How much a pair's log ratio varies
says which difference a comparison of 10, 30 or 60 minutes could show here; how much all blocks vary says by how much two runs
differ if nothing has changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ..analysis.comparison import SHOWN
from ..analysis.metrics import METRICS, headline
from ..analysis.noise_floor import BAND, FRAME, Noise, band_of, where
from ..config.coercions import as_path
from ..config.run_config import RunConfig
from ..core.errors import ConfigError
from ..core.pending import awaited
from ..execution.waiting import wait_for
from ..runs import Run
from ..stats import intervals as st
from .comparing import compare_endpoints
from .comparing_result import LEAST_PAIRS, LEAST_SECONDS, EndpointComparison
from .design_pairs import shown_by

DURATIONS = (10, 30, 60)


@awaited("bk.noise(config)", "bk.noise_sync(config) if nothing can be awaited")
async def noise(
    config: RunConfig,
    *,
    minutes: float = 10.0,
    save_to: str | Path | None = None,
    seed: int = 0,
    cluster: object = None,
) -> Noise:
    """Measures an endpoint against itself; await it in a cell.

    Parameters
    ----------
    config : one scenario and one level, of which the noise is.
    minutes : how long, about: 10 pairs of blocks at least, of 30 s if there is time for it.
    save_to : a new folder for the blocks and `noise.json`. Saved beside runs of the same endpoint, as "runs/noise", `bk.compare` of
        two of these runs finds it, and `bk.charts.comparison` draws its band.
    seed : of the order of the blocks.
    cluster : as in `bk.run`.

    Returns
    -------
    Noise : `frame`, `band`, `words`.

    Raises
    ------
    ConfigError : several scenarios or levels, or not above 0 minutes. What the endpoint does raises nothing.

    Examples
    --------
    >>> found = await bk.noise(config, minutes=10, save_to="runs/noise")
    >>> found.frame.filter(pl.col("metric") == "ttft_s")
    """
    if not (isinstance(minutes, int | float) and 0 < minutes < math.inf):
        raise ConfigError(f"noise: minutes={minutes!r}; it is above 0, e.g. 10")
    root = None if save_to is None else as_path(save_to, "noise: save_to")
    pairs = max(LEAST_PAIRS, round(60 * minutes / (2 * LEAST_SECONDS)))
    found = await compare_endpoints(
        config, config, pairs=pairs, block_seconds=60 * minutes / (2 * pairs), seed=seed, save_to=root, cluster=cluster
    )
    made = _made(config, found)
    if root is not None:
        made.save(root)
    return made


def noise_sync(config: RunConfig, **options: Any) -> Noise:
    """`noise` for a script, or for a cell that cannot await; it blocks the calling thread. Arguments and errors as there."""
    return wait_for(lambda: noise(config, **options))


def _made(config: RunConfig, found: EndpointComparison) -> Noise:
    blocks, (first, *_) = found.blocks, found.runs
    starts = [at.timestamp() for at in blocks["started_at"].drop_nulls()]
    seconds = float(blocks["seconds"].fill_null(0).sum())
    each = blocks.height // 2
    between = max(starts) - min(starts) if starts else 0.0
    pair_s = max(seconds, between) / each
    (entry, *_) = first.manifest.levels
    url, model = where(config.with_whole_url().endpoint)
    about = entry.key.columns
    return Noise(
        url,
        model,
        str(about["scenario"]),
        str(about["load"]),
        float(about["level"]),
        min(starts, default=0.0),
        max(seconds, between) / 60,
        int(blocks["sent"].max() or 0),  # type: ignore[arg-type]
        seconds / blocks.height,
        pl.DataFrame(_smallest(found.frame, pair_s), FRAME, orient="row"),
        _band(found.runs),
        _words(found, seconds / blocks.height),
    )


def _smallest(judged: pl.DataFrame, pair_s: float) -> list[list[object]]:
    """Per metric and duration: pairs that fit into it, and what they could show."""
    rows: list[list[object]] = []
    for row in judged.filter(pl.col("of") == "block means").iter_rows(named=True):
        df = row["pairs"] - 1
        spread = None if row["low"] is None else _spread(row["low"], row["high"], row["pairs"])
        for minutes in DURATIONS:
            pairs = int(60 * minutes / pair_s) if pair_s > 0 else 0
            if spread is None or pairs < 2:
                rows.append([row["metric"], float(minutes), pairs, None, None, None, None])
                continue
            quantiles = [float(st.special().chdtri(df, share)) for share in (0.025, 0.975)]
            ends = [shown_by(spread * math.sqrt(df / q), pairs)[1] for q in quantiles]
            rows.append([row["metric"], float(minutes), pairs, *shown_by(spread, pairs), *ends])
    return rows


def _spread(low: float, high: float, pairs: int) -> float:
    """The standard deviation of the log ratio from pair to pair, from the 95% interval of its mean."""
    return math.log(high / low) / 2 / st.t975(pairs - 1) * math.sqrt(pairs)


def _band(runs: Sequence[Run]) -> pl.DataFrame:
    summaries = [run.summary_wide.row(0, named=True) for run in runs if run.summary_wide.height]
    rows: list[list[object]] = []
    for name in dict.fromkeys([*SHOWN, *(_due(name) for name in SHOWN)]):
        values = [summary.get(name) for summary in summaries]
        if (found := band_of(values)) is not None:
            rows.append([name, *found, len(values)])
    return pl.DataFrame(rows, BAND, orient="row")


def _due(name: str) -> str:
    metric, _, stat = name.rpartition("_")
    return f"{headline(metric, 'request_rate')}_{stat}" if metric in METRICS else name


def _words(found: EndpointComparison, block_s: float) -> list[str]:
    words = list(found.verdict.sentences[1:])  # requests that failed, and a design below the rule
    if found.verdict.status == "differs":
        words.append(
            "The endpoint differed from itself here, which happens by chance in one of twenty cases: measure again, or for longer."
        )
    words.append(
        f"This holds for this endpoint, this level and this hour, and for blocks of {block_s:.0f} s. A drift that is slower than "
        "the measurement is not in it."
    )
    return words
