"""The forms of scenarios, one class per form: their letters, their numbers, and how a request is drawn.

They are those of genai-bench (upstream and Baseten's fork), so scenarios can be copied from its commands. Intended differences:
lengths are rounded, not truncated; an output length may be 1; a length of 0 is refused, because it cannot be sent or requested;
all forms print as they were written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from ...core.errors import ScenarioError
from .base import FORMS, FixedOutput, Scenario, Shape

_TEXT, _EMBEDDINGS, _VISION = "text-to-text", "text-to-embeddings", "image-text-to-text"


@dataclass(frozen=True)
class Constant(FixedOutput):
    """Every request has the same shape."""

    letters = "D"
    forms: ClassVar = {"(in,out)": ("input_tokens", "output_tokens")}
    example = "D(100,100)"
    tasks = (_TEXT,)
    sampled = True
    data = "may"

    input_tokens: int
    output_tokens: int

    def sample(self, rng: Random) -> Shape:
        return Shape(self.input_tokens, self.output_tokens)

    def mean_lengths(self) -> tuple[float | None, float | None]:
        return self.input_tokens, self.output_tokens


@dataclass(frozen=True)
class Normal(FixedOutput):
    """Lengths are normally distributed and rounded; values below 1 become 1."""

    letters = "N"
    forms: ClassVar = {"(mean,sd)/(mean,sd)": ("input_mean", "input_sd", "output_mean", "output_sd")}
    example = "N(480,240)/(300,150)"
    tasks = (_TEXT,)
    sampled = True
    data = "may"
    may_be_zero = frozenset({"input_sd", "output_sd"})

    input_mean: int
    input_sd: int
    output_mean: int
    output_sd: int

    def sample(self, rng: Random) -> Shape:
        tokens_in = round(rng.gauss(self.input_mean, self.input_sd))
        tokens_out = round(rng.gauss(self.output_mean, self.output_sd))
        return Shape(max(tokens_in, 1), max(tokens_out, 1))

    def mean_lengths(self) -> tuple[float | None, float | None]:
        return _normal_mean(self.input_mean, self.input_sd), _normal_mean(self.output_mean, self.output_sd)


def _normal_mean(mean: int, sd: int) -> float:
    """The mean of a normal distribution whose draws are rounded and raised to at least 1."""
    if not sd:
        return max(mean, 1)
    # 1 plus, for each k from 1 on, the probability of a length above k, which is that of a draw above k + 1/2
    top = max(int(mean + 9 * sd), 1)
    return 1 + sum(math.erfc((k + 0.5 - mean) / (sd * math.sqrt(2))) / 2 for k in range(1, top))


@dataclass(frozen=True)
class Uniform(FixedOutput):
    """Each whole length from the minimum to the maximum is equally likely, ends included; a minimum of 0, or none, means 1."""

    letters = "U"
    forms: ClassVar = {
        "(min,max)/(min,max)": ("input_min", "input_max", "output_min", "output_max"),
        "(max,max)": ("input_max", "output_max"),
    }
    example = "U(50,100)/(200,250)"
    tasks = (_TEXT,)
    sampled = True
    data = "may"
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

    def mean_lengths(self) -> tuple[float | None, float | None]:
        inputs, outputs = max(self.input_min or 1, 1) + self.input_max, max(self.output_min or 1, 1) + self.output_max
        return inputs / 2, outputs / 2


@dataclass(frozen=True)
class Embedding(Scenario):
    """The number of tokens in each document and, optionally, of documents per request."""

    letters = "E"
    forms: ClassVar = {"(tokens)": ("tokens",), "(tokens,inputs)": ("tokens", "inputs")}
    example = "E(256)"
    tasks = (_EMBEDDINGS,)
    sampled = True
    data = "may"

    tokens: int
    inputs: int | None = None

    def sample(self, rng: Random) -> Shape:
        return Shape(self.tokens, inputs=self.inputs)


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
    """The number of characters to speak."""

    letters = "A"
    forms: ClassVar = {"(characters)": ("characters",)}
    example = "A(400)"
    tasks = ("text-to-speech",)

    characters: int


@dataclass(frozen=True)
class Image(Scenario):
    """Images of one size in pixels, one or more per request."""

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
class Prefix(FixedOutput):
    """A prefix that all requests share, then a part that differs."""

    letters = "P"
    forms: ClassVar = {"(prefix,suffix)/out": ("prefix_tokens", "suffix_tokens", "output_tokens")}
    example = "P(2000,500)/200"
    tasks = (_TEXT,)
    sampled = True
    data = "may"
    may_be_zero = frozenset({"prefix_tokens"})

    prefix_tokens: int
    suffix_tokens: int
    output_tokens: int

    def sample(self, rng: Random) -> Shape:
        tokens = self.prefix_tokens + self.suffix_tokens
        return Shape(tokens, self.output_tokens, prefix_tokens=self.prefix_tokens)


@dataclass(frozen=True)
class ImageText(FixedOutput):
    """An image and its own text."""

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
class ImagePrefix(FixedOutput):
    """A new image per request, and a text that begins with a prefix shared by all requests."""

    letters = "IP"
    forms: ClassVar = {
        "(width,height,prefix,suffix)/out": ("width", "height", "prefix_tokens", "suffix_tokens", "output_tokens")
    }
    example = "IP(512,512,2000,500)/200"
    tasks = (_VISION,)
    sampled = True
    may_be_zero = frozenset({"prefix_tokens"})

    width: int
    height: int
    prefix_tokens: int
    suffix_tokens: int
    output_tokens: int

    def sample(self, rng: Random) -> Shape:
        tokens = self.prefix_tokens + self.suffix_tokens
        return Shape(tokens, self.output_tokens, 1, self.width, self.height, self.prefix_tokens)


@dataclass(frozen=True)
class Conversation(Scenario):
    """Conversations from a data set (or its prompts); a random mark before the first user message keeps each out of caches."""

    letters = "RD"
    forms: ClassVar = {"(out)": ("output_tokens",), "": ()}
    example = "RD(200)"
    tasks = (_TEXT,)
    sampled = True
    data = "must"

    output_tokens: int | None = None

    @property
    def fixed_output(self) -> bool:
        return self.output_tokens is not None

    def sample(self, rng: Random) -> Shape:
        return Shape(None, self.output_tokens)


@dataclass(frozen=True)
class CachedConversation(Conversation):
    """Conversations from a data set (or its prompts), unchanged, so that the server's cache may be used."""

    letters = "RDC"
    example = "RDC(200)"


@dataclass(frozen=True)
class Dataset(Scenario):
    """The entries of a data set, unchanged, without a requested length. For embeddings, `inputs` of them per request."""

    letters = "dataset"
    forms: ClassVar = {"": (), "(inputs)": ("inputs",)}
    example = "dataset"
    tasks = (_TEXT, _VISION, _EMBEDDINGS)
    sampled = True
    data = "must"

    inputs: int | None = None

    def sample(self, rng: Random) -> Shape:
        return Shape(None, inputs=self.inputs)


_KINDS: tuple[type[Scenario], ...] = (
    Constant, Normal, Uniform, Embedding, Rerank, Speech, Image, Prefix, ImageText, ImagePrefix,
    Conversation, CachedConversation, Dataset,
)  # fmt: skip
FORMS.update({kind.letters: kind for kind in _KINDS})
