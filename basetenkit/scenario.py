"""The grammar of traffic scenarios: a short text such as `N(480,240)/(300,150)` becomes a distribution of shapes.

The forms are genai-bench's (upstream's and Baseten's fork's), so that a scenario can be taken over from a command as it
is written there. Each form is one small class below, which holds all that is known of it: its letters, the texts it may
have, an example, the tasks it serves. Parsing, printing and the sentences of errors all come from there.

A form is `sampled` where prompts can be made for it; the others are read and printed (old result folders name them), and
a run refuses them. Differences from genai-bench, on purpose: lengths are rounded, not cut down; an output length may be
1; spaces are allowed; a length of 0 is refused, as nobody can send or ask for it; all forms print as they were written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from random import Random
from typing import ClassVar

from .errors import ScenarioError

_NUMBER = "([0-9]{1,9})"
_TEXT, _EMBEDDINGS, _VISION = "text-to-text", "text-to-embeddings", "image-text-to-text"


@dataclass(frozen=True, slots=True)
class Shape:
    """How big one request is: tokens in the prompt (of each document, for embeddings), tokens to be generated; at least 1,
    or None where the scenario does not say. `images`: how many, each `width` by `height` pixels."""

    input_tokens: int | None
    output_tokens: int | None = None
    images: int = 0
    width: int = 0
    height: int = 0


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
class _FixedOutput(Scenario):
    @property
    def fixed_output(self) -> bool:
        return True


@dataclass(frozen=True)
class Constant(_FixedOutput):
    """Every request has the same shape."""

    letters = "D"
    forms: ClassVar = {"(in,out)": ("input_tokens", "output_tokens")}
    example = "D(100,100)"
    tasks = (_TEXT,)
    sampled = True

    input_tokens: int
    output_tokens: int

    def sample(self, rng: Random) -> Shape:
        return Shape(self.input_tokens, self.output_tokens)


@dataclass(frozen=True)
class Normal(_FixedOutput):
    """Lengths are normal, rounded; what falls below 1 becomes 1."""

    letters = "N"
    forms: ClassVar = {"(mean,sd)/(mean,sd)": ("input_mean", "input_sd", "output_mean", "output_sd")}
    example = "N(480,240)/(300,150)"
    tasks = (_TEXT,)
    sampled = True
    may_be_zero = frozenset({"input_sd", "output_sd"})

    input_mean: int
    input_sd: int
    output_mean: int
    output_sd: int

    def sample(self, rng: Random) -> Shape:
        tokens_in = round(rng.gauss(self.input_mean, self.input_sd))
        tokens_out = round(rng.gauss(self.output_mean, self.output_sd))
        return Shape(max(tokens_in, 1), max(tokens_out, 1))


@dataclass(frozen=True)
class Uniform(_FixedOutput):
    """Each whole length from the least to the most is as likely, ends included; a least of 0, or none, means 1."""

    letters = "U"
    forms: ClassVar = {
        "(min,max)/(min,max)": ("input_min", "input_max", "output_min", "output_max"),
        "(max,max)": ("input_max", "output_max"),
    }
    example = "U(50,100)/(200,250)"
    tasks = (_TEXT,)
    sampled = True
    may_be_zero = frozenset({"input_min", "output_min"})

    input_max: int
    output_max: int
    input_min: int | None = None
    output_min: int | None = None

    def __post_init__(self) -> None:
        if (self.input_min is None) != (self.output_min is None):
            raise ScenarioError("scenario U: give both input_min and output_min, or neither")
        super().__post_init__()
        for low, high in ((self.input_min, self.input_max), (self.output_min, self.output_max)):
            if low is not None and low > high:
                raise ScenarioError(
                    f'scenario "{self}": the least comes first, so ({high},{low}) in place of ({low},{high})'
                )

    def sample(self, rng: Random) -> Shape:
        tokens_in = rng.randint(max(self.input_min or 1, 1), self.input_max)
        return Shape(tokens_in, rng.randint(max(self.output_min or 1, 1), self.output_max))


@dataclass(frozen=True)
class Embedding(Scenario):
    """So many tokens in each document."""

    letters = "E"
    forms: ClassVar = {"(tokens)": ("tokens",)}
    example = "E(256)"
    tasks = (_EMBEDDINGS,)
    sampled = True

    tokens: int

    def sample(self, rng: Random) -> Shape:
        return Shape(self.tokens)


@dataclass(frozen=True)
class Rerank(Scenario):
    """Tokens in each document, tokens in the query."""

    letters = "R"
    forms: ClassVar = {"(document,query)": ("document_tokens", "query_tokens")}
    example = "R(1024,100)"
    tasks = ("text-to-rerank",)

    document_tokens: int
    query_tokens: int


@dataclass(frozen=True)
class Speech(Scenario):
    """So many characters to be spoken."""

    letters = "A"
    forms: ClassVar = {"(characters)": ("characters",)}
    example = "A(400)"
    tasks = ("text-to-speech",)

    characters: int


@dataclass(frozen=True)
class Image(Scenario):
    """Images of a size in pixels, one or more a request."""

    letters = "I"
    forms: ClassVar = {"(width,height,count)": ("width", "height", "count"), "(width,height)": ("width", "height")}
    example = "I(512,512)"
    tasks = (_VISION, "text-to-image")
    sampled = True

    width: int
    height: int
    count: int | None = None

    def sample(self, rng: Random) -> Shape:
        return Shape(None, None, self.count or 1, self.width, self.height)


@dataclass(frozen=True)
class Prefix(_FixedOutput):
    """A prefix that all requests share, then a part of their own."""

    letters = "P"
    forms: ClassVar = {"(prefix,suffix)/out": ("prefix_tokens", "suffix_tokens", "output_tokens")}
    example = "P(2000,500)/200"
    tasks = (_TEXT,)
    may_be_zero = frozenset({"prefix_tokens"})

    prefix_tokens: int
    suffix_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class ImageText(_FixedOutput):
    """An image and a text of its own."""

    letters = "ID"
    forms: ClassVar = {"(width,height,in,out)": ("width", "height", "input_tokens", "output_tokens")}
    example = "ID(512,512,100,100)"
    tasks = (_VISION,)
    sampled = True

    width: int
    height: int
    input_tokens: int
    output_tokens: int

    def sample(self, rng: Random) -> Shape:
        return Shape(self.input_tokens, self.output_tokens, 1, self.width, self.height)


@dataclass(frozen=True)
class ImagePrefix(_FixedOutput):
    """An image, a prefix that all requests share, then a text of its own."""

    letters = "IP"
    forms: ClassVar = {
        "(width,height,prefix,suffix)/out": ("width", "height", "prefix_tokens", "suffix_tokens", "output_tokens")
    }
    example = "IP(512,512,2000,500)/200"
    tasks = (_VISION,)
    may_be_zero = frozenset({"prefix_tokens"})

    width: int
    height: int
    prefix_tokens: int
    suffix_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Conversation(Scenario):
    """Real conversations from a data set, each made new by a random mark before its first message."""

    letters = "RD"
    forms: ClassVar = {"(out)": ("output_tokens",), "": ()}
    example = "RD(200)"
    tasks = (_TEXT,)

    output_tokens: int | None = None

    @property
    def fixed_output(self) -> bool:
        return self.output_tokens is not None


@dataclass(frozen=True)
class CachedConversation(Conversation):
    """Real conversations from a data set as they are, so that the server's cache may serve them."""

    letters = "RDC"
    example = "RDC(200)"


