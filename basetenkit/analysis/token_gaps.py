"""The gaps between output chunks as times of tokens. A chunk may hold several tokens.

A server that speculates or buffers sends several tokens at once. The gaps between its chunks are then not inter-token latencies:
the first of k tokens that arrive together waited the whole gap, the others not at all, and a client cannot see when each was
made. So each gap is given in three ways: as measured, divided evenly among its tokens, and as bounds on the latency of each of
those tokens. The bounds include the clock's proven error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ..results.run_data import RunData
from ..results.schema import LEVEL
from ..workload.tokenizer import Tokenizer, load_tokenizer
from .given import of_run

_SCHEMA: dict[Any, Any] = {
    "request_id": pl.String(),
    **dict(zip(LEVEL, (pl.String(), pl.String(), pl.Float64()), strict=True)),
    "index": pl.Int32(),
    "tokens": pl.Int32(),
    "gap_s": pl.Float64(),
    "per_token_s": pl.Float64(),
    "low_s": pl.Float64(),
    "high_s": pl.Float64(),
}


@of_run
def token_gaps(run: RunData, tokenizer: str | Tokenizer | None = None) -> pl.DataFrame:
    """One row per output chunk of a successful request in the window: request_id, scenario, load, level, index, tokens (those
    that its text completes), gap_s (since the chunk before; null for the first), per_token_s (gap_s / tokens), low_s and high_s
    (each of its tokens' latencies lies between: low_s is 0 if there are several).

    `tokenizer`: a name or a loaded one; None is the run's own. `tokens`, and what follows from it, is null for chunks without
    text of their own (reasoning, tool calls), for those that complete no token, and where the tokenizer is one in Python
    alone, which does not say where a token ends. TokenizerError if it cannot be loaded.
    """
    loaded = tokenizer if isinstance(tokenizer, Tokenizer) else load_tokenizer(tokenizer or run.config.tokenizer)
    ok = run.requests.filter(pl.col("in_window") & (pl.col("outcome") == "ok"))
    chunks = (
        run.chunks.join(ok.lazy().select("request_id", *LEVEL), on="request_id").sort("request_id", "index").collect()
    )
    texts = dict(ok.select("request_id", "text").iter_rows())
    counted = [
        _counted(part, texts[str(key[0])] or "", loaded)
        for key, part in chunks.group_by("request_id", maintain_order=True)
    ]
    frame = pl.concat(
        [chunks.drop("tokens").clear().with_columns(tokens=pl.lit(None, pl.Int32)), *counted], how="diagonal"
    )
    return _gaps(frame).select(list(_SCHEMA)).cast(_SCHEMA)


def _counted(chunks: pl.DataFrame, text: str, tokenizer: Tokenizer) -> pl.DataFrame:
    """The chunks of one response with the tokens that each completes. The text is cut into tokens once, as a whole: a chunk's
    text by itself may be cut otherwise."""
    ends = tokenizer.ends(text)
    if ends is None:
        return chunks.with_columns(tokens=pl.lit(None, pl.Int32))
    places = chunks["text_end"].to_numpy().astype(float)
    has_text = ~np.isnan(places)
    total = np.searchsorted(np.array(ends), places[has_text], side="right")
    tokens = np.full(len(places), -1)
    tokens[has_text] = np.diff(total, prepend=0)
    return chunks.with_columns(tokens=pl.Series(tokens, dtype=pl.Int32)).with_columns(
        pl.when(pl.col("tokens") > 0).then("tokens").alias("tokens")
    )


def _gaps(frame: pl.DataFrame) -> pl.DataFrame:
    before = pl.col("arrival_s", "error_s").shift().over("request_id")
    gap, tokens = pl.col("gap_s"), pl.col("tokens")
    earliest = pl.max_horizontal(gap - pl.col("error_s"), pl.lit(0.0))
    known = gap.is_not_null() & tokens.is_not_null()
    return (
        frame.with_columns(before.name.suffix("_before"))
        .with_columns(gap_s=pl.col("arrival_s") - pl.col("arrival_s_before"))
        .with_columns(
            per_token_s=gap / tokens,
            low_s=pl.when(known).then(pl.when(tokens > 1).then(0.0).otherwise(earliest)),
            high_s=pl.when(known).then(gap + pl.col("error_s_before")),
        )
    )
