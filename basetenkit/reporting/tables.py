"""A run -> tables for people: the overview, the tokens, the findings. Figures in the units people think in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ..analysis import figures
from ..analysis.clock_error import bounded, error_name
from ..analysis.cost import COSTS, caching
from ..analysis.cost import of_run as of_whole_run
from ..analysis.given import of_run
from ..analysis.history import history
from ..analysis.metrics import METRICS, PERCENTILES, headline
from ..analysis.token_reconciliation import token_table
from ..analysis.verdict import verdict
from ..config.loads import KINDS, LevelKey
from ..config.price import Price
from ..core.tables import Html, digits, html_table, interval, show
from ..core.types import Row
from ..results.run_data import RunData
from ..results.schema import LEVEL
from ..storage.address import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKS = {"pass": "✓ kept", "fail": "✗ missed", "inconclusive": "? undecided"}
_LATENCIES = [
    ("TTFT", "ttft_s", "p50"),
    ("TTFT", "ttft_s", "p99"),
    ("ITL", "itl_s", "p50"),
    ("TPOT", "tpot_s", "mean"),
    ("E2E", "e2e_s", "p50"),
]


def _cell(row: Row, name: str, factor: float = 1.0) -> str:
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"], factor)


@of_run
def overview(run: RunData) -> Html:
    """One row per level: requests, whether the SLO was kept if there is one, latencies in ms (of an open loop from when a request
    was due), throughput, each with its 95% interval, and the clock's proven error."""
    return html_table(overview_rows(run))


@of_run
def overview_rows(run: RunData) -> list[dict[str, str]]:
    """The content of `overview`, for other displays: title -> value, per level."""
    embeddings = _embeddings(figures.summary_wide(run))
    rows = [_overview_row(row, embeddings) for row in figures.summary_wide(run).iter_rows(named=True)]
    if not run.config.slo:
        return rows
    marks = [MARKS[level.slo] for level in verdict(run).evidence]
    shares = [_cell(row, "goodput", 1e2) for row in figures.summary_wide(run).iter_rows(named=True)]
    slo = [{"SLO": mark, "goodput, %": share} for mark, share in zip(marks, shares, strict=True)]
    return [_first(row, 3) | kept | row for row, kept in zip(rows, slo, strict=True)]


@of_run
def answer_table(run: RunData) -> Html:
    """The most important columns of `overview`: one row per level with the SLO's mark, throughput, TTFT and E2E."""
    wanted = ("load", "ok", "SLO", "goodput, %", "output tokens/s", "inputs/s", "TTFT", "E2E")
    rows = overview_rows(run)
    several = len({row["scenario"] for row in rows}) > 1
    kept = ("scenario", *wanted) if several else wanted
    shown = [{name: value for name, value in row.items() if name.startswith(kept)} for row in rows]
    empty = [name for name in (shown[0] if shown else ()) if all(row[name] == "–" for row in shown)]
    caption = "" if several or not rows else rows[0]["scenario"]
    return html_table([{k: v for k, v in row.items() if k not in empty} for row in shown], caption)


def _first(row: Mapping[str, str], n: int) -> dict[str, str]:
    return dict(list(row.items())[:n])


def _embeddings(summary: pl.DataFrame) -> bool:
    """Whether inputs were counted: they are an embeddings run's throughput, as output tokens are any other's."""
    return summary["inputs_per_s"].count() > 0


def _overview_row(row: Row, embeddings: bool) -> dict[str, str]:
    sent = "–" if row["sent"] is None else f"{row['ok']} of {row['sent']}"
    shown = {"scenario": row["scenario"], "load": str(LevelKey.of(row).load), "ok": sent}
    for title, name, figure in _LATENCIES:
        shown[f"{title} {figure}, ms"] = _cell(row, f"{headline(name, row['load'])}_{figure}", 1e3)
    shown |= {"output tokens/s": _cell(row, "output_tokens_per_s"), "requests/s": _cell(row, "requests_per_s")}
    if embeddings:
        shown |= {"input tokens/s": _cell(row, "input_tokens_per_s"), "inputs/s": _cell(row, "inputs_per_s")}
    error = row["clock_error_p99_s"]
    return shown | {"clock error p99, ms": "–" if error is None else digits(error * 1e3)}


@of_run
def latencies(run: RunData) -> Html:
    """One row per level and latency: its mean and percentiles in ms with their 95% intervals, and the clock's proven error."""
    rows = []
    for row in figures.summary_wide(run).iter_rows(named=True):
        for name in ("ttft_s", "first_content_s", "tpot_s", "itl_s", "e2e_s"):
            metric = METRICS[headline(name, row["load"])]
            if row[f"{metric.name}_p50"] is None or (name == "first_content_s" and _same(row, metric.name)):
                continue
            shown = {"scenario": row["scenario"], "load": str(LevelKey.of(row).load), "ms": metric.title}
            shown["mean"] = _cell(row, f"{metric.name}_mean", 1e3)
            shown |= {f"p{p}": _cell(row, f"{metric.name}_p{p}", 1e3) for p in PERCENTILES}
            of = bounded(name)
            error = None if of is None else row[error_name(of)]
            rows.append(shown | {"clock error p99": None if error is None else digits(error * 1e3)})
    return html_table(rows)


