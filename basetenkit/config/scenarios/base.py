"""What a scenario is: a text that stands for a distribution of shapes, and a shape, which is how big one request is.

A form of scenario is one small class (`forms` has them all), which holds all that is known of it: its letters, the texts it
may have, an example, the tasks it serves, whether what it sends may or must come from a data set. Reading, printing and the
sentences of errors all come from there; this file has what they share. A form is `sampled` where prompts can be made for it;
the others are read and printed (old result folders name them), and a run refuses them.

How many inputs an embeddings request has may stand in its scenario: `E(128,8)` is eight documents of 128 tokens, as `I(512,512,3)`
is three images. Where a run goes over several batch sizes, each level's text has its own, so that whatever tells levels apart by
(scenario, load, level) tells these apart, too, with no fourth key that is empty for all other tasks. The text without it takes
the one batch size of the run, whatever that is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from random import Random
from typing import ClassVar, Literal, Self

from ...core.errors import ScenarioError

# Every form by its letters. `forms` fills it, and the grammar and the sentences below read it, so that one added shows in both.
FORMS: dict[str, type[Scenario]] = {}
SAMPLES = 200_000  # draws for the mean of a form that does not know it: within 0.3% of a length whose sd is its mean


@dataclass(frozen=True, slots=True)
class Shape:
    """How big one request is: tokens in the prompt (of each document, for embeddings), tokens to be generated; at least 1,
    or None where the scenario does not say. `images`: how many, each `width` by `height` pixels. `prefix_tokens`: how many
    of the prompt's, from its first on, are the same in every request of the level. `inputs`: documents a request, None where
    the run's batch size says it."""

    input_tokens: int | None
    output_tokens: int | None = None
    images: int = 0
    width: int = 0
    height: int = 0
    prefix_tokens: int = 0
    inputs: int | None = None


@dataclass(frozen=True)
class Scenario:
    """One traffic scenario. `str()` gives its canonical text, which `parse_scenario` reads back as an equal scenario.

    `forms` maps each text the form may have (after its letters) to the fields its numbers go to, in order.
    """

    letters: ClassVar[str]
    forms: ClassVar[dict[str, tuple[str, ...]]]
    example: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]]
    sampled: ClassVar[bool] = False
    data: ClassVar[Literal["never", "may", "must"]] = "never"
    may_be_zero: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in self.may_be_zero else 1
            if value is not None and value < least:
                name = field.name.replace("_", " ")
                raise ScenarioError(f'scenario "{self}": {name} is {value}, and must be at least {least}')

    @property
    def fixed_output(self) -> bool:
        """Whether the scenario says how many tokens are to be generated."""
        return False

    @property
    def needs_data(self) -> bool:
        """Whether it sends the entries of a data set."""
        return any(part.data == "must" for part in self.parts)

    @property
    def takes_data(self) -> bool:
        """Whether what it sends can come from a data set."""
        return all(part.data != "never" for part in self.parts)

    @property
    def parts(self) -> tuple[Scenario, ...]:
        """What is mixed in it: itself alone, but for a mixture."""
        return (self,)

    @property
    def batched(self) -> bool:
        """Whether the scenario itself says how many inputs a request has, of some of its requests at least."""
        return any(getattr(part, "inputs", None) is not None for part in self.parts)

    def in_batches(self, inputs: int | None) -> Self:
        """The same with so many inputs a request, or with none said; ScenarioError where the form has no place for them."""
        if not hasattr(self, "inputs"):
            raise ScenarioError(f'scenario "{self}": {self.letters} has one input a request, and no batch size')
        said: dict[str, object] = {"inputs": inputs}
        return replace(self, **said)

    def sample(self, rng: Random) -> Shape:
        """The shape of the next request. ScenarioError where the form is not `sampled`."""
        raise ScenarioError(f'scenario "{self}": requests cannot be made for {self.letters} yet; {_usable()}')

    def mean_lengths(self) -> tuple[float | None, float | None]:
        """The mean tokens of a prompt and of an output over all requests that may be drawn; None for a length that the scenario
        does not say. By SAMPLES draws, unless the form knows better."""
        rng = Random(0)
        shapes = [self.sample(rng) for _ in range(SAMPLES)]
        return _mean([x.input_tokens for x in shapes]), _mean([x.output_tokens for x in shapes])

    def __str__(self) -> str:
        for form, names in sorted(self.forms.items(), key=lambda form: -len(form[1])):
            values = [getattr(self, name) for name in names]
            if None not in values:
                return self.letters + re.sub(r"[a-z]+", "{}", form).format(*values)
        raise AssertionError(f"{type(self).__name__}: no form fits its fields")


@dataclass(frozen=True)
class FixedOutput(Scenario):
    """A scenario that says how many tokens are to be generated."""

    @property
    def fixed_output(self) -> bool:
        return True


def _mean(lengths: list[int | None]) -> float | None:
    known = [x for x in lengths if x is not None]
    return sum(known) / len(known) if len(known) == len(lengths) else None


def _usable() -> str:
    able = [kind.letters for kind in FORMS.values() if kind.sampled]
    return f"they can for {', '.join(able[:-1])} and {able[-1]}"
