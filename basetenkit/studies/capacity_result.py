"""The result of a search for a capacity: figures, one row per block, sentences, a chart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from ..config.loads import ClosedLoop, OpenLoop
from ..config.run_config import RunConfig
from ..core.tables import html_table, show, stacked
from ..core.types import JsonObject
from ..reporting.altair_renderer import enable_charts
from ..runs import Run
from ..stats import capacity_search as cs
from ..stats.capacity import Posterior, effective, posterior, probability_kept
from .capacity_blocks import BlockRecord

NEAR = 0.1  # blocks within this share of the low end tell why requests are bad there
UNITS = {True: "requests/s", False: "requests in flight"}


@dataclass(frozen=True)
class Capacity:
    """What `bk.capacity` returns.

    `value`, `low`, `high`: the largest load that meets the SLO, as the posterior's median and 95% interval, in requests per
    second or requests in flight; None if there is no such number, and `outcome` has the reason. Plan with `low`. `resolved`:
    whether the interval is as narrow as requested. `certificate`: the result of a last block at `low`: "kept", "not shown" or
    "not kept", or "not run". `design_effect`: how many requests near capacity carry as much information as one independent
    request. `frame`: one row per block, with the posterior after that block. `runs`: one Run per block; the first has the
    single requests. `caveats`: limits of the result. `usd_per_million_output_tokens`: the cost at `low`, from the certificate's
    block and the config's price, or None; with `_low` and `_high` (95%).
    """

    outcome: str
    value: float | None
    low: float | None
    high: float | None
    resolved: bool
    certificate: str
    goodput: float
    slo: dict[str, float]
    load: str
    design_effect: float
    frame: pl.DataFrame
    runs: list[Run]
    caveats: list[str]
    more_requests: int | None = None
    usd_per_million_output_tokens: float | None = None
    posterior: pl.DataFrame = field(default_factory=pl.DataFrame)
    usd_per_million_output_tokens_low: float | None = None
    usd_per_million_output_tokens_high: float | None = None

    @property
    def sentence(self) -> str:
        """The answer in one or two sentences."""
        unit = UNITS[self.load == OpenLoop.kind]
        limits = ", ".join(f"{name} at most {limit:g}" for name, limit in self.slo.items())
        goal = f"at least {self.goodput:.0%} of requests keep {limits}"
        if self.value is None:
            return f"{_WHY[self.outcome]} (the goal: {goal})."
        shown = "" if self.certificate == "not run" else f" A last block at {self.low:.3g} {unit}: {self.certificate}."
        rough = "" if self.resolved else " This is a rough guess: the interval is wider than was asked for."
        return (
            f"Up to {self.value:.3g} {unit} (95% interval {self.low:.3g} to {self.high:.3g}) {goal}. "
            f"Plan with {self.low:.3g} {unit}.{shown}{rough}"
        )

    def chart(self) -> Any:
        """The share of good requests per block over load, with the posterior's 95% interval of the capacity: an altair chart."""
        import altair as alt

        enable_charts()
        unit = UNITS[self.load == OpenLoop.kind]
        frame = self.frame.select("block", "load", "kind", "abandoned", "sent", share=pl.col("good") / pl.col("n"))
        points = alt.Chart(frame).mark_point(filled=True, size=70)
        points = points.encode(
            x=alt.X("load:Q", title=unit, scale=alt.Scale(type="log")),
            y=alt.Y("share:Q", title="share within the SLO"),
            color=alt.Color("kind:N", title="block"),
            shape=alt.Shape("abandoned:N", title="ended early"),
            tooltip=["block", "load", "share", "kind", "sent"],
        )
        goal = alt.Chart(pl.DataFrame({"goodput": [self.goodput]})).mark_rule(strokeDash=[4, 4]).encode(y="goodput:Q")
        layers: list[Any] = [goal, points]
        if self.low is not None:
            band = pl.DataFrame({"low": [self.low], "high": [self.high]})
            layers.insert(0, alt.Chart(band).mark_rect(opacity=0.2).encode(x="low:Q", x2="high:Q"))
        return alt.layer(*layers).properties(width=520, height=260)

    def __repr__(self) -> str:
        return "\n".join([self.sentence, *self.caveats])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        rows = [{name: show(value) for name, value in row.items()} for row in self.frame.iter_rows(named=True)]
        tables = [html_table(rows, self.sentence), html_table([{"to know": text} for text in self.caveats])]
        return {"text/html": stacked(*tables), "text/plain": repr(self)}


