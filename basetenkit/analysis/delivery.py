"""How tokens arrived, if that changes the meaning of TTFT and TPOT: all at one moment, delayed, or many in the first message.
If a gateway buffers, the figures describe the gateway and not the model."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ..config.run_config import RunConfig
from ..config.tasks import TASKS
from ..core.findings import Finding, finding
from ..results.pace import FIRST_SHARE
from ..results.row_notes import figure, noted
from .metrics import AT_ONCE, ONE_MOMENT, TEXT_TOKENS

MOST = 0.5
SOME = 0.1
LEAST_CHUNKS = 3
EMBEDDED_RATIO, OWN_RATIO = (
    2.0,
    1.25,
)  # a text's count above max_tokens proves something only beyond what tokenizers differ


def of_delivery(where: str, ok: pl.DataFrame, config: RunConfig) -> Iterator[Finding]:
    """Findings of one level's successful requests."""
    at_once = ok.filter(AT_ONCE)
    if at_once.height:
        tokens = float(at_once.select(TEXT_TOKENS.median()).item())
        yield finding("came_at_once", where=where, n=at_once.height, ok=ok.height, tokens=f"{tokens:g}")
    ahead = ok.filter(noted("length_ahead")).height
    if ahead:
        yield finding("length_ahead", where=where, n=ahead, ok=ok.height)
    rest = ok.filter(~AT_ONCE)
    held = rest.filter(noted("few_times") | (ONE_MOMENT & (pl.col("output_chunks") >= LEAST_CHUNKS))).height
    if held > MOST * ok.height:
        yield finding("held_back", where=where, n=held, ok=ok.height)
    full = rest.select(n=figure("first_message", "n"))["n"]
    if (n := full.count()) > SOME * ok.height:
        numbers = {"percent": 100 * FIRST_SHARE, "tokens": f"{float(full.median() or 0):g}"}  # type: ignore[arg-type]
        yield finding("first_message", where=where, n=n, ok=ok.height, **numbers)
    unstreamed = ok.filter(pl.col("ttft_s").is_null()).height - ahead
    if config.endpoint.stream and TASKS[config.task].generates and unstreamed:
        yield finding("not_streamed", where=where, n=unstreamed, ok=ok.height)


def too_long(where: str, ok: pl.DataFrame, is_embedded: bool) -> Iterator[Finding]:
    """Answers that are longer than max_tokens: by the server's own report, or by far more text than that."""
    most = pl.col("output_tokens_target")
    ratio = EMBEDDED_RATIO if is_embedded else OWN_RATIO
    uncounted = pl.col("output_tokens_server").is_null()
    hidden = pl.col("reasoning_tokens").fill_null(0)  # some servers limit the text alone
    single = ~noted("several_choices")
    by_text = uncounted & single & ((pl.col("output_chunks") > most) | (pl.col("output_tokens_client") > ratio * most))
    reported = noted("over_max_tokens") | (single & (pl.col("output_tokens_server") - hidden > most))
    got = pl.coalesce(figure("over_max_tokens", "value"), "output_tokens_server", "output_tokens_client")
    seen = ok.filter(most.is_not_null()).select(most=most, got=got, reported=reported, by_text=by_text)
    long = seen.filter((pl.col("reported") | pl.col("by_text")).fill_null(False))
    if long.height:
        by = "as the server reported them" if long["reported"].any() else "by their text"
        numbers = {"got": f"{float(long['got'].median() or 0):g}", "asked": f"{float(long['most'].median() or 0):g}"}  # type: ignore[arg-type]
        yield finding("output_long", where=where, n=long.height, ok=ok.height, by=by, **numbers)
