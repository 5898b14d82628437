"""The question and the budget of a design, as people write them: "p99 within 10%", "20 minutes, 1M tokens, 5 dollars"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..analysis.metrics import METRICS
from ..analysis.summary import metric_names
from ..config.budget import Budget
from ..config.coercions import from_json, metric_name
from ..core.errors import ConfigError

EXAMPLES = "'ttft p99 within 10%', 'compare A with B', 'find capacity'"
MARGIN, PRECISION = 0.05, 0.10
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_STAT = re.compile(r"\b(p50|p90|p95|p99|mean|median)\b")
_AMOUNT = re.compile(
    r"(?P<dollar>\$)?\s*(?P<number>\d[\d_]*(?:[.,]\d+)*)\s*(?P<times>[kKM])?(?P<unit>\s*[A-Za-z]+)?", re.ASCII
)
_UNITS = {
    "minutes": ("minutes", "minute", "min", "mins"),
    "hours": ("hours", "hour", "h"),
    "seconds": ("seconds", "second", "s", "sec"),
    "requests": ("requests", "request"),
    "tokens": ("tokens", "token"),
    "usd": ("dollars", "dollar", "usd"),
}


@dataclass(frozen=True, slots=True)
class Question:
    """`kind`: of three. `figure`: the figure of the summary, or of a comparison the metric. `within`: how precise: half of
    an interval as a share of its figure; of a comparison the difference that matters; of a capacity its precision."""

    kind: Literal["precision", "compare", "capacity"]
    figure: str
    within: float


def question_in(text: object) -> Question:
    """The question in a text. ConfigError, with examples, if there is none."""
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"design: give a question, e.g. {EXAMPLES}")
    said = text.lower()
    share = _SHARE.search(said)
    within = float(share[1]) / 100 if share else None
    if within is not None and not 0 < within < 1:
        raise ConfigError(f"design: {text!r} asks for {within:.0%}; it is a share between 0% and 100%, e.g. 10%")
    if "capacity" in said:
        return Question("capacity", "", within or PRECISION)
    if "compare" in said or "faster" in said:
        return Question("compare", _metric(said) or "e2e_s", within or MARGIN)
    figure = _figure(said)
    if figure is None or within is None:
        raise ConfigError(f"design: {text!r} is not understood; e.g. {EXAMPLES}")
    return Question("precision", figure, within)


def _metric(said: str) -> str | None:
    for word in re.findall(r"[a-z0-9_]+", said):
        if found := metric_name(word, METRICS):
            return found
    return None


def _figure(said: str) -> str | None:
    """The figure of the summary: its own name ("ttft_s_p99"), or a metric and a statistic in any order; TTFT if none is named."""
    names = metric_names()
    for word in re.findall(r"[a-z0-9_]+", said):
        if word in names:
            return str(word)
    stat, metric = _STAT.search(said), _metric(said)
    if stat is None:
        return metric if metric in names else None
    found: str = f"{metric or 'ttft_s'}_{stat[1].replace('median', 'p50')}"
    return found if found in names else None


def budget_in(given: object) -> Budget:
    """The budget that was given: a Budget, its fields, or a text. ConfigError, with an example, if it is none of these."""
    given = from_json(given)
    if isinstance(given, Budget):
        return given
    if isinstance(given, Mapping):
        return Budget.model_validate(dict(given))
    if not isinstance(given, str):
        raise ConfigError("design: give a budget, e.g. bk.Budget(minutes=20) or '20 minutes, 1M tokens, 5 dollars'")
    fields = dict[str, float]()
    for match in _AMOUNT.finditer(given):
        unit = "usd" if match["dollar"] else _unit(match["unit"], given)
        amount = float(match["number"].replace("_", "").replace(",", "")) * {"k": 1e3, "K": 1e3, "M": 1e6}.get(
            match["times"] or "", 1.0
        )
        factor = {"hours": 60.0, "seconds": 1 / 60}.get(unit, 1.0)
        fields["minutes" if unit in ("hours", "seconds") else unit] = amount * factor
    if not fields:
        raise ConfigError(f"design: there is no budget in {given!r}; e.g. '20 minutes, 1M tokens, 5 dollars'")
    return Budget.model_validate(fields)


def _unit(word: str | None, text: str) -> str:
    bare = (word or "").strip().lower()
    for unit, words in _UNITS.items():
        if bare in words:
            return unit
    raise ConfigError(f"design: {bare or 'a number without a unit'} in {text!r} is not one of {', '.join(_UNITS)}")


def both_in(question: str, budget: object) -> tuple[Question, Budget]:
    """(question, budget); "20 minutes: compare A with B" has both in one text."""
    if budget is None and isinstance(question, str) and ":" in question:
        amount, _, question = question.partition(":")
        budget = amount
    return question_in(question), budget_in(budget)
