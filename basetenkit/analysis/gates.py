"""Whether a run kept what was promised of it: few failures, the limits of an SLO, and no worse than a baseline.

A gate is for machines that must say yes or no: a scheduled notebook, a command in CI. So each says in one sentence what was
found and what would have been right. Nothing passes for being unknown: a share that could not be measured has missed its limit.
A baseline is of another day, and a day moves figures by itself: a run misses it only where the whole interval of the ratio lies
beyond the tolerance, and what is beyond it by the figure alone is shown as not certain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ..display import html_table
from ..errors import ConfigError, GateError
from .comparison import compare, signed
from .metrics import LEVEL, METRICS, headline
from .token_causes import unexplained

GOODPUT, ERRORS, TOLERANCE = 0.99, 0.01, 0.2
KEPT, MISSED, UNSURE, UNKNOWN = "kept", "missed", "not certain", "not known"
GUARDED = ("ttft_s_p50", "ttft_s_p95", "tpot_s_mean", "e2e_s_p50", "e2e_s_p95", "output_tokens_per_s", "inputs_per_s")


@dataclass(frozen=True)
class Gate:
    """One limit at one level. `verdict`: "kept", "missed", or of a baseline "not certain" or "not known"; `sentence` says it."""

    gate: str
    where: str
    found: str
    limit: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Judgement:
    """All gates of a run, as the last line of a cell a table. `missed`: a sentence for each that was missed."""

    gates: tuple[Gate, ...]

    @property
    def missed(self) -> list[str]:
        return [gate.sentence for gate in self.gates if gate.verdict == MISSED]

    def enforce(self) -> None:
        """GateError where a gate was missed, with all that was missed in one sentence."""
        if self.missed:
            parts = "; ".join(sentence.rstrip(".") for sentence in self.missed)
            raise GateError(f"{len(self.missed)} of {len(self.gates)} gates missed: {parts}.")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        names = ("gate", "where", "found", "limit", "verdict")
        return html_table([{name: getattr(gate, name) for name in names} for gate in self.gates])._repr_mimebundle_()

    def __repr__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]


def judge(
    run: Any,
    *,
    goodput: float = GOODPUT,
    max_error_rate: float = ERRORS,
    baseline: Any = None,
    tolerance: float = TOLERANCE,
) -> Judgement:
    """The gates of a Run: at each level the share of failures, at most `max_error_rate`; where the config has an `slo`, the
    share of requests within every limit of it, at least `goodput`; where a `baseline` is given (a Run, or the folder of a saved
    one), each of GUARDED no worse than its by `tolerance`, a share. ConfigError where a limit is no share or the runs have no
    level in common; StoreError where the baseline's folder is no run."""
    for name, value in (("goodput", goodput), ("max_error_rate", max_error_rate)):
        if not 0 <= value <= 1:
            raise ConfigError(f"judge: {name}={value}; a share from 0 to 1, e.g. 0.99")
    if tolerance < 0:
        raise ConfigError(f"judge: tolerance={tolerance}; a share of the baseline's figure, e.g. 0.2 for 20%")
    gates = [*failures(run, max_error_rate), *slo(run, goodput)]
    return Judgement((*gates, *(against(run, baseline, tolerance) if baseline is not None else ())))


def failures(run: Any, most: float = ERRORS) -> Iterator[Gate]:
    """At each level the share of requests that did not succeed, of all measured ones that were not cut: those in the ramp and
    the drain, which no latency is of, count here."""
    judged = run.requests.filter((pl.col("phase") == "measured") & (pl.col("outcome") != "cancelled"))
    rates = judged.group_by(LEVEL).agg(rate=(pl.col("outcome") != "ok").mean())
    for row in run.summary.select(LEVEL).join(rates, on=LEVEL, how="left", maintain_order="left").iter_rows(named=True):
        rate, where = row["rate"], place(row)
        verdict = MISSED if rate is None or rate > most else KEPT
        found = "an unknown share" if rate is None else f"{rate:.1%}"
        sentence = f"{where}: {found} of the requests failed; at most {most:.1%} may."
        yield Gate("failures", where, found, f"at most {most:.1%}", verdict, sentence)


