"""Chunks of known tokens, and the bounds of each token's own latency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.token_gaps import token_gaps
from basetenkit.workload.tokenizer import load_tokenizer

from .frames import rows
from .saved import save

TEXT = "one two three four five"


def made(tmp_path: Path, chunks: list[tuple[float, float, int | None]], **columns: Any) -> bk.Run:
    """A run of one response with these chunks: (arrival, error, where its text ends)."""
    ends = [0, *(end or 0 for _, _, end in chunks)]
    frame = pl.DataFrame(
        {
            "request_id": ["r0"] * len(chunks),
            "index": pl.Series(range(len(chunks)), dtype=pl.Int32),
            "arrival_s": [a for a, _, _ in chunks],
            "error_s": [e for _, e, _ in chunks],
            "tokens": pl.Series([None] * len(chunks), dtype=pl.Int32),
            "text_start": pl.Series(
                [None if c[2] is None else s for c, s in zip(chunks, ends, strict=False)], dtype=pl.Int32
            ),
            "text_end": pl.Series([end for _, _, end in chunks], dtype=pl.Int32),
        }
    )
    return bk.load(save(tmp_path / "run", rows(1, request_id="r0", text=TEXT, **columns), frame))


def test_a_chunk_of_one_token_has_a_latency_and_of_several_has_bounds(tmp_path: Path) -> None:
    ends = load_tokenizer(None).ends(TEXT)
    assert ends is not None
    run = made(tmp_path, [(0.1, 0.001, ends[0]), (0.3, 0.002, ends[1]), (0.9, 0.0, ends[-1])])
    got = token_gaps(run)
    assert got["tokens"].to_list() == [1, 1, len(ends) - 2]
    assert got["gap_s"].to_list() == [None, pytest.approx(0.2), pytest.approx(0.6)]
    assert got["per_token_s"].to_list() == [None, pytest.approx(0.2), pytest.approx(0.6 / (len(ends) - 2))]
    assert got["low_s"].to_list() == [None, pytest.approx(0.198), 0.0]
    assert got["high_s"].to_list() == [None, pytest.approx(0.201), pytest.approx(0.602)]


def test_what_has_no_text_or_completes_no_token_has_a_gap_and_no_tokens(tmp_path: Path) -> None:
    ends = load_tokenizer(None).ends(TEXT)
    assert ends is not None
    run = made(tmp_path, [(0.1, 0.0, None), (0.2, 0.0, ends[0] - 1), (0.4, 0.0, ends[0])])
    got = token_gaps(run)
    assert got["tokens"].to_list() == [None, None, 1]
    assert got["gap_s"].to_list() == [None, pytest.approx(0.1), pytest.approx(0.2)]
    assert got["per_token_s"].null_count() == got["low_s"].null_count() == 2


@pytest.mark.parametrize("columns", [{"outcome": "timeout"}, {"phase": "warmup"}])
def test_failures_and_the_warm_up_have_no_gaps(tmp_path: Path, columns: dict[str, Any]) -> None:
    run = made(tmp_path, [(0.1, 0.0, 3), (0.2, 0.0, 7)], **columns)
    got = token_gaps(run)
    assert got.height == 0


def test_the_tokens_of_a_served_response_add_up_to_those_counted() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1, tokens_per_chunk=4) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        run = bk.run_sync(
            bk.RunConfig(
                steady=False,
                preflight=False,
                endpoint=endpoint,
                scenarios=["D(20,22)"],
                concurrency=[2],
                max_requests=4,
            )
        )
    got = run.token_gaps()
    by_request = got.group_by("request_id").agg(pl.col("tokens").sum(), pl.len())
    both = run.requests.join(by_request, on="request_id")
    assert both.height == 4
    assert both["tokens"].to_list() == both["output_tokens_client"].to_list() == [22] * 4
    assert both["len"].to_list() == both["output_chunks"].to_list() == [6] * 4
