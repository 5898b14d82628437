"""Makes the next Request: a shape drawn from the scenario, and a prompt of exactly that many tokens.

A prompt is a few random words, then whole sentences of the corpus, the last one chosen so that the tokens add up. What each
word and sentence adds is measured once for a tokenizer; nearly always the sum is right, but tokens of a whole are not
bound to be the sum over its parts, so each prompt is encoded as it stands before it is used. Where the count is off, the
tail is chosen again by that much.

The words come first because servers cache by prefix: prompts that differ from the first token on share nothing with
each other, nor (by the salt) with those of another run. The lengths do not depend on the salt: two runs with one seed ask
for the same shapes in the same order, so that they can be compared.

A prefix that requests share (`P`, `IP`) is made once a level, by the salt too: it is the same for all senders of a level,
and no level finds that of another in the server's cache. What follows it begins with random words of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from zlib import crc32

import orjson

from ..config import RunConfig
from ..errors import ScenarioError
from ..scenario import Scenario, Shape
from ..types import Request
from . import corpus, datasets, images
from .payload import build_embeddings_payload, build_payload, carries_own_text, output_limit
from .tokenizer import Tokenizer

OPENING_WORDS = 6
REPAIRS = 24
ATTEMPTS_A_HEAD = 4
REDRAWS = 8
LEAST_POOL = 20
# What a sentence or word adds is measured behind a word, as what a tokenizer does at the start of a text is peculiar to it.
_ANCHOR = "and"


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Words and sentences with their tokens, under one tokenizer.

    `starts`: words that can open a text, all of `start_tokens` tokens. `words`: those that follow with `word_tokens`
    each. `sentences`: (text, tokens). `by_tokens`: texts that add so many tokens. `longest`: the most in a `sentence`.
    `sums`: which counts, up to four times `longest`, can be put together from `by_tokens`.
    """

    starts: Sequence[str]
    start_tokens: int
    words: Sequence[str]
    word_tokens: int
    sentences: Sequence[tuple[str, int]]
    by_tokens: dict[int, list[str]]
    longest: int
    sums: frozenset[int]

    def reaches(self, tokens: int) -> bool:
        """Whether some texts add exactly so many tokens."""
        return tokens in self.sums or tokens > 3 * self.longest

    def tail(self, tokens: int, rng: Random) -> list[str]:
        """Texts that add `tokens` together, or as nearly as there are any, in as few pieces as can be."""
        tokens = next((n for n in range(tokens, 0, -1) if self.reaches(n)), 0)
        chosen = []
        while tokens > 0:
            sizes = range(min(tokens, self.longest), 0, -1)
            size = next(n for n in sizes if n in self.by_tokens and self.reaches(tokens - n))
            pool = self.by_tokens[size]
            chosen.append(pool[int(rng.random() * len(pool))])
            tokens -= size
        return chosen


def _sums(sizes: Sequence[int], most: int) -> frozenset[int]:
    """All sums of `sizes` (each as often as wanted) up to `most`."""
    found = {0}
    for total in range(1, most + 1):
        if any(total - size in found for size in sizes):
            found.add(total)
    return frozenset(found)


def _pools(texts: Sequence[str], tokens: Sequence[int], longest: int) -> dict[int, list[str]]:
    """The texts by what they add, up to `longest`. Pools of a few are left out, else prompts would share their ends."""
    pools: dict[int, list[str]] = {}
    for text, n in zip(texts, tokens, strict=True):
        if 0 < n <= longest:
            pools.setdefault(n, []).append(text)
    return {n: pool for n, pool in pools.items() if n <= 2 or len(pool) >= LEAST_POOL}


def _least(words: Sequence[str], tokens: Sequence[int]) -> tuple[list[str], int]:
    """The words of the fewest tokens, and how many those are."""
    least = max(min(tokens), 1)
    return [word for word, n in zip(words, tokens, strict=True) if n == least], least


