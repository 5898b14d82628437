"""Whether a run met its limits: it finished, few requests failed, it met an SLO, and it is no worse than a baseline.

A gate is for programs that need a yes or a no: a scheduled notebook, a command in CI. Each gate has one sentence with the value
and the limit, and one of three verdicts. A share passes if its whole interval is within the limit, fails if its whole interval
is beyond it, and is inconclusive otherwise, because there are too few requests. An unknown figure never passes. A baseline is
from another day, and figures change from day to day: a figure within the tolerance passes, and fails only if the whole interval
of the ratio is beyond the tolerance. Next to each verdict is the effect that the gate could have detected with this number of
requests.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from ..config.loads import LevelKey
from ..core.errors import ConfigError, GateError
from ..core.tables import html_table
from ..core.types import Row
from ..results.run_data import RunData
from ..results.schema import LEVEL
from ..stats import intervals as st
from ..storage.address import Place
from . import figures
from .comparison import compare, ratios
from .cost import COSTS, TITLES
from .given import Given, as_run
from .metrics import METRICS, headline
from .token_reconciliation import unexplained

GOODPUT, ERRORS, UNFINISHED, TOLERANCE = 0.99, 0.01, 0.01, 0.2
PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
POWER, POWER_Z = 0.8, 0.8416  # a gate can see what it would fail with a chance of 80%
GUARDED = ("ttft_s_p50", "ttft_s_p95", "tpot_s_mean", "e2e_s_p50", "e2e_s_p95", "output_tokens_per_s", "inputs_per_s")


@dataclass(frozen=True)
class Gate:
    """One limit at one level. `verdict`: "pass", "fail" or "inconclusive"; `sentence` says it; `could_see`: the least change for
    the worse that would have failed this gate with a chance of 80%, "" if that has no meaning."""

    gate: str
    where: str
    found: str
    limit: str
    verdict: str
    sentence: str
    could_see: str = ""


@dataclass(frozen=True)
class Judgement:
    """All gates of a run. As the last line of a cell it shows a table.

    Attributes
    ----------
    gates : each gate at each level.
    failed : one sentence per gate that failed; `missed` is the old name, until version 0.2.
    inconclusive : one sentence per gate that has too few requests for a decision.
    """

    gates: tuple[Gate, ...]

    @property
    def failed(self) -> list[str]:
        return [gate.sentence for gate in self.gates if gate.verdict == FAIL]

    @property
    def missed(self) -> list[str]:
        """`failed`, under its old name."""
        return self.failed

    @property
    def inconclusive(self) -> list[str]:
        return [gate.sentence for gate in self.gates if gate.verdict == INCONCLUSIVE]

    def enforce(self) -> None:
        """Raises GateError if a gate failed; its message lists all failed gates in one sentence."""
        if self.failed:
            parts = "; ".join(sentence.rstrip(".") for sentence in self.failed)
            raise GateError(f"{len(self.failed)} of {len(self.gates)} gates failed: {parts}.")

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        names = ("gate", "where", "found", "limit", "verdict", "could_see")
        rows = [{name.replace("_", " "): getattr(gate, name) for name in names} for gate in self.gates]
        return html_table(rows)._repr_mimebundle_()

    def __repr__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]


def check_gates(
    run: Given,
    *,
    goodput: float = GOODPUT,
    max_error_rate: float = ERRORS,
    max_unfinished: float | None = UNFINISHED,
    baseline: Given | None = None,
    tolerance: float = TOLERANCE,
    history: Place | pl.LazyFrame | None = None,
) -> Judgement:
    """Checks a Run, or the folder of a saved one, against limits at each level:

    - the share of planned requests that were cut or never sent must be at most `max_unfinished` (None: no such gate, for levels
      that end by time);
    - the share of failures must be at most `max_error_rate`;
    - if the config has an `slo`, the share of requests within all its limits must be at least `goodput`;
    - if a `baseline` is given (a Run, or the folder of a saved one), each of GUARDED may be worse by at most `tolerance`, a
      share;
    - if a `history` is given (a folder of saved runs, or `bk.history` of one), no figure of GUARDED may be worse than the
      expected range.

    ConfigError if a limit is not a share, or if the runs have no level in common. StoreError if the baseline's folder is not a
    run, or if the history is not a folder."""
    data = as_run(run, "check_gates")
    limits = {"goodput": goodput, "max_error_rate": max_error_rate, "max_unfinished": max_unfinished}
    for name, value in limits.items():
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"check_gates: {name}={value}; a share from 0 to 1, e.g. 0.99")
    if tolerance < 0:
        raise ConfigError(f"check_gates: tolerance={tolerance}; a share of the baseline's figure, e.g. 0.2 for 20%")
    gates = [] if max_unfinished is None else list(unfinished(data, max_unfinished))
    gates += [*failures(data, max_error_rate), *slo(data, goodput)]
    gates += against(data, baseline, tolerance) if baseline is not None else ()
    return Judgement((*gates, *(_by_history(data, history) if history is not None else ())))


judge = check_gates  # its name until version 0.2


def _by_history(run: RunData, runs: Place | pl.LazyFrame) -> Iterator[Gate]:
    from .history_gates import from_history  # it makes gates, too, by what is in this file

    return from_history(run, runs)


def unfinished(run: RunData, most: float = UNFINISHED) -> Iterator[Gate]:
    """At each level the share of planned requests that were cut when the level ended, or never sent."""
    for row in figures.fates(run).iter_rows(named=True):
        cut, unsent, where = row["cancelled"], max(row["never_sent"], 0), str(LevelKey.of(row))
        share = (cut + unsent) / row["planned"] if row["planned"] else 0.0
        sentence = (
            f"{where}: {cut + unsent} of {row['planned']} planned requests did not end ({cut} cut, {unsent} never sent); "
            f"at most {most:.1%} may."
        )
        verdict = FAIL if share > most else PASS
        yield Gate("unfinished", where, f"{share:.1%}", f"at most {most:.1%}", verdict, sentence)


def failures(run: RunData, most: float = ERRORS) -> Iterator[Gate]:
    """At each level the share of requests that failed, of all measured ones that were not cut: those that a window leaves out,
    which no latency is of, count here."""
    judged = run.requests.filter((pl.col("phase") == "measured") & (pl.col("outcome") != "cancelled"))
    judged = judged.sort("repeat", "start_s")
    for row in figures.summary_wide(run).select(LEVEL).iter_rows(named=True):
        part = judged.filter(pl.all_horizontal(pl.col(name) == row[name] for name in LEVEL))
        bad = st.fraction((part["outcome"] != "ok").to_numpy(), part["repeat"].to_numpy())
        where, limit = str(LevelKey.of(row)), f"at most {most:.1%}"
        found = "an unknown share" if bad.value is None else f"{bad.value:.1%}{_between(bad.low, bad.high)}"
        sentence = f"{where}: {found} of the requests failed; {limit} may."
        named = {"gate": "failures", "where": where, "found": found, "limit": limit, "sentence": sentence}
        yield _share_gate(named, bad.value, bad.low, bad.high, part.height, most)


def slo(run: RunData, goodput: float = GOODPUT) -> Iterator[Gate]:
    """At each level the share of requests within every limit of the config's `slo`; no gate if it has none."""
    if not run.config.slo:
        return
    limits = ", ".join(f"{name} {limit:g}" for name, limit in run.config.slo.items())
    for row in figures.summary_wide(run).iter_rows(named=True):
        kept, low, high, where = row["goodput"], row["goodput_low"], row["goodput_high"], str(LevelKey.of(row))
        found = "an unknown share" if kept is None else "all" if kept == 1 else f"{kept:.1%}"
        found += _between(low, high)
        sentence = f"{where}: {found} of the requests were within {limits}; at least {goodput:.1%} must be."
        named = {"gate": f"within {limits}", "where": where, "found": found, "limit": f"at least {goodput:.1%}"}
        bad, least, most = (None if x is None else 1 - x for x in (kept, high, low))
        yield _share_gate(named | {"sentence": sentence}, bad, least, most, row["in_window"], 1 - goodput)


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({low:.1%} to {high:.1%})"