@dataclass(frozen=True)
class Dataset(Scenario):
    """The entries of a data set as they are; no length is asked for."""

    letters = "dataset"
    forms: ClassVar = {"": ()}
    example = "dataset"
    tasks = (_TEXT, _VISION, _EMBEDDINGS)
    sampled = True

    def sample(self, rng: Random) -> Shape:
        return Shape(None)


_KINDS: tuple[type[Scenario], ...] = (
    Constant, Normal, Uniform, Embedding, Rerank, Speech, Image, Prefix, ImageText, ImagePrefix,
    Conversation, CachedConversation, Dataset,
)  # fmt: skip
FORMS: dict[str, type[Scenario]] = {kind.letters: kind for kind in _KINDS}


def _usable() -> str:
    able = [kind.letters for kind in _KINDS if kind.sampled]
    return f"they can for {', '.join(able[:-1])} and {able[-1]}"


def _pattern(form: str) -> str:
    return "".join(_NUMBER if part.isalpha() else re.escape(part) for part in re.findall(r"[a-z]+|[^a-z]", form))


def parse_scenario(text: str | Scenario) -> Scenario:
    """The scenario that `text` describes, e.g. `D(100,100)`; spaces do not matter.

    ScenarioError says what would be right.
    """
    if isinstance(text, Scenario):
        return text
    bare = re.sub(r"\s+", "", text)
    shown = bare[:80]
    letters = re.match(r"[A-Za-z]*", bare)
    kind = FORMS.get(letters[0]) if letters else None
    if kind is None:
        known = ", ".join(k.letters + next(iter(k.forms)) for k in _KINDS)
        raise ScenarioError(f'scenario "{shown}": there is no such form; the forms are {known}')
    rest = bare[len(kind.letters) :]
    for form, names in kind.forms.items():
        if found := re.fullmatch(_pattern(form), rest):
            return kind(**{name: int(number) for name, number in zip(names, found.groups(), strict=True)})
    needs = " or ".join(form or "nothing more" for form in kind.forms)
    raise ScenarioError(f'scenario "{shown}": {kind.letters} needs {needs}, e.g. {kind.example}')
