"""The sentences of a verdict: one to three, from its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ..config.loads import ClosedLoop
from ..core.reasons import StopReason
from ..core.tables import digits, interval, percent
from ..core.types import Estimate
from ..results.run_data import RunData
from . import figures, gates
from .metrics import METRICS
from .sweep import FLAT, sweep

if TYPE_CHECKING:
    from .verdict import LevelEvidence

MOST_SENTENCES, MOST_GROUPS, MESSAGE_MAX = 3, 4, 120
SHORT = {"ttft_s": "TTFT", "tpot_s": "TPOT", "itl_s": "ITL", "e2e_s": "E2E"}
SHORT |= {"ttft_due_s": "TTFT from due", "e2e_due_s": "E2E from due", "first_content_s": "time to first content"}
UNITS = {"output_tokens_per_s": "tokens/s", "inputs_per_s": "inputs/s", "requests_per_s": "requests/s"}
COST_UNITS = {"usd_per_million_output_tokens": "million output tokens", "usd_per_million_tokens": "million tokens"}


def sentences(run: RunData, evidence: Sequence[LevelEvidence], goodput: float) -> tuple[str, ...]:
    """The verdict in words, the most important three sentences at most: a stop, the answer, what failed."""
    measured = [level for level in evidence if level.sent]
    stopped = list(_stopped(run))
    if not measured:
        return tuple([*_no_answer(run), *stopped] or ["No request was sent, so nothing was measured."])
    if not any(level.ok for level in measured):
        return tuple([*_no_answer(run), *stopped, _nothing_ok(measured)][:MOST_SENTENCES])
    groups = _groups(level for level in measured if level.ok)
    if run.config.slo:
        said = _Slo(run.config.slo, goodput).answer(groups)
    else:
        said = _load_answer(groups, run)
    first, *rest = said
    kept = [*stopped, first, *(_failures(measured) or rest[1:2]), *rest[:1]]
    # the last of them is left out; the others come in the order: stop, answer, failures
    chosen = kept[:MOST_SENTENCES]
    return tuple(sorted(chosen, key=[*stopped, *said, *_failures(measured)].index))


def _groups(levels: Iterable[LevelEvidence]) -> list[list[LevelEvidence]]:
    """The levels of each scenario and kind of load, by rising load."""
    groups: dict[tuple[str, str], list[LevelEvidence]] = {}
    for level in levels:
        groups.setdefault((level.level.scenario, level.level.load.kind), []).append(level)
    return [sorted(group, key=lambda level: level.level.load.level) for group in groups.values()]


def at(level: LevelEvidence) -> str:
    """The load of a level: "8 in flight", "5 requests/s"."""
    load = level.level.load
    return f"{load.users} in flight" if isinstance(load, ClosedLoop) else str(load)


def title(metric: str) -> str:
    """ "ttft_s_p50" -> "TTFT p50"."""
    name, stat = metric.rsplit("_", 1)
    return f"{SHORT.get(name, METRICS[name].title)} {stat}"


def _rate(level: LevelEvidence) -> str:
    return (
        "" if level.throughput.value is None else f"{digits(level.throughput.value)} {UNITS[level.throughput_metric]}"
    )


def _delay(level: LevelEvidence) -> str:
    e = level.latency
    if e.value is None:
        return "" if e.low is None else f"{title(level.latency_metric)} at least {digits(e.low * 1e3)} ms"
    return f"{title(level.latency_metric)} {digits(e.value * 1e3)} ms"


def _price(level: LevelEvidence) -> str:
    e = level.cost
    if e.value is None:
        return ""
    return f"{interval(e.value, e.low, e.high)} US dollars per {COST_UNITS[level.cost_metric]}"


def _told(level: LevelEvidence) -> str:
    """Throughput, latency and cost of a level, as far as they are known."""
    return (
        ", ".join(filter(None, (_rate(level), _delay(level), _price(level))))
        or f"{level.ok} of {level.sent} requests succeeded"
    )


def _between(e: Estimate) -> str:
    return "" if e.low is None or e.high is None else f" ({percent(e.low)} to {percent(e.high)})"


def _short(words: str) -> str:
    text = " ".join(words.split()).rstrip(".")
    return text if len(text) <= MESSAGE_MAX else f"{text[:MESSAGE_MAX].rstrip()}…"


def _counts(outcomes: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{n:,} {outcome}" for outcome, n in outcomes)


def _no_answer(run: RunData) -> Iterator[str]:
    yield from (f.sentence for f in figures.findings(run) if f.code == "nothing_answers")


def _stopped(run: RunData) -> Iterator[str]:
    """That a run was stopped, and how far it had come."""
    levels = run.manifest.levels
    undone = [entry for entry in levels if not entry.done]
    if not undone or any(f.code == "nothing_answers" for f in figures.findings(run)):
        return
    why = next((e.ended_by for e in undone if e.ended_by and e.ended_by.reason is StopReason.STOPPED), None)
    because = "" if why is None else f" ({why})"
    yield f"Stopped early{because}: {len(levels) - len(undone)} of {len(levels)} levels finished."


def _nothing_ok(levels: Sequence[LevelEvidence]) -> str:
    sent = sum(level.sent for level in levels)
    outcomes: dict[str, int] = {}
    for level in levels:
        for outcome, n in level.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + n
    said = f"None of the {sent:,} requests succeeded"
    said += f" ({_counts(outcomes.items())})" if outcomes else ": all were cut before they ended"
    message = next((level.message for level in levels if level.message), "")
    return f"{said}; most often: {_short(message)}." if message else f"{said}."


def _failures(levels: Sequence[LevelEvidence]) -> list[str]:
    """What failed first and why, or what did not end."""
    for group in _groups(levels):
        for level in group:
            if level.failed:
                where = _where(level, levels)
                said = f"{level.failed:,} of {level.sent:,} requests failed ({_counts(level.outcomes.items())})"
                first = "First failures" if any(x.failed for x in levels if x is not level) else "Failures"
                why = f"; most often: {_short(level.message)}" if level.message else ""
                return [f"{first} at {where}: {said}{why}."]
    for group in _groups(levels):
        for level in group:
            planned = level.ok + level.failed + level.unfinished
            if level.unfinished > gates.UNFINISHED * planned:
                return [
                    f"At {_where(level, levels)}, {level.unfinished:,} of {planned:,} planned requests did not end."
                ]
    return []


def _where(level: LevelEvidence, levels: Sequence[LevelEvidence]) -> str:
    """The level's load, and its scenario if there are several."""
    several = len({x.level.scenario for x in levels}) > 1
    return f"{at(level)} of {level.level.scenario}" if several else at(level)


