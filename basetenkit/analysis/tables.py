"""A run -> tables that a person reads: the overview, the tokens, the findings. Figures in the units people think in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from ..display import Html, html_table, interval
from .accounts import token_table
from .metrics import headline

if TYPE_CHECKING:
    from collections.abc import Mapping

_LATENCIES = [
    ("TTFT", "ttft_s", "p50"),
    ("TTFT", "ttft_s", "p99"),
    ("ITL", "itl_s", "p50"),
    ("TPOT", "tpot_s", "mean"),
    ("E2E", "e2e_s", "p50"),
]


def _load(row: Mapping[str, Any]) -> str:
    return f"{row['level']:g}/s" if row["load"] == "request_rate" else f"{row['level']:g} in flight"


def _cell(row: Mapping[str, Any], name: str, factor: float = 1.0) -> str:
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"], factor)


def overview(run: Any) -> Html:
    """One row a level: requests, latencies in ms (of an open loop from when a request was due), throughput, each with its 95%
    interval, and the clock's proven error."""
    return html_table(overview_rows(run))


def overview_rows(run: Any) -> list[dict[str, Any]]:
    """What `overview` shows, for who shows it otherwise: title -> what stands there, a level."""
    rows = []
    for row in run.summary.iter_rows(named=True):
        shown = {"scenario": row["scenario"], "load": _load(row), "ok": f"{row['ok']} of {row['sent']}"}
        for title, name, figure in _LATENCIES:
            shown[f"{title} {figure}, ms"] = _cell(row, f"{headline(name, row['load'])}_{figure}", 1e3)
        shown |= {"output tokens/s": _cell(row, "output_tokens_per_s"), "requests/s": _cell(row, "requests_per_s")}
        error = row["clock_error_p99_s"]
        rows.append(shown | {"clock error p99, ms": "–" if error is None else f"{error * 1e3:.3f}"})
    return rows


def tokens(run: Any) -> Html:
    """Tokens a level and direction by the four accounts, and the difference between what was reported and what was counted."""
    rows = []
    for row in token_table(run.requests).iter_rows(named=True):
        both = row["reported"] is not None and row["counted"] is not None
        shown = {"scenario": row["scenario"], "load": _load(row), "tokens": row["tokens"], "requests": row["requests"]}
        shown |= {name: row[name] for name in ("asked", "reported", "counted", "chunks")}
        rows.append(shown | {"reported - counted": row["reported"] - row["counted"] if both else None})
    return html_table(rows)


def findings_table(run: Any) -> Html:
    """The findings: what, and what to do."""
    return html_table([{"finding": f.code, "what": f.sentence, "what to do": f.cure} for f in run.findings])


def samples(run: Any, n: int = 5) -> pl.DataFrame:
    """The first `n` rows, with the columns that one looks at first."""
    first = [
        "request_id",
        "level",
        "outcome",
        "ttft_s",
        "ttft_error_s",
        "e2e_s",
        "output_tokens",
        "token_source",
        "error_message",
    ]
    return run.requests.select(first).head(n)  # type: ignore[no-any-return]
