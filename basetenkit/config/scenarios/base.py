"""Scenario: a text that describes a distribution of shapes. Shape: the size of one request.

Each form of scenario is one small class (all in `forms`), which has its letters, its texts, an example, its tasks, and whether
its prompts may or must come from a data set. Parsing, printing and error texts use these attributes; this file has their common
code. A form is `sampled` if prompts can be made for it; other forms can be parsed and printed (old result folders contain
them), but a run refuses them.

A scenario can include the number of inputs of an embeddings request: `E(128,8)` is eight documents of 128 tokens, and
`I(512,512,3)` is three images. If a run has several batch sizes, each level's scenario includes its own, so that (scenario, load,
level) still identifies a level. A scenario without a number uses the run's only batch size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from random import Random
from typing import ClassVar, Literal, Self

from ...core.errors import ScenarioError

# Every form by its letters. `forms` fills it; the grammar and the error texts below read it.
FORMS: dict[str, type[Scenario]] = {}
SAMPLES = 200_000  # draws for the mean of a form without a formula: within 0.3% for a length whose sd equals its mean


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of one request: tokens in the prompt (of each document, for embeddings) and tokens to generate; at least 1, or
    None if the scenario does not set it. `images`: number of images, each `width` by `height` pixels. `prefix_tokens`: how many
    tokens at the start of the prompt are the same in every request of the level. `inputs`: documents per request, or None to use
    the run's batch size."""

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
                raise ScenarioError(f'scenario "{self}": {name} is {value}, but must be at least {least}')

    @property
    def fixed_output(self) -> bool:
        """Whether the scenario sets the number of tokens to generate."""
        return False

    @property
    def needs_data(self) -> bool:
        """Whether it needs a data set."""
        return any(part.data == "must" for part in self.parts)

    @property
    def takes_data(self) -> bool:
        """Whether its prompts can come from a data set."""
        return all(part.data != "never" for part in self.parts)

    @property
    def parts(self) -> tuple[Scenario, ...]:
        """The scenarios of a mixture; for any other scenario, itself."""
        return (self,)

    @property
    def batched(self) -> bool:
        """Whether the scenario sets the number of inputs per request, at least for some requests."""
        return any(getattr(part, "inputs", None) is not None for part in self.parts)

    def in_batches(self, inputs: int | None) -> Self:
        """The same scenario with this number of inputs per request, or without a number; ScenarioError if the form has none."""
        if not hasattr(self, "inputs"):
            raise ScenarioError(f'scenario "{self}": {self.letters} has one input per request, and no batch size')
        said: dict[str, object] = {"inputs": inputs}
        return replace(self, **said)

    def sample(self, rng: Random) -> Shape:
        """The shape of the next request. ScenarioError if the form is not `sampled`."""
        raise ScenarioError(f'scenario "{self}": {self.letters} is not supported in runs yet; {_usable()}')

    def mean_lengths(self) -> tuple[float | None, float | None]:
        """The mean tokens of a prompt and of an output over all possible requests; None for a length that the scenario does not
        set. Estimated from SAMPLES draws, unless the form has a formula."""
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
    """A scenario that sets the number of tokens to generate."""

    @property
    def fixed_output(self) -> bool:
        return True


def _mean(lengths: list[int | None]) -> float | None:
    known = [x for x in lengths if x is not None]
    return sum(known) / len(known) if len(known) == len(lengths) else None


def _usable() -> str:
    able = [kind.letters for kind in FORMS.values() if kind.sampled]
    return f"supported: {', '.join(able[:-1])} and {able[-1]}"