def measure(tokenizer: Tokenizer, words: Sequence[str], lines: Sequence[str]) -> tuple[Sequence[int], Sequence[int]]:
    """(what each word and line adds to a text, how many tokens each word alone has)."""
    base = tokenizer.count(_ANCHOR)
    added = [n - base for n in tokenizer.counts([f"{_ANCHOR} {text}" for text in (*words, *lines)])]
    return added, tokenizer.counts(words)


@lru_cache(maxsize=8)
def lexicon(tokenizer: Tokenizer) -> Lexicon:
    """The corpus measured with `tokenizer`; takes half a second, once, unless the tokenizer ships with its counts."""
    words, lines = corpus.words(), corpus.lines()
    if tokenizer.is_slow:
        words, lines = words[:1000], lines[::11]
    added, alone = corpus.counts() if tokenizer.is_embedded else measure(tokenizer, words, lines)
    of_words, of_lines = added[: len(words)], added[len(words) :]
    # The longest quarter is left out, so that a tail can be long without being one of a few rare sentences.
    longest = sorted(of_lines)[len(of_lines) * 3 // 4]
    by_tokens = _pools((*words, *lines), added, longest)
    starts, start_tokens = _least(words, alone)
    follow, word_tokens = _least(words, of_words)
    sentences = [(text, n) for text, n in zip(lines, of_lines, strict=True) if 0 < n <= longest]
    sums = _sums(sorted(by_tokens), 4 * longest)
    return Lexicon(starts, start_tokens, follow, word_tokens, sentences, by_tokens, longest, sums)


class Writer:
    """Writes texts to length, each with an opening unlike those before. `share`: as a Sampler has it; `rng` is its alone."""

    def __init__(self, measured: Lexicon, tokenizer: Tokenizer, rng: Random, share: tuple[int, int] = (0, 1)) -> None:
        self._lexicon, self._tokenizer, self._rng = measured, tokenizer, rng
        self._part, self._parts = share
        self._openings: set[int] = set()

    def write(self, tokens: int, prefix: str = "", prefix_tokens: int = 0) -> tuple[str, int]:
        """A new text that begins with `prefix`, and its token count: `tokens`, or the nearest that could be reached."""
        before = [prefix] if prefix else []
        own = tokens - prefix_tokens
        pieces, sizes, rest = self._head(own, follows=bool(prefix))
        best, best_count = "", 0
        for attempt in range(REPAIRS):
            if attempt % ATTEMPTS_A_HEAD == ATTEMPTS_A_HEAD - 1:  # the words themselves may not add up
                pieces, sizes, rest = self._head(own, follows=bool(prefix))
            while len(pieces) > 1 and (rest < 0 or not self._lexicon.reaches(rest)):
                pieces.pop()
                rest += sizes.pop()
            text = " ".join([*before, *pieces, *self._lexicon.tail(rest, self._rng)])
            count = self._tokenizer.count(text)
            if not best or abs(count - tokens) < abs(best_count - tokens):
                best, best_count = text, count
            if count == tokens:
                break
            rest -= count - tokens
        return best, best_count

    def _head(self, tokens: int, *, follows: bool) -> tuple[list[str], list[int], int]:
        """The pieces of a text up to its tail, their sizes, and how many tokens are left for the tail."""
        lex, random = self._lexicon, self._rng.random
        pieces, sizes = self._opening(tokens, follows=follows)
        rest = tokens - sum(sizes)
        sentences, total, longest = lex.sentences, len(lex.sentences), lex.longest
        while rest > longest:
            text, size = sentences[int(random() * total)]
            pieces.append(text)
            sizes.append(size)
            rest -= size
        return pieces, sizes, rest

    def _opening(self, tokens: int, *, follows: bool) -> tuple[list[str], list[int]]:
        """The words a text begins with, unlike any before as far as so few tokens allow; `follows`: a prefix is before them."""
        lex, random = self._lexicon, self._rng.random
        first, first_tokens = (lex.words, lex.word_tokens) if follows else (lex.starts, lex.start_tokens)
        further = max(0, min(OPENING_WORDS - 1, (tokens - first_tokens) // lex.word_tokens))
        pieces: list[str] = []
        for _ in range(REDRAWS * self._parts):
            pieces = [first[int(random() * len(first))]]
            pieces += [lex.words[int(random() * len(lex.words))] for _ in range(further)]
            # Openings are shared out by their sum, so that two senders have none in common; a string's hash differs a process.
            mark = crc32(" ".join(pieces).encode())
            if mark % self._parts == self._part and mark not in self._openings:
                self._openings.add(mark)
                break
        return pieces, [first_tokens] + [lex.word_tokens] * further


class Sampler:
    """The requests of one (scenario, load level, repeat), one after another.

    `stream` tells levels and repeats of a run apart. `share`: (part, parts), which of so many senders this is; together
    they draw the shapes that one alone would draw, each with prompts of its own. The same config, scenario, tokenizer, salt,
    stream and share give the same requests. `measured`: the tokenizer's lexicon, `entries`: the data set's, where they are at
    hand. ScenarioError where requests cannot be made for the scenario.
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
        self._shapes = Random(repr(("shapes", config.seed, str(scenario), stream)))
        self._skip, self._parts = share
        apart = () if self._parts == 1 else share
        self._rng = Random(repr(("texts", config.seed, salt, str(scenario), stream, *apart)))
        self._lexicon = measured or lexicon(tokenizer)
        self._writer = Writer(self._lexicon, tokenizer, self._rng, share)
        self._prefix_seed = repr(("prefix", config.seed, salt, str(scenario), stream))
        self._prefixes: dict[int, tuple[str, int]] = {}
        self._own_text = carries_own_text(config)
        self._entries = entries or datasets.load(config)

    def request(self, request_id: str, phase: str = "measured") -> Request:
        """The next request, its body built. `input_tokens_client` is the prompt's true count.

        `output_tokens_target` is the limit that the payload carries: the scenario's, unless request_params give another.
        Where they give the messages or prompt, the text is not ours: prompt and input tokens are None.
        """
        for _ in range(self._skip):
            self._draw()  # another sender's
        self._skip = self._parts - 1
        shape, picks = self._draw()
        if self._config.task == "text-to-embeddings":
            return self._documents(request_id, phase, shape, picks)
        prompt, tokens = ("", 0) if self._own_text else self._text(shape, picks[0])
        pictures = [] if self._own_text else self._pictures(shape, picks[0])
        fixed, urls = self._scenario.fixed_output, [picture.url for picture in pictures]
        payload = build_payload(self._config, prompt, shape.output_tokens, fixed_output=fixed, images=urls)
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

    def _draw(self) -> tuple[Shape, list[int | None]]:
        """The next shape, and for each input the entry of the data set that it is, with replacement; None without one."""
        shape, batch = self._scenario.sample(self._shapes), self._config.batch_size[0]
        if self._entries is None:
            return shape, [None] * batch
        return shape, [self._shapes.randrange(len(self._entries)) for _ in range(batch)]

    def _text(self, shape: Shape, pick: int | None) -> tuple[str, int]:
        """The text of one input and its tokens: an entry's, one made to length, or the question that goes with an image."""
        if shape.input_tokens is not None:
            return self.prompt(shape.input_tokens, shape.prefix_tokens)
        entries = self._entries
        text = datasets.ABOUT_AN_IMAGE if pick is None or entries is None else entries.prompts[pick]
        return text, self._tokenizer.count(text)

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
            maker = Writer(self._lexicon, self._tokenizer, Random(f"{self._prefix_seed} {prefix_tokens}"))
            self._prefixes[prefix_tokens] = maker.write(prefix_tokens)
        prefix, reached = self._prefixes[prefix_tokens]
        return self._writer.write(reached + tokens - prefix_tokens, prefix, reached)
