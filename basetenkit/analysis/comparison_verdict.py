"""The verdict of two saved runs: by how much B's latency and throughput differ from A's, as far as the intervals show it.

It never says which of the two is better: the runs were made at different times, and the last sentence says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..config.loads import ClosedLoop, LevelKey
from ..core.tables import digits, percent
from ..core.types import Estimate, Row
from ..results.run_data import RunData
from ..results.schema import LEVEL
from .compared import ComparisonStatus, ComparisonVerdict, DifferenceEvidence, change, changes
from .metrics import headline
from .verdict import THROUGHPUT, VerdictStatus, verdict
from .verdict_sentences import UNITS, title

SETTLED = "bk.compare_endpoints takes turns between two endpoints and excludes it"


def comparison_verdict(a: RunData, b: RunData, rows: Sequence[Row]) -> ComparisonVerdict:
    """The verdict of two runs. `rows`: the rows of the comparison's frame."""
    if not rows:
        nothing = "The runs have no (scenario, load, level) in common, so nothing can be compared."
        return ComparisonVerdict(ComparisonStatus.NOTHING, (nothing,), ())
    for name, run in (("A", a), ("B", b)):
        found = verdict(run)
        if found.status in (VerdictStatus.FAILED, VerdictStatus.EMPTY):
            told = f"Nothing can be compared with {name}. {found.sentences[0]}"
            return ComparisonVerdict(ComparisonStatus.FAILED, (told,), ())
    latency, throughput = _figures(rows)
    evidence = tuple(_evidence(row) for row in rows if row["metric"] in (*latency, *throughput))
    said = [_told(part) for names in (latency, throughput) if (part := [e for e in evidence if e.metric in names])]
    failed = [_told_failed(row) for row in rows if row["metric"] == "error_rate" and _apart(row)]
    answer = "; ".join(said) or "no latency and no throughput is known in both runs"
    sentences = [f"B against A: {answer}.", *failed[:1], _day(a, b)]
    return ComparisonVerdict(ComparisonStatus.MEASURED, tuple(sentences), evidence)


def _figures(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the latency and of the throughput that both runs have: TTFT p50 or E2E p50 (from due in an open loop)."""
    known = {row["metric"] for row in rows if row["a"] is not None and row["b"] is not None}
    kinds = {row["load"] for row in rows}
    latency = next((n for n in ("ttft_s", "e2e_s") if any(f"{headline(n, k)}_p50" in known for k in kinds)), "e2e_s")
    throughput = next((name for name in THROUGHPUT if name in known), THROUGHPUT[-1])
    return tuple(f"{headline(latency, kind)}_p50" for kind in sorted(kinds)), (throughput,)


def _evidence(row: Row) -> DifferenceEvidence:
    one, two, ratio = (
        Estimate(*(row[f"{name}{end}"] for end in ("", "_low", "_high"))) for name in ("a", "b", "ratio")
    )
    return DifferenceEvidence(row["metric"], LevelKey.of(row), one, two, ratio)


def name_of(metric: str) -> str:
    """A figure's short name: "TTFT p50", "throughput"."""
    return "throughput" if metric in UNITS else title(metric)


def values(evidence: DifferenceEvidence) -> str:
    """Both values of a figure: "96.3 ms against 89.1 ms"."""
    factor, unit = (1.0, UNITS[evidence.metric]) if evidence.metric in UNITS else (1e3, "ms")
    one, two = (None if e.value is None else digits(e.value * factor) for e in (evidence.a, evidence.b))
    return f"{two or 'unknown'} against {one or 'unknown'} {unit}"


def _told(levels: Sequence[DifferenceEvidence]) -> str:
    """One figure over all levels that both runs have."""
    if len(levels) == 1:
        (only,) = levels
        return f"at {_at(only.level)}, {name_of(only.metric)} {_is(only)}"
    name, n = name_of(levels[0].metric), len(levels)
    parts = []
    for direction, sign in (("higher", 1), ("lower", -1)):
        moved = [e for e in levels if e.differs and sign * ((e.ratio.value or 1) - 1) > 0]
        if moved:
            most = max(moved, key=lambda e: sign * (e.ratio.value or 1))
            parts.append(
                f"{direction} at {len(moved)} of {n} levels (most at {_at(most.level, levels)}: {_size(most)})"
            )
    rest = n - sum(e.differs for e in levels)
    if rest:
        where = f"any of {n} levels" if rest == n else f"{rest} of {n}"
        parts.append(f"not shown to differ at {where}")
    return f"{name} is {', '.join(parts)}"


def _is(e: DifferenceEvidence) -> str:
    if e.differs:
        return f"is {_size(e)}"
    if e.ratio.low is None or e.ratio.high is None:
        return f"is {values(e)}; there are too few requests for an interval"
    return f"is {values(e)}, which the intervals do not show to differ"


def _size(e: DifferenceEvidence) -> str:
    """ "8.1% higher (95% interval 2% to 15% higher; 96.3 against 89.1 ms)"; only of a figure whose interval is known."""
    return f"{change(e.ratio.value or 1)} (95% interval {changes(e.ratio.low or 1, e.ratio.high or 1)}; {values(e)})"


def _at(level: LevelKey, levels: Sequence[DifferenceEvidence] = ()) -> str:
    load = f"{level.load.users} in flight" if isinstance(level.load, ClosedLoop) else str(level.load)
    return f"{load} of {level.scenario}" if len({e.level.scenario for e in levels}) > 1 else load


def _apart(row: Row) -> bool:
    """Whether the intervals of a share in the two runs do not overlap."""
    ends = [row[f"{name}{end}"] for name in ("a", "b") for end in ("_low", "_high")]
    return None not in ends and (ends[1] < ends[2] or ends[3] < ends[0])


def _told_failed(row: Row) -> str:
    where = _at(LevelKey.of(dict(zip(LEVEL, (row[k] for k in LEVEL), strict=True))))
    return (
        f"At {where}, {percent(row['b'])} of requests failed in B, {percent(row['a'])} in A, so the latencies are of different "
        "parts of the requests."
    )


def _day(a: RunData, b: RunData) -> str:
    at = [run.manifest.metadata.started_at for run in (a, b)]
    if at[0] is None or at[1] is None:
        return f"When they ran is not known, so a difference may come from the day; {SETTLED}."
    return (
        f"They ran {_apart_in_time(abs(at[1] - at[0]))} apart, so a difference may come from when they ran; {SETTLED}."
    )


def _apart_in_time(seconds: float) -> str:
    for size, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