class _Slo:
    """The answer of a run that has an SLO."""

    def __init__(self, limits: dict[str, float], goodput: float) -> None:
        self._limits, self._goodput = limits, goodput

    @property
    def _name(self) -> str:
        return ", ".join(f"{SHORT.get(name, name)} {limit:g} s" for name, limit in self._limits.items())

    def answer(self, groups: Sequence[Sequence[LevelEvidence]]) -> list[str]:
        return list(self._of_one(groups[0]) if len(groups) == 1 else self._of_several(groups))

    def _kept(self, group: Sequence[LevelEvidence]) -> tuple[LevelEvidence | None, LevelEvidence | None]:
        """(the largest level within the SLO below the first that is not, the first that is not)."""
        first_bad = next((level for level in group if level.slo == gates.FAIL), None)
        below = group if first_bad is None else group[: group.index(first_bad)]
        return next((level for level in reversed(below) if level.slo == gates.PASS), None), first_bad

    def _up_to(self, level: LevelEvidence, group: Sequence[LevelEvidence]) -> str:
        below = group[: group.index(level)]
        return "up to" if below and all(x.slo == gates.PASS for x in below) else "at"

    def _of_one(self, group: Sequence[LevelEvidence]) -> Iterator[str]:
        best, bad = self._kept(group)
        if best is not None:
            yield f"Within the SLO ({self._name}) {self._up_to(best, group)} {at(best)}: {_told(best)}."
        if bad is not None:
            yield self._missed(bad, best)
        top = group[-1]
        if best is not None and bad is None and best is top and len(group) > 1:
            yield "No level missed it, so the limit is at a higher load."
        open_yet = next((x for x in reversed(group) if x.slo == gates.INCONCLUSIVE), None)
        if open_yet is not None and (bad is None or best is None):
            yield self._undecided(open_yet, alone=best is None and bad is None)

    def _missed(self, bad: LevelEvidence, best: LevelEvidence | None) -> str:
        good = bad.goodput
        low, high = (None if x is None else 1 - x for x in (good.high, good.low))
        share = Estimate(1 - (good.value or 0.0), low, high)
        told = f"{percent(share.value or 0.0)}{_between(share)} of requests miss"
        limits = [self._part(name, part) for name, part in bad.misses.items()]
        alone = len(limits) == 1 and "failed" not in bad.misses
        why = "" if alone or not limits else f": {', '.join(limits)}"
        if best is not None:
            return f"At {at(bad)}, {told} {self._name if alone else 'it'}{why}."
        return f"Not within the SLO at {at(bad)}: {told} {self._name}{why}. There: {_told(bad)}."

    def _part(self, name: str, share: float) -> str:
        return (
            f"{percent(share)} {'failed' if name == 'failed' else f'{SHORT.get(name, name)} {self._limits[name]:g} s'}"
        )

    def _undecided(self, level: LevelEvidence, *, alone: bool) -> str:
        e, must = level.goodput, percent(self._goodput)
        if e.value is None:
            return f"At {at(level)} it is not known how many requests are within {self._name}."
        told = "all requests" if e.value == 1 else f"{percent(e.value)} of requests"
        proves = (
            f"the 95% interval begins at {percent(e.low)}" if e.low is not None else "there are too few for an interval"
        )
        if e.value < self._goodput and e.low is not None and e.high is not None:
            proves = f"the 95% interval is {percent(e.low)} to {percent(e.high)}"
        said = f"At {at(level)}, {told} are within {self._name}, which does not decide whether {must} are: {proves}."
        return f"{said} There: {_told(level)}." if alone else said

    def _of_several(self, groups: Sequence[Sequence[LevelEvidence]]) -> Iterator[str]:
        found = [(group, *self._kept(group)) for group in groups]
        kept = [
            f"{best.level.scenario} {self._up_to(best, group)} {at(best)} ({_told(best)})"
            for group, best, _ in found
            if best is not None
        ]
        missed = [
            f"{bad.level.scenario} at {at(bad)}"
            + ("" if bad.goodput.value is None else f" ({percent(1 - bad.goodput.value)} of requests)")
            for _, _, bad in found
            if bad is not None
        ]
        if kept:
            yield f"Within the SLO ({self._name}): {_listed(kept)}."
        if missed:
            yield f"{'It is missed' if kept else f'The SLO ({self._name}) is missed'} by {_listed(missed)}."
        open_yet = [group[-1].level.scenario for group, best, bad in found if best is None and bad is None]
        if open_yet:
            yield f"Too few requests to decide: {_listed(open_yet)}."


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - MOST_GROUPS
    return "; ".join([*parts[:MOST_GROUPS], *([f"and {more} more"] if more > 0 else [])])


