"""Makes the next Request: a shape drawn from the scenario, and a prompt of exactly that many tokens.

Each prompt starts with its own random words (see `writer`), drawn with the salt, so it shares no prefix with prompts of other
runs either. The lengths do not depend on the salt: two runs with the same seed request the same shapes in the same order, so
that they can be compared.

With a data set, its text follows these words. `dataset` and `RDC` send its entries unchanged, and `RD` adds a mark before each,
drawn with the salt, so that no cache contains the entry. `RD` and `RDC` send every entry once before any is sent again;
`dataset` draws with replacement, like genai-bench.

A prefix that requests share (`P`, `IP`) is made once per level, also with the salt: it is the same for all senders of a level,
and different for each level, so no level finds another's prefix in the server's cache. The text after it starts with its own
random words.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

import orjson

from ..config.run_config import RunConfig
from ..config.scenarios import Scenario, Shape
from ..config.tasks import TASKS
from ..core.errors import ScenarioError
from ..core.types import JsonObject, Request
from . import datasets, images
from .lexicon import Lexicon, lexicon
from .marks import marks, picks
from .payload import (
    BUILDERS,
    build_embeddings_payload,
    build_payload,
    carries_own_text,
    output_limit,
    uses_prompt_format,
)
from .tokenizer import Tokenizer
from .writer import Quoted, Writer

OPENINGS = 4096  # shapes of which the first requests of a steady level are drawn
KEPT_DRAWS = 1 << 17  # of all senders' draws that this one passed, so many are known to it

Draw = tuple[Shape, list[int | None]]


class Sampler:
    """The requests of one (scenario, load level, repeat), one after another.

    `stream` tells levels and repeats of a run apart. `share`: (part, parts), which of so many senders this is; together
    they draw the shapes that one alone would draw, each with prompts of its own. The same config, scenario, tokenizer, salt,
    stream and share give the same requests. `measured`: the tokenizer's lexicon, `entries`: the data set's, if they are
    known. ScenarioError if requests cannot be made for the scenario.
    """

    def __init__(
        self,
        config: RunConfig,
        scenario: Scenario,
        tokenizer: Tokenizer,
        *,
        salt: str,
        stream: str,
        share: tuple[int, int] = (0, 1),
        measured: Lexicon | None = None,
        entries: datasets.Entries | None = None,
    ) -> None:
        if not scenario.sampled:
            scenario.sample(Random(0))
            raise ScenarioError(f'scenario "{scenario}": requests cannot be made for it yet')
        self._config, self._scenario, self._tokenizer = config, scenario, tokenizer
        self._salt, self._stream, self._share = salt, stream, share
        self._shapes = Random(repr(("shapes", config.seed, str(scenario), stream)))
        self._next, self._parts = share
        self._passed, self._draws = 0, deque[Draw](maxlen=KEPT_DRAWS if share[1] > 1 else 1)
        apart = () if self._parts == 1 else share
        self._rng = Random(repr(("texts", config.seed, salt, str(scenario), stream, *apart)))
        self._lexicon = measured or lexicon(tokenizer)
        self._entries = entries or datasets.load(config)
        self._writer = self._a_writer(self._rng, share)
        self._prefix_seed = repr(("prefix", config.seed, salt, str(scenario), stream))
        self._prefixes: dict[int, tuple[str, int]] = {}
        self._own_text = carries_own_text(config)
        self._apart = Random(repr(("openings", config.seed, str(scenario), stream, *share)))
        self._openings: tuple[list[Shape], list[int]] | None = None
        self._picks = picks(self._shapes, len(self._entries or ()), scenario)
        self._marks = marks(config, scenario, salt=salt, stream=stream, share=share)

    def beside(self, name: str) -> Sampler:
        """Another sampler of the same level: the same lengths to be expected and the same prefixes, other requests."""
        other = Sampler(
            self._config,
            self._scenario,
            self._tokenizer,
            salt=self._salt,
            stream=f"{self._stream}:{name}",
            share=self._share,
            measured=self._lexicon,
            entries=self._entries,
        )
        other._prefix_seed, other._prefixes = self._prefix_seed, self._prefixes
        return other

    def _a_writer(self, rng: Random, share: tuple[int, int] = (0, 1)) -> Writer:
        texts = () if self._entries is None else self._entries.texts
        quoted = Quoted(texts, self._lexicon, self._tokenizer) if texts else None
        return Writer(self._lexicon, self._tokenizer, rng, share, quoted)

    def request(self, request_id: str, phase: str = "measured") -> Request:
        """The next request, its body built. `input_tokens_client` is the prompt's true count.

        `output_tokens_target` is the limit that the payload carries: the scenario's, unless request_params give another.
        If they contain the messages or prompt, the text is not ours: prompt and input tokens are None.
        """
        draw = self._draw_of(self._next) or self._draw()
        self._next += self._parts
        return self._made(request_id, phase, *draw)

    def drawn(self, draw: int) -> Request | None:
        """The request of a draw that another sender was to have, with a text of this one's own; None if it passed too long
        ago."""
        known = self._draw_of(draw)
        return None if known is None else self._made("", "measured", *known)

    def _draw_of(self, number: int) -> Draw | None:
        while self._passed <= number:
            self._draws.append(self._draw())
            self._passed += 1
        at = number - (self._passed - len(self._draws))
        return self._draws[at] if at >= 0 else None

    def opening(self) -> Request:
        """A request for a user of a closed loop who begins a steady level: if the scenario says how long the output is, drawn in
        proportion to that and cut at a random place, so that it ends as one that a stationary load was in the middle of. The
        requests that `request` makes stay the same."""
        if not self._scenario.fixed_output or self._own_text:
            return self.request("")
        if not self._openings:
            shapes = [self._scenario.sample(self._apart) for _ in range(OPENINGS)]
            weights = list(itertools.accumulate(shape.output_tokens or 1 for shape in shapes))
            self._openings = shapes, weights
        shapes, weights = self._openings
        (shape,) = self._apart.choices(shapes, cum_weights=weights)
        cut = replace(shape, output_tokens=self._apart.randint(1, shape.output_tokens or 1))
        inputs = cut.inputs or self._config.batch_size[0]
        picks = [self._apart.randrange(len(self._entries)) if self._entries else None for _ in range(inputs)]
        return self._made("", "measured", cut, picks)

    def _made(self, request_id: str, phase: str, shape: Shape, picks: list[int | None]) -> Request:
        if not TASKS[self._config.task].generates:
            return self._documents(request_id, phase, shape, picks)
        prompt, tokens = ("", 0) if self._own_text else self._text(shape, picks[0])
        system, row = self._of_row(shape, picks[0])
        tokens += self._tokenizer.count(system) if system else 0
        pictures = [] if self._own_text else self._pictures(shape, picks[0])
        fixed, urls = self._scenario.fixed_output, [picture.url for picture in pictures]
        own: JsonObject = {"images": urls, "system": system, "row": row}
        build: Callable[..., JsonObject] = BUILDERS.get(self._config.task, build_payload)
        payload = build(self._config, prompt, shape.output_tokens, fixed_output=fixed, **own)
        return Request(
            request_id=request_id,
            body=orjson.dumps(payload),
            scenario=str(self._scenario),
            prompt=None if self._own_text else prompt,
            input_tokens_target=None if self._own_text else shape.input_tokens,
            output_tokens_target=output_limit(self._config, payload),
            input_tokens_client=None if self._own_text else tokens,
            image_count=len(pictures) or None,
            image_bytes=sum(picture.size_bytes for picture in pictures) or None,
            image_pixels=sum(picture.pixels for picture in pictures) or None,
            phase=phase,
        )

    def _draw(self) -> Draw:
        """The next shape, and for each input the entry of the data set that it is; None without one."""
        shape = self._scenario.sample(self._shapes)
        batch = shape.inputs or self._config.batch_size[0]
        if self._entries is None:
            return shape, [None] * batch
        return shape, [next(self._picks) for _ in range(batch)]

    def _text(self, shape: Shape, pick: int | None) -> tuple[str, int]:
        """The text of one input and its tokens: an entry's, one made to length, or the question that goes with an image."""
        if shape.input_tokens is not None:
            return self.prompt(shape.input_tokens, shape.prefix_tokens)
        entries = self._entries
        text = datasets.ABOUT_AN_IMAGE if pick is None or entries is None else entries.prompts[pick]
        text = next(self._marks) + text
        return text, self._tokenizer.count(text)

    def _of_row(self, shape: Shape, pick: int | None) -> tuple[str, Mapping[str, object]]:
        """The system prompt and the parameters that belong to an entry of the data set; neither if the text is made."""
        entries = self._entries
        if entries is None or pick is None or shape.input_tokens is not None or self._own_text:
            return "", {}
        system = entries.systems[pick] if entries.systems and not uses_prompt_format(self._config) else ""
        return system, entries.params[pick] if entries.params else {}

    def _pictures(self, shape: Shape, pick: int | None) -> list[images.Picture]:
        if self._entries is not None and self._entries.pictures and pick is not None:
            return [self._entries.pictures[pick]]
        return [images.make(shape.width, shape.height, self._rng) for _ in range(shape.images)]

    def _documents(self, request_id: str, phase: str, shape: Shape, picks: list[int | None]) -> Request:
        """A request for embeddings: `batch_size` documents, whose tokens are summed."""
        own, each = self._own_text, shape.input_tokens
        made = [] if own else [self._text(shape, pick) for pick in picks]
        payload = build_embeddings_payload(self._config, [text for text, _ in made])
        return Request(
            request_id=request_id,
            body=orjson.dumps(payload),
            scenario=str(self._scenario),
            input_tokens_target=None if own or each is None else each * len(picks),
            input_tokens_client=None if own else sum(tokens for _, tokens in made),
            batch_size=len(payload["input"]) if isinstance(payload["input"], list) else 1,
            phase=phase,
        )

    def prompt(self, tokens: int, prefix_tokens: int = 0) -> tuple[str, int]:
        """A new prompt and its token count: `tokens`, or the nearest that could be reached with this tokenizer. Its first
        `prefix_tokens` are those of every prompt of this level that shares so many."""
        if not prefix_tokens:
            return self._writer.write(tokens)
        if prefix_tokens not in self._prefixes:
            maker = self._a_writer(Random(f"{self._prefix_seed} {prefix_tokens}"))
            self._prefixes[prefix_tokens] = maker.write(prefix_tokens)
        prefix, reached = self._prefixes[prefix_tokens]
        return self._writer.write(reached + tokens - prefix_tokens, prefix, reached)
