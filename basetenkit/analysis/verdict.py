"""The verdict: what a run found, in one to three sentences with figures, and the figures themselves.

With an SLO: the largest level that is within it, and the first that is not. Without: what more load brought, and where that
ended. In both cases first what failed, and why. "Within", "rose" and "no more" are used only if the 95% intervals show it; else
the sentence says that they do not. Every figure of a sentence is in `evidence`, and in `run.summary_wide` under the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

from ..config.loads import LevelKey
from ..core.in_words import InWords
from ..core.types import Estimate, Row
from ..results.run_data import RunData
from ..results.schema import LEVEL
from . import figures, gates
from .cost import COSTS
from .metrics import headline
from .rates import misses
from .sweep import served

THROUGHPUT = ("output_tokens_per_s", "inputs_per_s", "requests_per_s")  # the first that a run has


class VerdictStatus(StrEnum):
    """What a verdict says, for code."""

    KEPT = "kept"  # at least one level is within the SLO
    MISSED = "missed"  # at least one level is not, and none is
    UNDECIDED = "undecided"  # there is an SLO, and the intervals show neither
    MEASURED = "measured"  # there is no SLO
    FAILED = "failed"  # no measured request succeeded
    EMPTY = "empty"  # no measured request was sent


@dataclass(frozen=True, slots=True)
class LevelEvidence:
    """The figures of one level that a verdict rests on.

    Attributes
    ----------
    level : scenario and load.
    sent, ok, failed, unfinished : planned requests that were sent, succeeded, failed, and that were cut or never sent.
    outcomes : failed requests by outcome.
    message : the most frequent error message of the failed ones, "" if there is none.
    throughput_metric, throughput : the throughput that the run has: output tokens, inputs or requests per second.
    cost_metric, cost : US dollars per million output tokens, or per million tokens if there are no output tokens; unknown without
        a price.
    latency_metric, latency : in s, median TTFT, or E2E if nothing was streamed; of an open loop from when requests were due.
    served : the share of an open loop's offered load that was served.
    goodput : the share of requests within the SLO.
    slo : "pass", "fail" or "inconclusive" by the interval of `goodput`; "" without an SLO.
    misses : the share of requests over each limit by its name, and "failed".
    """

    level: LevelKey
    sent: int
    ok: int
    failed: int
    unfinished: int
    outcomes: Mapping[str, int] = field(hash=False)
    message: str
    throughput_metric: str
    throughput: Estimate
    cost_metric: str
    cost: Estimate
    latency_metric: str
    latency: Estimate
    served: Estimate
    goodput: Estimate
    slo: str
    misses: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(InWords):
    """What a run found. `str(verdict)` is the text, `sentences` its one to three sentences, `status` what it says, for code, and
    `evidence` the figures of each level that it rests on. `goodput`: the share of requests that must be within the SLO."""

    status: VerdictStatus
    sentences: tuple[str, ...]
    evidence: tuple[LevelEvidence, ...]
    goodput: float = gates.GOODPUT


@figures.once
def verdict(run: RunData) -> Verdict:
    """The verdict of a run; with an SLO, at least 99% of the requests of a level must be within it."""
    return verdict_at(run, gates.GOODPUT)


def verdict_at(run: RunData, goodput: float) -> Verdict:
    """The verdict if at least the share `goodput` of a level's requests must be within the SLO."""
    from .verdict_sentences import sentences  # it imports this file

    evidence = tuple(_evidence(run, goodput))
    return Verdict(_status(evidence, bool(run.config.slo)), sentences(run, evidence, goodput), evidence, goodput)


def _status(evidence: tuple[LevelEvidence, ...], has_slo: bool) -> VerdictStatus:
    if not any(level.sent for level in evidence):
        return VerdictStatus.EMPTY
    if not any(level.ok for level in evidence):
        return VerdictStatus.FAILED
    if not has_slo:
        return VerdictStatus.MEASURED
    found = {level.slo for level in evidence}
    if gates.PASS in found:
        return VerdictStatus.KEPT
    return VerdictStatus.MISSED if gates.FAIL in found else VerdictStatus.UNDECIDED


def _evidence(run: RunData, goodput: float) -> Iterator[LevelEvidence]:
    summary, slo = figures.summary_wide(run), run.config.slo
    judged = [gate.verdict for gate in gates.slo(run, goodput)] if slo else [""] * summary.height
    fates = {LevelKey.of(row): row for row in figures.fates(run).iter_rows(named=True)}
    throughput = next((name for name in THROUGHPUT if summary[name].count()), THROUGHPUT[-1])
    cost = COSTS[throughput == "inputs_per_s"]
    latency = (
        "ttft_s" if any(summary[headline("ttft_s", kind) + "_p50"].count() for kind in summary["load"]) else "e2e_s"
    )
    for row, kept in zip(summary.iter_rows(named=True), judged, strict=True):
        key = LevelKey.of(row)
        rows = run.rows.filter(pl.all_horizontal(pl.col(name) == row[name] for name in LEVEL))
        bad = rows.filter((pl.col("phase") == "measured") & ~pl.col("outcome").is_in(["ok", "cancelled"]))
        fate = fates.get(key, {})
        metric = f"{headline(latency, row['load'])}_p50"
        yield LevelEvidence(
            level=key,
            sent=row["sent"] or 0,
            ok=row["ok"] or 0,
            failed=bad.height,
            unfinished=fate.get("cancelled", 0) + max(fate.get("never_sent", 0), 0),
            outcomes=dict(bad["outcome"].value_counts(sort=True).iter_rows()),
            message=str(bad["error_message"].drop_nulls().mode().sort().first() or ""),
            throughput_metric=throughput,
            throughput=_estimate(row, throughput),
            cost_metric=cost,
            cost=_estimate(row, cost) if cost in row else Estimate(None),
            latency_metric=metric,
            latency=_estimate(row, metric),
            served=served(row),
            goodput=_estimate(row, "goodput"),
            slo=gates.INCONCLUSIVE if slo and row["goodput"] is None else kept,
            misses=misses(rows.filter("in_window"), slo) if slo else {},
        )


def _estimate(row: Row, name: str) -> Estimate:
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"])
