"""The grammar of scenarios: it reads a short text such as `N(480,240)/(300,150)`, or a mixture of several.

A mixture is several forms with a weight before each: `0.7*D(100,50)+0.3*P(1000,20)/50`. The form of each request is drawn
independently by the weights, which are relative: 7 and 3 mean the same as 0.7 and 0.3. All requests of a mixture belong to one
level, so its figures describe mixed traffic, not one form after another. genai-bench has no such form.

The forms of a mixture must have a task in common, and all or none of them must set the output length, because the payload depends
on it. A mixture cannot contain another mixture or a data set. Forms of a mixture with a shared prefix of the same length share
the same prefix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import ClassVar, Self

from ...core.errors import ScenarioError
from .base import FORMS, Scenario, Shape

MIXED = "weight*form+weight*form, e.g. 0.7*D(100,50)+0.3*P(1000,20)/50"
_NUMBER = "([0-9]{1,9})"
_WEIGHTED = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)\*([^*]+)")


@dataclass(frozen=True)
class Mixture(Scenario):
    """Several scenarios, each request of one of them. `shares`: (weight, scenario), at least two."""

    letters = ""
    forms: ClassVar = {}
    example = "0.7*D(100,50)+0.3*P(1000,20)/50"
    tasks = ()
    sampled = True

    shares: tuple[tuple[Decimal, Scenario], ...]

    def __post_init__(self) -> None:
        first = self.parts[0].tasks if self.parts else ()
        common = [task for task in first if all(task in part.tasks for part in self.parts)]
        if problem := self._problem(common):
            raise ScenarioError(f'scenario "{str(self)[:160]}": {problem}')
        # A mixture's tasks depend on its forms; every other form has them in its class.
        object.__setattr__(self, "tasks", tuple(common))

    def _problem(self, common: list[str]) -> str | None:
        if len(self.shares) < 2:
            return f"a mixture needs two forms or more: {MIXED}"
        for weight, part in self.shares:
            if not weight > 0:
                return f"the weight of {part} is {weight}, but must be above 0"
            if isinstance(part, Mixture) or part.data == "must" or not part.sampled:
                return f"{part} cannot be mixed; use forms that set the length of requests: {MIXED}"
        if not common:
            each = "; ".join(f"{part} is for {', '.join(part.tasks)}" for part in self.parts)
            return f"its forms have no task in common: {each}"
        if len({part.fixed_output for part in self.parts}) > 1:
            return "some of its forms set the output length and some do not; mix forms of one kind only"
        return None

    @property
    def parts(self) -> tuple[Scenario, ...]:
        return tuple(part for _, part in self.shares)

    @property
    def fixed_output(self) -> bool:
        return self.parts[0].fixed_output

    def in_batches(self, inputs: int | None) -> Self:
        return type(self)(tuple((weight, part.in_batches(inputs)) for weight, part in self.shares))

    def sample(self, rng: Random) -> Shape:
        (part,) = rng.choices(self.parts, [float(weight) for weight, _ in self.shares])
        return part.sample(rng)

    def mean_lengths(self) -> tuple[float | None, float | None]:
        means = [part.mean_lengths() for part in self.parts]
        return self._weighted([x for x, _ in means]), self._weighted([x for _, x in means])

    def _weighted(self, means: list[float | None]) -> float | None:
        known = [x for x in means if x is not None]
        weights = [float(weight) for weight, _ in self.shares]
        whole = len(known) == len(means)
        return sum(w * x for w, x in zip(weights, known, strict=True)) / sum(weights) if whole else None

    def __str__(self) -> str:
        return "+".join(f"{weight.normalize():f}*{part}" for weight, part in self.shares)


def _pattern(form: str) -> str:
    return "".join(_NUMBER if part.isalpha() else re.escape(part) for part in re.findall(r"[a-z]+|[^a-z]", form))


def parse_scenario(text: str | Scenario) -> Scenario:
    """The scenario that `text` describes, e.g. `D(100,100)` or `0.7*D(100,50)+0.3*P(1000,20)/50`; spaces do not matter.

    ScenarioError, which says what is allowed. A scenario is immutable, so each text is parsed once per process.
    """
    return text if isinstance(text, Scenario) else _parsed(text)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Scenario:
    bare = re.sub(r"\s+", "", text)
    return _mixture(bare) if re.search(r"[*+]", bare) else _single(bare)


def _single(bare: str) -> Scenario:
    shown = bare[:80]
    letters = re.match(r"[A-Za-z]*", bare)
    kind = FORMS.get(letters[0]) if letters else None
    if kind is None:
        known = ", ".join(k.letters + next(iter(k.forms)) for k in FORMS.values())
        raise ScenarioError(f'scenario "{shown}": there is no such form; the forms are {known}; a mixture is {MIXED}')
    rest = bare[len(kind.letters) :]
    for form, names in kind.forms.items():
        if found := re.fullmatch(_pattern(form), rest):
            return kind(**{name: int(number) for name, number in zip(names, found.groups(), strict=True)})
    needs = " or ".join(form or "nothing more" for form in kind.forms)
    raise ScenarioError(f'scenario "{shown}": {kind.letters} needs {needs}, e.g. {kind.example}')


def _mixture(bare: str) -> Mixture:
    shares = []
    for term in bare.split("+"):
        found = _WEIGHTED.fullmatch(term)
        if found is None:
            raise ScenarioError(f'scenario "{bare[:160]}": a mixture is {MIXED}; "{term[:80]}" is not weight*form')
        shares.append((Decimal(found[1]), _single(found[2])))
    return Mixture(tuple(shares))