def _load_answer(groups: Sequence[Sequence[LevelEvidence]], run: RunData) -> list[str]:
    if len(groups) > 1:
        tops = [max(group, key=lambda level: level.throughput.value or 0.0) for group in groups]
        return [
            f"Highest throughput measured: {_listed([f'{x.level.scenario} at {at(x)} ({_told(x)})' for x in tops])}."
        ]
    (group,) = groups
    if len(group) == 1:
        (only,) = group
        ok = (
            f"all {only.sent:,} requests succeeded"
            if only.ok == only.sent
            else f"{only.ok:,} of {only.sent:,} requests succeeded"
        )
        told = _told(only)
        return [f"At {at(only)}: {told}." if only.ok != only.sent or ok in told else f"At {at(only)}: {told}; {ok}."]
    if isinstance(group[0].level.load, ClosedLoop):
        return list(_of_closed_loop(group, run))
    return list(_of_open_loop(group))


def _of_closed_loop(group: Sequence[LevelEvidence], run: RunData) -> Iterator[str]:
    """What more users brought: up to the level from which no further one brings more, if the intervals show one."""
    known = [level for level in group if level.throughput.value is not None]
    if len(known) < 2:
        yield f"At {at(group[-1])}: {_told(group[-1])}."
        return
    levels = sweep(figures.summary_wide(run)).frame.filter(scenario=group[0].level.scenario, load=ClosedLoop.kind)
    full_at = levels["saturation"].first()
    top = next((level for level in known if level.level.load.level == full_at), known[-1])
    base = known[0]
    if top is base:
        yield f"At {at(base)}: {_told(base)}."
    else:
        yield f"From {at(base)} to {at(top)}, {_change(base, top)}."
    if full_at is not None:
        last = known[-1]
        cost = f"; at {at(last)} {_delay(last)}" if _delay(last) else ""
        yield f"Beyond {at(top)} no level brought {FLAT:.0%} more throughput{cost}."
        return
    before = known[-2]
    if rose(before.throughput, top.throughput):
        yield f"Throughput still rose at {at(top)}, so the limit is at a higher load."
    else:
        yield f"The intervals do not show whether {at(top)} brings more than {at(before)}."