_WHY = {
    "none_kept": "No load that was tried kept the SLO",
    "all_kept": "The highest load that was allowed kept the SLO",
    "not_monotone": "The share of good requests did not fall with load, so no largest load describes this endpoint",
    "no_data": "The search ended before it could bracket the capacity",
    "found": "",
}


def made(
    answer: cs.Answer,
    config: RunConfig,
    settings: JsonObject,
    records: Sequence[BlockRecord],
    runs: list[Run],
    ratio: float,
    history: Sequence[Posterior | None] = (),
) -> Capacity:
    """The result of a search's answer and blocks."""
    found, goodput = answer.posterior, float(settings["goodput"])
    given = found if answer.outcome is cs.SearchOutcome.FOUND else None
    grid = {} if found is None else {"load": found.loads, "mass": found.mass}
    more = _more(answer, records, ratio)
    certificate, caveats = answer.certificate, list(_caveats(answer, records, goodput, found, more))
    if _share_unknown(records) > (1 - goodput) / 2 and certificate == "kept":
        certificate = "not shown"
    costs = _cost(runs, records)
    if costs[0] is not None and (price := config.price) is not None:
        bounds = "" if None in costs else " ({1:.3g} to {2:.3g})".format(*costs)
        caveats.append(f"At the low end: {costs[0]:.3g} US dollars per million output tokens{bounds}; {price.origin}.")
    ends = (None, None, None) if given is None else (given.value, given.low, given.high)
    if (
        given is not None and str(settings["load"]) == ClosedLoop.kind
    ):  # whole requests: the low end down, the high end up
        ends = (float(round(given.value)), float(max(1, math.floor(given.low))), float(math.ceil(given.high)))
    return Capacity(
        answer.outcome.value,
        ends[0],
        ends[1],
        ends[2],
        answer.resolved,
        certificate,
        goodput,
        dict(config.slo),
        str(settings["load"]),
        answer.design,
        _frame(records, goodput, answer.design, history),
        runs,
        caveats,
        more,
        costs[0],
        pl.DataFrame(grid),
        *costs[1:],
    )


def _frame(
    records: Sequence[BlockRecord], goodput: float, design: float, history: Sequence[Posterior | None]
) -> pl.DataFrame:
    """One row per block; the posterior is null until there is a bracket."""
    rows = []
    for k, record in enumerate(records):
        after = history[k] if k < len(history) else None
        ends = (None, None, None) if after is None else (after.low, after.value, after.high)
        n_eff = effective(record.evidence, design)[1]
        evidence = probability_kept(record.evidence, design, goodput)
        row = [k + 1, record.load, record.kind, record.seconds, record.sent, record.n, record.good, record.unknown]
        rows.append([*row, n_eff, evidence, record.abandoned, record.reached_per_s, record.p95_s, record.usd, *ends])
    whole = dict.fromkeys(("sent", "n"), pl.Int64)
    schema = {"block": pl.Int64, "load": pl.Float64, "kind": pl.String, "seconds": pl.Float64} | whole
    schema |= {"good": pl.Float64, "unknown": pl.Int64, "n_eff": pl.Float64, "evidence": pl.Float64}
    last = ("reached_per_s", "e2e_s_p95", "usd", "low", "value", "high")
    return pl.DataFrame(rows, schema | {"abandoned": pl.Boolean} | dict.fromkeys(last, pl.Float64), orient="row")