def _share_gate(
    named: Mapping[str, str], bad: float | None, low: float | None, high: float | None, n: float, most: float
) -> Gate:
    """A gate on the share of requests that went wrong, of `n`, by its interval; `named`: the gate's texts."""
    if bad is None:
        return Gate(**named, verdict=FAIL)
    if n < st.LEAST and (low is None or high is None):  # too few to know of dependence: at best they are independent
        low, high = _clopper_pearson(bad * n, max(n, 1))
    low, high = 0.0 if low is None else low, 1.0 if high is None else high  # a bound that is withheld bounds nothing
    verdict = PASS if high <= most else FAIL if low > most else INCONCLUSIVE
    texts = dict(named)
    if verdict == INCONCLUSIVE and (need := _enough(bad, most)) is not None:
        texts["sentence"] += f" There are too few requests to decide: about {need:,} independent ones are needed."
    return Gate(**texts, verdict=verdict, could_see=_seen_share(_effective(bad, low, high), most))


def _clopper_pearson(hits: float, n: float) -> tuple[float, float]:
    inverse = st.special().betaincinv
    low = 0.0 if hits <= 0 else float(inverse(hits, n - hits + 1, 0.025))
    return low, 1.0 if n - hits < 1e-9 else float(inverse(hits + 1, n - hits, 0.975))


def _effective(share: float, low: float, high: float) -> float:
    """How many independent requests would give a share this interval."""
    few, many = 1.0, 1e7
    for _ in range(60):
        n = math.sqrt(few * many)
        bounds = _clopper_pearson(share * n, n)
        few, many = (n, many) if bounds[1] - bounds[0] > high - low else (few, n)
    return few