def _same(row: Mapping[str, object], content: str) -> bool:
    """Whether first content is but the first token once more: no reasoning came before it."""
    first = content.replace("first_content", "ttft")
    return all(row[f"{content}_{stat}"] == row[f"{first}_{stat}"] for stat in ("p50", "p99", "mean"))


@of_run
def service(run: RunData) -> Html:
    """One row per level: the share of requests within every limit of the config's `slo`, and the share that failed."""
    limits = ", ".join(f"{name} {limit:g}" for name, limit in run.config.slo.items())
    rows = []
    for row in figures.summary_wide(run).iter_rows(named=True):
        shown = {"scenario": row["scenario"], "load": str(LevelKey.of(row).load), "requests": row["sent"]}
        shown[f"within {limits}, %" if limits else "no slo was set"] = _cell(row, "goodput", 1e2)
        rows.append(shown | {"failed, %": _cell(row, "error_rate", 1e2)})
    return html_table(rows)


@of_run
def costs(run: RunData) -> Html:
    """One row per level: US dollars per million tokens and per hour with their 95% intervals, of the level, its idle share, and
    what a prompt cache would save at most; the caption names the price's source. One row that says so if the run has no price."""
    price = run.config.price
    if price is None:
        return html_table([{"US dollars": "unknown: no price is given"}])
    saved = {LevelKey.of(row): row["most_saved_share"] for row in caching(run).iter_rows(named=True)}
    rows = []
    for row in figures.summary_wide(run).iter_rows(named=True):
        shown = {"scenario": row["scenario"], "load": str(LevelKey.of(row).load)}
        for title, name in zip(("USD/1M output tokens", "USD/1M tokens", "USD/hour"), COSTS, strict=True):
            shown[title] = _cell(row, name)
        shown |= {"USD of the level": show(row["usd"])}
        if price.dedicated:
            shown["idle, %"] = "–" if row["idle_share"] is None else digits(100 * row["idle_share"])
        if saved:
            most = saved.get(LevelKey.of(row))
            shown["a cache saves at most, %"] = show(None if most is None else 100 * most)
        rows.append(shown)
    total = of_whole_run(run)
    spent = "" if total is None else f"; the whole run: {total:,.2f} US dollars"
    kind = "whole bill of the replicas at this load" if price.dedicated else "price per token, input included"
    return html_table(rows, f"Costs by {kind} ({price.origin}){spent}")


def past(folder: Place, n: int = 10) -> Html:
    """The latest `n` runs of a folder of saved ones, one row per level, by date, as `overview` has them."""
    names = ["run", "started_at", "complete", *LEVEL, "sent", "ok"]
    figures = [headline(name, load) + f"_{stat}" for _, name, stat in _LATENCIES for load in KINDS]
    figures += ["output_tokens_per_s", "requests_per_s", "input_tokens_per_s", "inputs_per_s"]
    bounds = [f"{name}{end}" for name in dict.fromkeys(figures) for end in ("", "_low", "_high")]
    costs = [f"{COSTS[0]}{end}" for end in ("", "_low", "_high")]
    known = history(folder).filter(pl.col("problem").is_null())
    runs = known.select(*names, *bounds, *costs, "price", "clock_error_p99_s").collect()
    latest = runs["run"].unique(maintain_order=True).tail(n)
    rows = []
    for row in runs.filter(pl.col("run").is_in(latest.to_list())).iter_rows(named=True):
        at = "–" if row["started_at"] is None else f"{row['started_at']:%Y-%m-%d %H:%M:%S}"
        shown = {"run": Path(row["run"]).name, "started, UTC": at, "complete": "yes" if row["complete"] else "NO"}
        shown |= _overview_row(row, _embeddings(runs))
        if runs["price"].count():
            origin = "no price is given" if row["price"] is None else Price.model_validate_json(row["price"]).origin
            shown |= {"USD/1M output tokens": _cell(row, COSTS[0]), "costs by": origin}
        rows.append(shown)
    return html_table(rows)


@of_run
def tokens(run: RunData) -> Html:
    """Tokens per level and direction, counted in four ways, and the difference between reported and counted tokens, over the
    requests that have both. A sum over fewer requests than were successful shows their number."""
    rows = []
    for row in token_table(run.requests).iter_rows(named=True):
        shown = {
            "scenario": row["scenario"],
            "load": str(LevelKey.of(row).load),
            "tokens": row["tokens"],
            "requests": row["requests"],
        }
        shown |= {name: _of_requests(row, name, f"{name}_n") for name in ("asked", "reported", "counted", "chunks")}
        rows.append(shown | {"reported - counted": _of_requests(row, "difference", "both_n")})
    return html_table(rows)


def _of_requests(row: Mapping[str, object], name: str, count: str) -> Any:
    """A sum, and of how many requests it is if it is not of all."""
    value, n = row[name], row[count]
    return value if value is None or n == row["requests"] else f"{show(value)} (of {n} requests)"


@of_run
def findings_table(run: RunData) -> Html:
    """The findings by kind, the most severe first: severity, levels, text, and what to do."""
    return figures.findings(run).table


@of_run
def samples(run: RunData, n: int = 5) -> pl.DataFrame:
    """The first `n` rows, with the most important columns."""
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
    return run.requests.select(first).head(n)
