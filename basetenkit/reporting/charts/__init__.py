"""A run, or a frame of rows -> altair charts. Each chart is drawn from frames that polars has aggregated, so 100,000 requests
are drawn as fast as 100, and the chart stays small. If there is nothing to draw, the chart says which data are missing.

Every function takes a Run, the folder of a saved one, or a frame of its rows; `comparison` takes the result of `compare`, and
`trend` a history. docs/reference/gallery.md shows them all.
"""

from __future__ import annotations

from .costs import explain_latency
from .counts import error_shares, outcome_bars, outcomes_over_time, token_ledger
from .courses import itl_course, ttft_by_input
from .distributions import inter_token, latency_ecdf, latency_histogram
from .hosts import by_host
from .levels import serving_curve
from .timelines import activity, waterfall
from .versus import comparison, trend

__all__ = [
    "activity",
    "by_host",
    "comparison",
    "error_shares",
    "explain_latency",
    "inter_token",
    "itl_course",
    "latency_ecdf",
    "latency_histogram",
    "outcome_bars",
    "outcomes_over_time",
    "serving_curve",
    "token_ledger",
    "trend",
    "ttft_by_input",
    "waterfall",
]