def _enough(share: float, most: float) -> int | None:
    """Independent requests with this share of bad ones after which the interval is on one side of the limit; None if too many."""
    for n in (round(10 * 1.1**k) for k in range(120)):
        low, high = _clopper_pearson(share * n, n)
        if high <= most or low > most:
            return n
    return None


def _seen_share(n: float, most: float) -> str:
    """From which share of bad requests on a gate of `n` independent requests fails with a chance of 80%."""
    inverse = st.special().betaincinv
    hits = next((k for k in range(1, int(n) + 1) if inverse(k, n - k + 1, 0.025) > most), None) if n < 1e5 else n * most
    if hits is None:
        return "nothing: too few requests"
    return f"{float(inverse(hits, max(n - hits, 0) + 1, POWER)):.1%} bad or more"


def accounted(run: RunData, most: float) -> Iterator[Gate]:
    """At each level the share of the reported tokens for which no cause is known, as `token_causes` has it."""
    for row in figures.summary_wide(run).iter_rows(named=True):
        of_level = pl.all_horizontal(pl.col(name) == row[name] for name in LEVEL)
        share, where = unexplained(run.requests.filter(of_level)), str(LevelKey.of(row))
        verdict = FAIL if share is None or share > most else PASS
        found = "an unknown share" if share is None else f"{share:.2%}"
        sentence = f"{where}: {found} of the tokens paid for is unexplained; at most {most:.2%} may be."
        yield Gate("unexplained tokens", where, found, f"at most {most:.2%}", verdict, sentence)


def against(run: RunData, baseline: Given, tolerance: float = TOLERANCE) -> Iterator[Gate]:
    """Each guarded figure as a ratio to the baseline's, at each level that both have. A figure that cannot be known fails if fewer
    requests succeeded than in the baseline: what hung has no latency."""
    found = compare(baseline, run)
    if not found.frame.height:
        raise ConfigError(
            f"check_gates: the baseline has none of this run's levels ({', '.join(found.only_b) or 'it has none'})"
        )
    for row in found.frame.iter_rows(named=True):
        if row["metric"] in guarded(row["load"]):
            yield _regression(row, tolerance, found.fewer(row))
    for level in found.only_b:
        sentence = f"{level}: the baseline has no such level."
        yield Gate("baseline", level, "no such level", "", INCONCLUSIVE, sentence)


def guarded(load: str) -> list[str]:
    """The guarded figures under a load: of an open loop, latencies from when a request was due."""
    parts = [name.rsplit("_", 1) for name in GUARDED]
    return [f"{headline(base, load)}_{stat}" if base in METRICS else f"{base}_{stat}" for base, stat in parts]


def _regression(row: Row, tolerance: float, fewer: bool) -> Gate:
    """Worse only if the whole interval of the ratio is beyond the limit; a missing interval proves nothing. `fewer`: whether fewer
    requests succeeded than in the baseline."""
    lower = row["better"] == "lower"
    limit = 1 + tolerance if lower else 1 / (1 + tolerance)
    ratio, near = row["ratio"], row["ratio_low"] if lower else row["ratio_high"]

    def beyond(x: float | None) -> bool:
        return x is not None and (x > limit if lower else x < limit)

    unknown = FAIL if fewer else INCONCLUSIVE
    verdict = unknown if ratio is None else FAIL if beyond(near) else INCONCLUSIVE if beyond(ratio) else PASS
    title, where, shown = figure_title(row["metric"]), str(LevelKey.of(row)), ratios(row)
    allowed = f"{'at most' if lower else 'at least'} {limit:.3g}"
    sentence = f"{where}: {title} is {shown} times the baseline's; {allowed} is allowed."
    if ratio is None:
        why = "; fewer requests succeeded than in the baseline" if fewer else ""
        sentence = f"{where}: {title} is unknown, so it cannot be compared with the baseline's{why}."
    seen = "" if ratio is None else _seen_ratio(ratio, near, limit, lower)
    return Gate(f"{title} / baseline", where, shown, allowed, verdict, sentence, seen)


def _seen_ratio(ratio: float, near: float | None, limit: float, lower: bool) -> str:
    """From which ratio on such a gate fails with a chance of 80%, if its interval is as wide as here."""
    if not near or near <= 0 or ratio <= 0:
        return "nothing: the interval has no bound"
    half = abs(math.log(ratio / near))
    least = limit * math.exp((1 if lower else -1) * half * (1 + POWER_Z / st.Z975))
    return f"x{least:.3g} or {'more' if lower else 'less'}"


def figure_title(name: str) -> str:
    """ "ttft_s_p50" -> "time to first token p50"."""
    if name in METRICS:
        return METRICS[name].title.lower()
    if name in COSTS:
        return TITLES[name]
    base, stat = name.rsplit("_", 1)
    title = METRICS[base].title
    return f"{title[:1].lower()}{title[1:]} {stat}"
