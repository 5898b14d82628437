"""What a scenario is: a text that stands for a distribution of shapes, and a shape, which is how big one request is.

A form of scenario is one small class (`forms` has them all), which holds all that is known of it: its letters, the texts it
may have, an example, the tasks it serves. Reading, printing and the sentences of errors all come from there; this file has
what they share. A form is `sampled` where prompts can be made for it; the others are read and printed (old result folders
name them), and a run refuses them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from random import Random
from typing import ClassVar

from ..errors import ScenarioError

# Every form by its letters. `forms` fills it, and the grammar and the sentences below read it, so that one added shows in both.
FORMS: dict[str, type[Scenario]] = {}


@dataclass(frozen=True, slots=True)
class Shape:
    """How big one request is: tokens in the prompt (of each document, for embeddings), tokens to be generated; at least 1,
    or None where the scenario does not say. `images`: how many, each `width` by `height` pixels. `prefix_tokens`: how many
    of the prompt's, from its first on, are the same in every request of the level."""

    input_tokens: int | None
    output_tokens: int | None = None
    images: int = 0
    width: int = 0
    height: int = 0
    prefix_tokens: int = 0


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
    def parts(self) -> tuple[Scenario, ...]:
        """What is mixed in it: itself alone, but for a mixture."""
        return (self,)

    def sample(self, rng: Random) -> Shape:
        """The shape of the next request. ScenarioError where the form is not `sampled`."""
        raise ScenarioError(f'scenario "{self}": requests cannot be made for {self.letters} yet; {_usable()}')

    def __str__(self) -> str:
        for form, names in self.forms.items():
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


def _usable() -> str:
    able = [kind.letters for kind in FORMS.values() if kind.sampled]
    return f"they can for {', '.join(able[:-1])} and {able[-1]}"
