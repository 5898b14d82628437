"""What to expect from a config before anything is sent: levels, requests, tokens, minutes, US dollars, and the precision of
figures.

A value that cannot be known beforehand is None, and `reasons` has the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import polars as pl

from ..config.addresses import completed
from ..config.loads import ClosedLoop
from ..config.looks import FIRST_LOOK
from ..config.plan import PlannedLevel, levels_of, scenarios_of
from ..config.price import Price
from ..config.run_config import RunConfig
from ..config.scenarios import Scenario, parse_scenario
from ..core.errors import ConfigError
from ..core.secrets import redact_url
from ..core.tables import html_table, show

_DRAWS = 200
# Half of an interval over the figure, with 200 requests: the least and the most of the simulated levels of
# docs/concepts/intervals.md that do not change and are at 50% of capacity at most.
TYPICAL = {"p50": (0.03, 0.35), "p99": (0.25, 0.90)}
BOUNDED = {"p50": 6, "p99": 368}  # independent requests below which a percentile has no upper bound
DEPEND = 3.0  # requests of a run that say as much as one independent one, at most, on those levels


@dataclass(frozen=True, slots=True)
class HalfWidth:
    """Half of a figure's 95% interval, as a share of the figure: `low` if the endpoint is calm, `high` if it is not. `high` is
    None if the interval may have no upper bound, because the requests of a level depend on one another."""

    low: float
    high: float | None

    def __str__(self) -> str:
        return f"±{self.low:.0%} to ±{self.high:.0%}" if self.high is not None else f"±{self.low:.0%} at best"


@dataclass(frozen=True)
class Plan:
    """What `bk.plan(config)` returns.

    `requests`: the maximum number of requests over all levels and repeats, including warm-up, the preflight request and about
    `around` requests that keep the load steady. `tokens`: the expected number of input and output tokens. `minutes`: the
    maximum duration. `usd`: the expected cost in US dollars. `p50`, `p99`: the expected half-width of these percentiles of a
    latency, per level with all its repeats. `reasons`: why a value is None, for each such value. `levels`: in the order in
    which they run. `url`: the URL of the requests; None if it is not certain. `warnings`: sentences about likely mistakes.

    Examples
    --------
    >>> import basetenkit as bk
    >>> config = bk.RunConfig(endpoint={"url": "http://127.0.0.1:8099/v1/chat/completions", "model": "m"}, steady=False)
    >>> plan = bk.plan(config)
    >>> plan.requests, plan.tokens, plan.minutes
    (401, 80200, 20.0)
    """

    levels: tuple[PlannedLevel, ...]
    requests: int
    around: int
    tokens: int | None
    max_tokens: int | None
    minutes: float
    usd: float | None
    p50: HalfWidth | None
    p99: HalfWidth | None
    price: Price | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    warnings: tuple[str, ...] = ()

    @cached_property
    def words(self) -> dict[str, str]:
        """The plan as text: a name and a value for each figure."""
        around = f", about {show(self.around)} of them to keep the load steady" if self.around else ""
        tokens = "not known beforehand" if self.tokens is None else f"about {show(self.tokens)}"
        stop = "" if self.max_tokens is None else f", stopped at {show(self.max_tokens)}"
        said = {
            "levels": show(len(self.levels)),
            "requests at most": show(self.requests) + around,
            "tokens expected": tokens + stop,
            "minutes at most": show(round(self.minutes, 1)),
        }
        said["US dollars"] = f"unknown: {self.reasons['usd']}" if self.usd is None else self._usd()
        said["expected precision"] = "; ".join(self._precision())
        if self.url is not None:
            said["requests go to"] = self.url
        return said | ({"check first": " ".join(self.warnings)} if self.warnings else {})

    def _usd(self) -> str:
        kind = "at most" if self.price is not None and self.price.dedicated else "about"
        return f"{kind} {self.usd:,.2f} ({self.price.origin if self.price else ''})"

    def _precision(self) -> Iterator[str]:
        for name, half in (("p50", self.p50), ("p99", self.p99)):
            yield f"{name} {half}" if half is not None else f"no interval for {name} ({self.reasons[name]})"

    def __repr__(self) -> str:
        return repr(html_table([{"plan": name, "": said} for name, said in self.words.items()]))

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        table = html_table([{"plan": name, "": said} for name, said in self.words.items()])
        return table._repr_mimebundle_()

    @cached_property
    def frame(self) -> pl.DataFrame:
        """One row per level and repeat: `scenario`, `load`, `level`, `repeat`."""
        columns = {"scenario": pl.String, "load": pl.String, "level": pl.Float64, "repeat": pl.Int64}
        return pl.DataFrame([level.columns for level in self.levels], schema=columns)


def plan(config: RunConfig) -> Plan:
    """The requests, tokens, minutes, cost and precision to expect from a config. Nothing is sent, and no data set or tokenizer
    is loaded. ConfigError if `config` is not a RunConfig."""
    if not isinstance(config, RunConfig):
        raise ConfigError(f"plan takes a RunConfig, not {type(config).__name__}; e.g. bk.plan(bk.RunConfig(...))")
    levels = levels_of(config)
    measured = [config.requests_of(level.load) for level in levels]
    around = [config.around_of(level.load) for level in levels]
    each = [n + more + config.warmup_requests for n, more in zip(measured, around, strict=True)]
    reasons = dict[str, str]()
    means = {text: mean_tokens(parse_scenario(text), config) for text in scenarios_of(config)}
    inputs = outputs = 0.0
    for level, n in zip(levels, each, strict=True):
        per_request = means[level.key.scenario]
        if per_request is None:
            reasons["tokens"] = f"the scenario {level.key.scenario} does not set the number of tokens per request"
            break
        sent = n + (config.preflight and level.index == 0)
        inputs, outputs = inputs + per_request[0] * sent, outputs + per_request[1] * sent
    url, warnings = _where(config)
    fewest = min(measured) * config.repeats
    known: dict[str, HalfWidth | None] = {}
    for name in ("p50", "p99"):
        known[name] = half_width(name, fewest)
        if known[name] is None:
            reasons[name] = f"it needs at least {BOUNDED[name]} requests per level, and the plan has {fewest}"
    minutes = len(levels) * config.max_seconds / 60
    if config.price is None:
        usd, reasons["usd"] = None, "no price is given"
    elif config.price.dedicated:
        usd = config.price.of_run(60 * minutes)
    elif (why := reasons.get("tokens")) is not None:
        usd, reasons["usd"] = None, why
    else:
        usd = config.price.of_tokens(inputs, outputs)
    return Plan(
        levels=tuple(levels),
        requests=sum(each) + config.preflight,
        around=sum(around),
        tokens=None if "tokens" in reasons else round(inputs + outputs),
        max_tokens=config.max_total_tokens,
        minutes=minutes,
        usd=usd,
        price=config.price,
        reasons=reasons,
        url=url,
        warnings=(*warnings, *_starved(levels, measured)),
        **known,
    )


def _where(config: RunConfig) -> tuple[str | None, tuple[str, ...]]:
    """(the URL that requests go to, without secrets; sentences if it is not certain)."""
    prompt = config.endpoint.request_format == "prompt" or bool(config.request_params.get("use_prompt_format"))
    try:
        return redact_url(completed(config.endpoint.url, config.task, prompt)), ()
    except ConfigError as error:
        return None, (f"{error}.",)


def _starved(levels: Sequence[PlannedLevel], measured: Sequence[int]) -> Iterator[str]:
    """A sentence if levels have fewer measured requests than they keep in flight."""
    few = [
        (level.load.users, n)
        for level, n in zip(levels, measured, strict=True)
        if isinstance(level.load, ClosedLoop) and n < level.load.users
    ]
    if few:
        users, n = max(few)
        yield (
            f"{show(users)} in flight with {show(n)} measured requests: fewer are measured than are in flight. Raise max_requests "
            "or lower concurrency."
        )


def half_width(percentile: str, requests: int) -> HalfWidth | None:
    """The expected half-width of one percentile of a latency with so many requests of a level: from the simulated levels of
    docs/concepts/intervals.md, and narrower with the root of the number of requests. None if the interval cannot have an upper
    bound."""
    if requests < BOUNDED[percentile]:
        return None
    narrow, wide = (share * math.sqrt(FIRST_LOOK / requests) for share in TYPICAL[percentile])
    return HalfWidth(narrow, wide if requests >= DEPEND * BOUNDED[percentile] else None)


def mean_tokens(scenario: Scenario, config: RunConfig) -> tuple[float, float] | None:
    """(input, output) tokens of a request, by 200 draws. None if the scenario shows images or does not say how long texts are."""
    rng = Random(config.seed)
    if not scenario.sampled:
        return None
    shapes = [scenario.sample(rng) for _ in range(_DRAWS)]
    if any(shape.input_tokens is None or shape.images for shape in shapes):
        return None
    inputs = [(shape.input_tokens or 0) * (shape.inputs or config.batch_size[0]) for shape in shapes]
    return sum(inputs) / _DRAWS, sum(shape.output_tokens or 0 for shape in shapes) / _DRAWS
