"""A run designed for a question and a budget: levels, requests and repeats, with the precision that they will give.

How fast the endpoint is and how much its requests differ comes from a pilot: a short run of the same load, or `bk.noise`. Without
one, only what follows from the config alone is predicted, and the design says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from ..analysis.expected import half_width
from ..analysis.figures import summary_wide
from ..analysis.given import Given, as_run
from ..analysis.metrics import headline
from ..analysis.predicted import PilotLevel, Predicted
from ..config.budget import Budget
from ..config.loads import LevelKey
from ..config.run_config import UNTIL_MOST, RunConfig
from ..core.errors import ConfigError
from ..core.tables import html_table, stacked
from ..core.types import JsonObject
from ..results.run_data import RunData
from .comparing_result import LEAST_PAIRS, LEAST_SECONDS
from .design_pairs import block_requests, pairs_for, shown_by, spread_of_pairs
from .design_question import Question, both_in
from .design_spending import MOST, Cost, Spending, largest

REPEATS = (10, 5, 1)
TAIL_VALUES, PILOT_S = 10, 60.0  # of a pilot: values above a percentile, and s
LEAST_EACH = 40  # requests of a repeat, below which fewer repeats are planned
RATIO = (
    0.17,
    0.32,
)  # log of the ratio of a search's interval at 10,000 requests: the simulated servers of docs/concepts/capacity.md


@dataclass(frozen=True)
class Design:
    """What `bk.design` returns.

    `config`: the RunConfig to run. `call`: the line of Python that runs it, with `options` as its arguments. `frame`: one row per
    level: `repeats`, `requests` (measured, of each repeat), `sent` (in all), `minutes`, `tokens`, `usd`, `figure`, `half_width`
    (the expected half-width of its 95% interval, as a share), `half_low` and `half_high` (four of five such runs are between
    them). Unknown values are null. `reached`: whether nine of ten such runs will be as precise as requested; None if unknown.
    `caveats`: limits of the result.
    """

    question: str
    kind: str
    config: RunConfig
    call: str
    frame: pl.DataFrame
    reached: bool | None
    options: JsonObject = field(default_factory=dict)
    caveats: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        answer = {
            True: "The budget is enough",
            False: "The budget is not enough",
            None: "Whether it is enough is not known",
        }
        return f"{answer[self.reached]} for: {self.question}."

    def __repr__(self) -> str:
        return "\n".join([self.sentence, repr(html_table(self._rows)), *self.caveats, self.call])

    @property
    def _rows(self) -> list[dict[str, str]]:
        rows = []
        for row in self.frame.iter_rows(named=True):
            shown = {
                "level": str(LevelKey.of(row)),
                "repeats": f"{row['repeats']}",
                "requests each": "unknown" if row["requests"] is None else f"{row['requests']:,}",
            }
            for title, name, form in _SHOWN:
                shown[title] = "unknown" if row[name] is None else form.format(row[name])
            low, high = row["half_low"], row["half_high"]
            between = "" if low is None or high is None else f"{low:.1%} to {high:.1%}"
            half = between or "unknown" if row["half_width"] is None else f"±{row['half_width']:.1%} ({between or '–'})"
            rows.append(shown | {f"expected: {row['figure']}": half})
        return rows

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        notes = [{"to know": text} for text in (*self.caveats, self.call)]
        return {
            "text/html": stacked(html_table(self._rows, self.sentence), html_table(notes)),
            "text/plain": repr(self),
        }


_SHOWN = (
    ("requests sent", "sent", "{:,}"),
    ("minutes", "minutes", "{:.1f}"),
    ("tokens", "tokens", "{:,.0f}"),
    ("US dollars", "usd", "{:,.2f}"),
)


def design(
    question: str,
    budget: Budget | Mapping[str, float] | str | None = None,
    *,
    config: RunConfig | None = None,
    pilot: Given | None = None,
) -> Design:
    """A run for a question and a budget, with the precision that it will give; nothing is sent.

    Parameters
    ----------
    question : "ttft p99 within 10%" (half of the 95% interval, as a share of the figure), "compare A with B" or "find capacity".
    budget : a Budget, its fields, or a text such as "20 minutes, 1M tokens, 5 dollars"; None: the question begins with it.
    config : endpoint, scenario and levels; None: those of the pilot.
    pilot : a Run of the same levels, or the folder of a saved one, 200 requests per level or more: how fast the endpoint is and
        how much requests differ. None: only what the config alone says is predicted.

    Returns
    -------
    Design : `config`, `call`, `frame`, `reached`, `caveats`.

    Raises
    ------
    ConfigError : the question or the budget is not understood, or the pilot has no such level.

    Examples
    --------
    >>> pilot = bk.run_sync(config)
    >>> plan = bk.design("ttft p99 within 10%", "20 minutes, 1M tokens", pilot=pilot)
    >>> run = bk.run_sync(plan.config)
    """
    asked, limits = both_in(question, budget)
    data = None if pilot is None else as_run(pilot, "design: pilot")
    if config is None and data is None:
        raise ConfigError("design: give config=bk.RunConfig(...), or pilot= a run of it")
    config = config or data.config  # type: ignore[union-attr]
    if limits.usd is not None and config.price is None:
        raise ConfigError("design: a budget in US dollars needs a price: RunConfig(price=bk.Price(...))")
    levels = {} if data is None else {str(key): _level(data, key) for key in Spending(config, limits, {}).keys}
    spending = Spending(config, limits, {key: _cost(config, level) for key, level in levels.items()})
    made = {"precision": _precise, "compare": _compared, "capacity": _capacity}[asked.kind]
    return made(question, asked, spending, levels)


def _level(pilot: RunData, key: LevelKey) -> PilotLevel:
    """What the pilot says of a level. ConfigError if it has no such level, or no success there."""
    same = pl.all_horizontal(pl.col(name) == value for name, value in key.columns.items())
    rows, figures = pilot.rows.filter(same & pl.col("in_window")), summary_wide(pilot).filter(same)
    if not figures.height or not (rows["outcome"] == "ok").any():
        raise ConfigError(f"design: the pilot has no successful request of {key}; run the same levels first")
    return PilotLevel(rows, figures.row(0, named=True))


def _cost(config: RunConfig, level: PilotLevel) -> Cost:
    """What a request of a level costs, by the pilot."""
    ok = level.rows.filter(pl.col("outcome") == "ok")
    tokens = [ok[f"{side}_tokens"].drop_nulls().mean() for side in ("input", "output")]
    each = None if None in tokens else (float(tokens[0]), float(tokens[1]))  # type: ignore[arg-type]
    return Cost(level.figures.get("requests_per_s"), float(ok["e2e_s"].max() or 0.0), each)  # type: ignore[arg-type]


def _precise(question: str, asked: Question, spending: Spending, levels: Mapping[str, PilotLevel]) -> Design:
    """A run whose figure is as precise as was asked for."""
    config, keys = spending.config, spending.keys

    def halves(n: int, repeats: int) -> list[Predicted]:
        return [_predicted(asked, key, levels.get(str(key)), n * repeats, repeats) for key in keys]

    repeats, most = _repeats(spending)
    wanted = largest(lambda n: not _enough(halves(n, repeats), asked.within), MOST) + 1 if levels else MOST
    n = max(min(most, wanted), 1) if spending.bounded else UNTIL_MOST
    found = halves(n, repeats)
    planned = spending.planned(config.with_(repeats=repeats, max_requests=n, until={}), n, repeats)
    reached = _enough(found, asked.within) if levels else None
    caveats = [f"{key}: {p.reason}." for key, p in zip(keys, found, strict=True) if p.reason]
    caveats += _caveats(spending, levels, asked)
    if reached is False and wanted < MOST:
        caveats.append(_more(spending, wanted, repeats))
    rows = [_row(spending, key, repeats, n, asked.figure, half) for key, half in zip(keys, found, strict=True)]
    return Design(question, asked.kind, planned, "run = await bk.run(found.config)", _frame(rows), reached, {}, caveats)


def _enough(halves: Sequence[Predicted], within: float) -> bool:
    tops = [half.high if half.low is not None else half.half for half in halves]
    return all(top is not None and top <= within for top in tops)


def _predicted(asked: Question, key: LevelKey, level: PilotLevel | None, requests: int, repeats: int) -> Predicted:
    if level is not None:
        metric, _, stat = asked.figure.rpartition("_")
        figure = asked.figure if not metric else f"{headline(metric, key.load.kind)}_{stat}"
        return level.predict(figure if figure in level.figures else asked.figure, requests, repeats)
    typical = half_width(asked.figure[-3:], requests) if asked.figure[-3:] in ("p50", "p99") else None
    if typical is None:
        return Predicted(None, reason="without pilot= a run of these levels, its precision is not known")
    return Predicted(
        None, typical.low, typical.high, "without pilot= a run of these levels, only a wide range is known"
    )


def _repeats(spending: Spending) -> tuple[int, int]:
    """(repeats, the most measured requests of each that the budget pays for): as many repeats as leave each its requests, since
    runs that are spread over time know more of what changes between them."""
    for repeats in REPEATS:
        most = spending.most(repeats)
        around = max(spending.around(key, most) for key in spending.keys)
        if repeats == 1 or most >= max(LEAST_EACH, around):
            return repeats, most
    raise AssertionError("one repeat is always returned")


def _more(spending: Spending, n: int, repeats: int) -> str:
    whole = spending.whole(n, repeats)
    parts = [f"{whole.sent:,} requests"]
    parts += [] if whole.seconds is None else [f"{whole.seconds / 60:,.0f} minutes"]
    parts += [] if whole.tokens is None else [f"{whole.tokens:,.0f} tokens"]
    parts += [] if whole.usd is None else [f"{whole.usd:,.2f} US dollars"]
    return f"It would take about {', '.join(parts)}."


def _caveats(spending: Spending, levels: Mapping[str, PilotLevel], asked: Question) -> Iterator[str]:
    if not spending.bounded:
        yield "How many requests the budget pays for is not known without a pilot: the run ends by its limits of time and tokens."
    for key, level in levels.items():
        n, took = level.rows.height, level.rows["end_s"].max()
        stat = asked.figure.rpartition("_")[2]
        tail = n * (1 - int(stat[1:]) / 100) if stat[1:].isdigit() else n
        if tail < TAIL_VALUES:
            yield f"{key}: the pilot has about {tail:.0f} values above {stat}: the prediction is rough."
        if isinstance(took, float) and took < PILOT_S:
            yield f"{key}: the pilot took {took:.0f} s: if the endpoint changes more slowly than that, intervals will be wider."
    if levels and spending.config.price is not None:
        yield f"Costs by {spending.config.price.origin}."


def _row(spending: Spending, key: LevelKey, repeats: int, n: int, figure: str, half: Predicted) -> list[object]:
    spent = spending.level(key, n, repeats)
    minutes = None if spent.seconds is None else spent.seconds / 60
    amounts = [n, spent.sent, minutes, spent.tokens, spent.usd] if spending.bounded else [None] * 5
    head = [*key.columns.values(), repeats, *amounts]
    return [*head, figure, half.half, half.low, half.high]


def _frame(rows: list[list[object]]) -> pl.DataFrame:
    numbers = dict.fromkeys(("repeats", "requests", "sent"), pl.Int64)
    schema = {"scenario": pl.String, "load": pl.String, "level": pl.Float64} | numbers
    schema |= dict.fromkeys(("minutes", "tokens", "usd"), pl.Float64) | {"figure": pl.String}
    return pl.DataFrame(rows, schema | dict.fromkeys(("half_width", "half_low", "half_high"), pl.Float64), orient="row")


def _compared(question: str, asked: Question, spending: Spending, levels: Mapping[str, PilotLevel]) -> Design:
    """Pairs of blocks of two endpoints."""
    if len(spending.keys) != 1:
        raise ConfigError("design: one scenario and one level at a time for a comparison, e.g. concurrency=8")
    (key,) = spending.keys
    load, cost, level = key.load, spending.costs.get(str(key)), levels.get(str(key))
    blocks = Spending(spending.config.with_(steady=False, preflight=False), spending.budget, spending.costs)
    per_s = load.level if load.scheduled else None if cost is None else cost.per_s
    in_flight = max(load.level, 1.0)
    n = block_requests(in_flight, per_s)
    least = block_requests(in_flight, None)
    while (most := _pairs(blocks, n)) < LEAST_PAIRS and n > least:
        n = max(least, n * 4 // 5)
    if most < 2:
        raise ConfigError(f"design: the budget does not pay for two pairs of blocks of {n} requests at {key}")
    spread = None if level is None else spread_of_pairs(level.rows, asked.figure, load.kind, n - math.ceil(in_flight))
    pairs = pairs_for(spread, asked.within, most)
    half, shows = (None, None) if spread is None else shown_by(spread, pairs)
    reached = None if shows is None else shows <= asked.within
    options = {"pairs": pairs, "block_requests": n, "margin": asked.within, "metric": asked.figure}
    caveats = [] if shows is None else [f"A difference of {shows:.1%} is found with a chance of 80%."]
    if spread is None:
        caveats.append(
            "What difference this can show is not known: give pilot= a run of this level with 40 requests or more."
        )
    if pairs < LEAST_PAIRS or (per_s and n < LEAST_SECONDS * per_s):
        caveats.append(f"The rule is {LEAST_PAIRS} pairs and blocks of 30 s; the budget is below it.")
    row = _row(blocks, key, 2 * pairs, n, asked.figure, Predicted(half))
    config = spending.config.with_(max_requests=n, repeats=1, steady=False, until={})
    call = f"found = await bk.compare_endpoints(found.config, config_b, {_as_arguments(options)})"
    return Design(
        question,
        asked.kind,
        config,
        call,
        _frame([row]),
        reached,
        options,
        [*caveats, *_caveats(spending, levels, asked)],
    )


def _pairs(blocks: Spending, n: int) -> int:
    return largest(lambda k: blocks.whole(n, 2 * k).within(blocks.budget), 500)


def _as_arguments(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _capacity(question: str, asked: Question, spending: Spending, levels: Mapping[str, PilotLevel]) -> Design:
    """A search for the largest load that keeps the config's SLO."""
    config, (key, *others) = spending.config, spending.keys
    if not config.slo:
        raise ConfigError("design: a search for a capacity needs a limit: RunConfig(slo={'ttft_s': 0.5})")
    if others and len({str(one.scenario) for one in spending.keys}) > 1:
        raise ConfigError("design: one scenario at a time for a search for a capacity")
    top = max(spending.keys, key=lambda one: spending.costs[str(one)].per_s or 0.0) if levels else key
    plain = Spending(config.with_(steady=False, preflight=False, warmup_requests=0), spending.budget, spending.costs)
    n = largest(lambda k: plain.level(top, k, 1).within(plain.budget), MOST)
    known = plain.bounded
    low, high = (math.expm1(share * math.sqrt(10_000 / max(n, 1))) for share in RATIO)
    goal = (1 + asked.within) ** 2
    fields = {name: value for name, value in spending.budget.model_dump().items() if value is not None}
    options: JsonObject = {"precision": asked.within, "budget": fields}
    caveats = ["The budget includes the single requests at the start and the blocks that are ended early."]
    if known:
        caveats.append(
            f"About {n:,} requests at {top.load}: on simulated servers, such a search gave an interval whose high end is "
            f"{low:.0%} to {high:.0%} above its low end; {goal - 1:.0%} were asked for."
        )
    else:
        caveats.append(
            "How many requests the budget pays for is not known: give pilot= a run near the load that you expect."
        )
    reached = None if not known or low + 1 <= goal <= high + 1 else high + 1 < goal
    row = _row(plain, top, 1, n, "capacity", Predicted(None))
    call = f"found = await bk.capacity(found.config, {_as_arguments(options)})"
    return Design(question, asked.kind, config, call, _frame([row]), reached, options, caveats)
