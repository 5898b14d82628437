"""The grammar: a short text such as `N(480,240)/(300,150)` becomes a scenario, and so do several of them, mixed.

A mixture is forms with a weight before each: `0.7*D(100,50)+0.3*P(1000,20)/50`. Each request is of one form, drawn for itself
by the weights, which are relative: 7 and 3 mean what 0.7 and 0.3 mean. All requests of a mixture are of one level, so that its
figures are of traffic as a server meets it, and not of one form after another. Its text alone tells what a request may be;
genai-bench has no such form.

What is mixed must serve one task, and all of it or none must say how long the output is: what a payload asks for hangs on that.
A mixture of mixtures would say nothing more, and a data set's entries have no shape to be mixed. Forms of a mixture that share
a prefix of the same length share the same one.
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
        # Which tasks it is for hangs on what is mixed, where every other form's class knows its own.
        object.__setattr__(self, "tasks", tuple(common))

    def _problem(self, common: list[str]) -> str | None:
        if len(self.shares) < 2:
            return f"a mixture needs two forms or more: {MIXED}"
        for weight, part in self.shares:
            if not weight > 0:
                return f"the weight of {part} is {weight}, and must be above 0"
            if isinstance(part, Mixture) or part.data == "must" or not part.sampled:
                return f"{part} cannot be mixed; give forms whose requests are made to length: {MIXED}"
        if not common:
            each = "; ".join(f"{part} is for {', '.join(part.tasks)}" for part in self.parts)
            return f"its forms have no task in common: {each}"
        if len({part.fixed_output for part in self.parts}) > 1:
            return (
                "some of its forms say how long the output is and some do not; mix those that do, or those that do not"
            )
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

    ScenarioError says what would be right. A scenario never changes, so each text is read once in a process.
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
        raise ScenarioError(
            f'scenario "{shown}": there is no such form; the forms are {known}; mixed, they are {MIXED}'
        )
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