def _more(answer: cs.Answer, records: Sequence[BlockRecord], ratio: float) -> int | None:
    """About how many more requests the wanted interval takes: its width falls with the root of their number."""
    if answer.resolved or answer.posterior is None or answer.posterior.high <= answer.posterior.low:
        return None
    now = math.log(answer.posterior.high / answer.posterior.low) / math.log(ratio)
    sent = sum(record.sent for record in records)
    return round(sent * max(now**2 - 1, 0.0)) if now > 1 else None


def _share_unknown(records: Sequence[BlockRecord]) -> float:
    unknown = sum(record.unknown for record in records if not record.abandoned)
    n = sum(record.n for record in records if not record.abandoned)
    return unknown / (n + unknown) if n + unknown else 0.0


def _caveats(
    answer: cs.Answer, records: Sequence[BlockRecord], goodput: float, found: Posterior | None, more: int | None
) -> Any:
    sent = sum(record.sent for record in records)
    minutes = sum(record.seconds for record in records) / 60
    worth = sum(effective(record.evidence, answer.design)[1] for record in records)
    given_up = sum(record.abandoned for record in records)
    yield (
        f"{sent:,} requests in {len(records)} blocks and {minutes:.1f} minutes, worth about {worth:.0f} independent ones "
        f"(design effect {answer.design:.3g}); blocks ended early: {given_up}. This holds for this endpoint, these lengths and "
        "this hour."
    )
    if more:
        yield f"The interval that was asked for takes about {more:,} more requests ({more / max(sent, 1) * minutes:.0f} minutes)."
    if answer.rough:
        yield f"Fewer than {cs.ROUGH:,} requests were judged: a rough guess."
    if answer.outcome is cs.SearchOutcome.NOT_MONOTONE:
        for slower, faster in list(answer.apart)[:3]:
            yield (
                f"{faster.share:.1%} were good at {faster.load:.3g}, and {slower.share:.1%} at {slower.load:.3g}: a cache that "
                "fills, an autoscaler, a rate limiter, or batches that wait for company."
            )
    elif answer.drifted:
        yield "The server changed while it was searched: plan with the low end, and repeat the search at other hours."
    if answer.slower is not None:
        yield (
            f"After an overload, single requests took {answer.slower - 1:.0%} longer than before the search. The figures are of "
            "that state: restart the endpoint, set `high` below the overload, and search again to know the other one."
        )
    sessions = sum(record.sessions or 0 for record in records)
    if sessions:
        yield (
            f"The requests are turns of {sessions:,} conversations. Each conversation counts as one observation, by its share of "
            "good turns; the load counts turns."
        )
    reasons: Counter[str] = Counter()
    for record in records:
        if found is not None and abs(math.log(record.load / found.low)) <= NEAR:
            reasons.update(record.reasons)
    if reasons:
        yield "Bad requests near the low end: " + ", ".join(f"{name} {n}" for name, n in reasons.most_common()) + "."
    share = _share_unknown(records)
    if share > 0:
        yield f"{share:.1%} of requests could not be judged, because a figure of theirs is missing; they are left out."
    if share > (1 - goodput) / 2 and found is not None:
        both = [
            posterior([r.evidence_with(good) for r in records], goodput, float(found.loads[0]), float(found.loads[-1]))
            for good in (False, True)
        ]
        yield f"If all of these were bad, the interval would be {_ends(both[0])}; if all were good, {_ends(both[1])}."


def _ends(found: Posterior) -> str:
    return f"{found.low:.3g} to {found.high:.3g}"


def _cost(runs: Sequence[Run], records: Sequence[BlockRecord]) -> tuple[float | None, float | None, float | None]:
    """US dollars per million output tokens in the certificate's block: value, low, high."""
    if not records or records[-1].kind != cs.BlockKind.CERTIFICATE or not runs or runs[-1].config.price is None:
        return None, None, None
    row = runs[-1].summary_wide.row(0, named=True)
    value, low, high = (row[f"usd_per_million_output_tokens{end}"] for end in ("", "_low", "_high"))
    return value, low, high