def _change(a: LevelEvidence, b: LevelEvidence) -> str:
    """How throughput, latency and cost differ between two levels, in words that the intervals allow."""
    unit = UNITS[a.throughput_metric]
    parts = [f"throughput {_moved(a.throughput, b.throughput, 1, unit)}"]
    if a.latency.value is not None and b.latency.value is not None:
        parts.append(f"{title(a.latency_metric)} {_moved(a.latency, b.latency, 1e3, 'ms')}")
    if a.cost.value is not None and b.cost.value is not None:
        parts.append(f"the cost per {COST_UNITS[a.cost_metric]} {_moved(a.cost, b.cost, 1, 'US dollars')}")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _moved(a: Estimate, b: Estimate, factor: float, unit: str) -> str:
    x, y = (a.value or 0.0) * factor, (b.value or 0.0) * factor
    span = f"from {digits(x)} to {digits(y)} {unit}"
    if not (rose(a, b) or rose(b, a)):
        return f"went {span}, which the intervals do not tell from no change"
    times = f" (x{digits(y / x)})" if x > 0 else ""
    return f"{'rose' if rose(a, b) else 'fell'} {span}{times}"


def rose(a: Estimate, b: Estimate) -> bool:
    """Whether b is more than a: their intervals do not overlap."""
    return a.high is not None and b.low is not None and b.low > a.high


def _of_open_loop(group: Sequence[LevelEvidence]) -> Iterator[str]:
    """Up to which rate an endpoint served the offered load."""
    full = next((x for x in group if x.served.high is not None and x.served.high < 1 - FLAT), None)
    below = group if full is None else group[: group.index(full)]
    kept = next((x for x in reversed(below) if x.served.low is not None and x.served.low >= 1 - FLAT), None)
    if kept is not None:
        yield f"The endpoint kept up with {at(kept)}: {_told(kept)}."
    if full is not None and full.served.value is not None:
        told = f"it served {percent(full.served.value)}{_between(full.served)} of the offered load"
        yield f"At {at(full)} {told}: {_told(full)}."
    elif kept is not group[-1]:
        yield f"The intervals do not show whether it keeps up with {at(group[-1])}: {_told(group[-1])}."
    else:
        first, last = next(pairwise([group[0], group[-1]]))
        if first.latency.value is not None and last.latency.value is not None:
            moved = _moved(first.latency, last.latency, 1e3, "ms")
            yield f"From {at(first)} to {at(last)}, {title(first.latency_metric)} {moved}."
