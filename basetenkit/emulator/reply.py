"""A reply of the embedded endpoint as pieces, each with the time at which it is due.

A thousand streams write tens of thousands of pieces a second, and a thousand requests may come at once. So a stream's pieces
are made one by one, when they are due, of frames that are ready: a request costs the same however long its answer is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import overload

from .words import JsonObject, WordCounts, vocabulary


class Piece:
    """Bytes to write `at` seconds after the request was received; `tokens` output tokens are in it. `data` may be given as a
    function, which is called when it is first asked for."""

    __slots__ = ("_data", "at", "tokens")

    def __init__(self, at: float, data: bytes | Callable[[], bytes], tokens: int = 0) -> None:
        self.at, self.tokens = at, tokens
        self._data = data

    @property
    def data(self) -> bytes:
        if not isinstance(self._data, bytes):
            self._data = self._data()
        return self._data


class Stream(Sequence[Piece]):
    """The pieces of a stream: `opening`, then `step` words a piece, due with the last of them, then `closing`."""

    def __init__(self, form: str, words: list[str], times: list[float], step: int) -> None:
        self._form, self._words, self._times, self._step = form, words, times, step
        self._ready = frames(form)
        self._middle = -(-len(words) // step)
        self.opening: list[Piece] = []
        self.closing: list[Piece] = []

    def cut(self, pieces: int) -> None:
        """Leaves only so many of the pieces that hold words."""
        self._middle = min(pieces, self._middle)

    @property
    def middle(self) -> int:
        """How many pieces hold words."""
        return self._middle

    @property
    def last_at(self) -> float:
        """When the last piece that is there so far is due."""
        return self[len(self) - 1].at if len(self) else 0.0

    def __len__(self) -> int:
        return len(self.opening) + self._middle + len(self.closing)

    @overload
    def __getitem__(self, index: int) -> Piece: ...
    @overload
    def __getitem__(self, index: slice) -> list[Piece]: ...
    def __getitem__(self, index: int | slice) -> Piece | list[Piece]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if index < len(self.opening):
            return self.opening[index]
        index -= len(self.opening)
        return self._spoken(index) if index < self._middle else self.closing[index - self._middle]

    def _spoken(self, index: int) -> Piece:
        if self._step == 1:
            return Piece(self._times[index], self._ready[self._words[index]], 1)
        words = self._words[index * self._step : (index + 1) * self._step]
        at = self._times[index * self._step + len(words) - 1]
        return Piece(at, frame(self._form, "".join(words)), len(words))


@dataclass
class Reply:
    """A whole answer. `chunked`: HTTP chunks; else `pieces` are one body with a length. `ending`: "whole", "truncate" (an
    end too early: of a stream a clean one, of a document within its body), "reset" or "stall"."""

    status: int
    content_type: str
    pieces: Sequence[Piece]
    chunked: bool = False
    ending: str = "whole"
    prompt: WordCounts | None = None
    tokens: int = 0
    outcome: str = "ok"
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def spoken(self) -> int:
        """The output tokens that are in its pieces: fewer than `tokens` if a failure cuts them."""
        if not isinstance(self.pieces, Stream):
            return self.tokens
        return sum(self.pieces[len(self.pieces.opening) + k].tokens for k in range(self.pieces.middle))

    @property
    def prompt_tokens(self) -> int:
        """The prompt's tokens; counted when first asked for."""
        return 0 if self.prompt is None else self.prompt()


def sse_message(message: JsonObject) -> bytes:
    stamped = {"id": "emulated", "object": "chat.completion.chunk", "created": 0, "model": "emulated", **message}
    return b"data: " + json.dumps(stamped).encode() + b"\n\n"


@cache
def _frame_parts(form: str) -> tuple[bytes, bytes]:
    mark = "\u0001"
    key = {"delta": {"content": mark}} if form == "chat" else {"text": mark}
    message = sse_message({"choices": [{"index": 0, **key, "finish_reason": None}]})
    before, after = message.split(json.dumps(mark)[1:-1].encode())
    return before, after


def frame(form: str, text: str) -> bytes:
    """One output message of a stream; of a prompt's stream, which is bare text, the text itself."""
    if form == "prompt":
        return text.encode()
    before, after = _frame_parts(form)
    return before + json.dumps(text)[1:-1].encode() + after


@cache
def frames(form: str) -> dict[str, bytes]:
    """The message of each word of the vocabulary."""
    return {word: frame(form, word) for word in vocabulary()}