def slo(run: Any, goodput: float = GOODPUT) -> Iterator[Gate]:
    """At each level the share of requests within every limit of the config's `slo`; no gate where it has none."""
    if not run.config.slo:
        return
    limits = ", ".join(f"{name} {limit:g}" for name, limit in run.config.slo.items())
    for row in run.summary.iter_rows(named=True):
        kept, where = row["goodput"], place(row)
        verdict = MISSED if kept is None or kept < goodput else KEPT
        found = "an unknown share" if kept is None else "all" if kept == 1 else f"{kept:.1%}"
        sentence = f"{where}: {found} of the requests kept {limits}; {goodput:.1%} must."
        yield Gate(f"within {limits}", where, found, f"at least {goodput:.1%}", verdict, sentence)


def accounted(run: Any, most: float) -> Iterator[Gate]:
    """At each level the share of the reported tokens for which no cause is known, as `token_causes` has it."""
    for row in run.summary.iter_rows(named=True):
        of_level = pl.all_horizontal(pl.col(name) == row[name] for name in LEVEL)
        share, where = unexplained(run.requests.filter(of_level)), place(row)
        verdict = MISSED if share is None or share > most else KEPT
        found = "an unknown share" if share is None else f"{share:.2%}"
        sentence = f"{where}: {found} of the tokens paid for is unexplained; at most {most:.2%} may be."
        yield Gate("unexplained tokens", where, found, f"at most {most:.2%}", verdict, sentence)


def against(run: Any, baseline: Any, tolerance: float = TOLERANCE) -> Iterator[Gate]:
    """Each guarded figure as a ratio to the baseline's, at each level that both have."""
    found = compare(baseline, run)
    if not found.frame.height:
        raise ConfigError(
            f"judge: the baseline has none of this run's levels ({', '.join(found.only_b) or 'it has none'})"
        )
    for row in found.frame.iter_rows(named=True):
        if row["metric"] in _guarded(row["load"]):
            yield _regression(row, tolerance)
    for level in found.only_b:
        sentence = f"{level}: the baseline has no such level."
        yield Gate("baseline", level, "no such level", "", UNKNOWN, sentence)


def _guarded(load: str) -> list[str]:
    """The guarded figures under a load: of an open loop, latencies from when a request was due."""
    parts = [name.rsplit("_", 1) for name in GUARDED]
    return [f"{headline(base, load)}_{stat}" if base in METRICS else f"{base}_{stat}" for base, stat in parts]


def _regression(row: Mapping[str, Any], tolerance: float) -> Gate:
    """Worse only where the whole interval of the ratio is beyond the limit; a missing interval proves nothing."""
    lower = row["better"] == "lower"
    limit = 1 + tolerance if lower else 1 / (1 + tolerance)
    ratio, near = row["ratio"], row["ratio_low"] if lower else row["ratio_high"]

    def beyond(x: float | None) -> bool:
        return x is not None and (x > limit if lower else x < limit)

    verdict = UNKNOWN if ratio is None else MISSED if beyond(near) else UNSURE if beyond(ratio) else KEPT
    title, where, shown = figure_title(row["metric"]), place(row), signed(row, "ratio", sign="")
    allowed = f"{'at most' if lower else 'at least'} {limit:.3g}"
    sentence = f"{where}: {title} is {shown} times the baseline's; {allowed} is allowed."
    return Gate(f"{title} / baseline", where, shown, allowed, verdict, sentence)


def figure_title(name: str) -> str:
    """ "ttft_s_p50" -> "time to first token p50"."""
    if name in METRICS:
        return METRICS[name].title.lower()
    base, stat = name.rsplit("_", 1)
    title = METRICS[base].title
    return f"{title[:1].lower()}{title[1:]} {stat}"


def place(row: Mapping[str, Any]) -> str:
    """A level as a sentence names it: its scenario and its load."""
    return f"{row['scenario']}, {row['load'].replace('_', ' ')} {row['level']:g}"
