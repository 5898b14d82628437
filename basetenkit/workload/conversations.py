"""Conversations: lists of messages out of a data set, and each one while it is being held.

A list is cut into turns, one a user's message. A turn sends everything said so far. What stands in that history as the
assistant's part is by default what the model itself said (`answers="model"`), because a server caches what it has produced
and a user goes on from what was read; `answers="dataset"` puts the list's own answers there, so that every model is sent the
same bytes. Where the list has no answer, the model's own serves either way. What a list holds of the assistant before its
first user's message is history from the start, and what follows its last user's message asks nothing and is left out.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson
import polars as pl

from ..config import RunConfig
from ..errors import DataError
from ..scenario import Scenario
from ..types import Request
from .marks import marks, picks
from .payload import build_payload, carries_own_text, output_limit, uses_prompt_format

Message = dict[str, str]
COLUMNS = ("messages", "conversations", "conversation")
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "developer"}
_ROLES |= {"human": "user", "gpt": "assistant"}  # as ShareGPT has them, whose messages are {"from", "value"}


@dataclass(frozen=True, slots=True)
class Turn:
    """`said`: the messages that this turn adds, the user's last; `answer`: the data set's own to it, or None."""

    said: tuple[Message, ...]
    answer: str | None = None

    @property
    def texts(self) -> list[str]:
        """All that is said in it, in order."""
        return [message["content"] for message in self.said] + ([] if self.answer is None else [self.answer])


Conversation = tuple[Turn, ...]


def holds_messages(kind: pl.DataType) -> bool:
    """Whether a column of this type can hold lists of messages."""
    return isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct)


def read_column(series: pl.Series, name: str) -> list[Conversation]:
    """A conversation a row. DataError, one sentence, where a row is none."""
    column = f"column {series.name!r} of {name}"
    if not holds_messages(series.dtype):
        raise DataError(f"dataset: {column} holds {series.dtype}, and must hold lists of messages (role and content)")
    return [_turns(messages or [], f"row {i + 1} of {column}") for i, messages in enumerate(series.to_list())]


def _turns(messages: Sequence[dict[str, Any] | None], where: str) -> Conversation:
    turns: list[Turn] = []
    waiting: list[Message] = []
    for message in messages:
        role, content = _message(message or {}, where)
        if role == "assistant" and turns and not waiting and turns[-1].answer is None:
            turns[-1] = Turn(turns[-1].said, content)
            continue
        waiting.append({"role": role, "content": content})
        if role == "user":
            turns.append(Turn(tuple(waiting)))
            waiting = []
    if not turns:
        raise DataError(f"dataset: {where} has no message of the user; give it at least one")
    return tuple(turns)


def _message(message: dict[str, Any], where: str) -> tuple[str, str]:
    role, content = message.get("role") or message.get("from"), message.get("content") or message.get("value")
    if role not in _ROLES:
        raise DataError(f"dataset: {where} has a message of role {role!r}; roles can be {', '.join(_ROLES)}")
    if not isinstance(content, str) or not content.strip():
        raise DataError(f"dataset: {where} has a message without text; each needs a text as its content")
    return _ROLES[role], content


def check(config: RunConfig) -> None:
    """DataError where conversations cannot be sent as `config` says."""
    if config.task != "text-to-text":
        raise DataError(f"dataset: it holds conversations, and the task is {config.task!r}; use task='text-to-text'")
    if uses_prompt_format(config):
        raise DataError(
            "dataset: it holds conversations, and the prompt format has one text; use request_format='chat'"
        )
    if carries_own_text(config):
        raise DataError("dataset: it holds conversations, and request_params give `messages`; leave those out")


@dataclass(slots=True, eq=False)
class Talk:
    """A conversation being held. `first`: the number that the plan gives its first turn where a schedule counts them;
    `numbers`: those of its turns that are planned, and their `phase`; `opening`: one that a steady level begins with; `at`: turns
    said so far; `tokens`: of all that stands in `messages`."""

    turns: Conversation
    first: int
    numbers: range = range(0)
    phase: str = "measured"
    opening: bool = False
    name: str | None = None
    at: int = 0
    messages: list[Message] = field(default_factory=list)
    tokens: int = 0


class Speaker:
    """Draws the conversations of one sender of a level, and builds what is said in them: `dataset`, `RD` or `RDC`.

    `salt`, `stream` and `share` are as a Sampler has them: (part, parts) holds every `parts`-th conversation of one order.
    `begun`: the conversations whose first turn was built and that nobody has taken over yet.
    """

    def __init__(
        self,
        config: RunConfig,
        scenario: Scenario,
        conversations: Sequence[Conversation],
        count: Callable[[str], int],
        *,
        salt: str,
        stream: str,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._config, self._scenario, self._conversations, self._count = config, scenario, conversations, count
        self._shape = scenario.sample(Random(0))
        order = Random(repr(("conversations", config.seed, stream)))
        self._picks = picks(order, len(conversations), scenario)
        self._marks = marks(config, scenario, salt=salt, stream=stream, share=share)
        self._apart = Random(repr(("openings", config.seed, stream, *share)))
        self._openings: list[int] | None = None
        self.mean_turns = sum(map(len, conversations)) / max(len(conversations), 1)
        self._behind = 0
        self.begun: deque[Talk] = deque()
        self._parts = share[1]
        self._upcoming = self._skip(share[0])

    def _draw(self) -> Talk:
        turns = self._conversations[next(self._picks)]
        talk = Talk(turns, self._behind)
        self._behind += len(turns)
        return talk

    def _skip(self, others: int) -> Talk:
        for _ in range(others):
            self._draw()
        return self._draw()

    @property
    def first(self) -> int:
        """How many turns of all senders stand in the order before the next conversation of this one."""
        return self._upcoming.first

    def request(self, request_id: str) -> Request:
        """The first turn of the next conversation, which is appended to `begun`."""
        self.begun.append(self._upcoming)
        self._upcoming = self._skip(self._parts - 1)
        return self.say(self.begun[-1], request_id)

    def opening(self) -> Request:
        """The first turn of a conversation for a user of a closed loop who begins a steady level: drawn in proportion to its number
        of turns and cut at a random one, as a stationary load would have found it."""
        if self._openings is None:
            weights = list(itertools.accumulate(len(turns) for turns in self._conversations))
            self._openings = weights
        (turns,) = self._apart.choices(self._conversations, cum_weights=self._openings)
        self.begun.append(Talk(turns[: self._apart.randint(1, len(turns))], 0, opening=True))
        return self.say(self.begun[-1])

    def say(self, talk: Talk, request_id: str = "") -> Request:
        """The request of its next turn. `input_tokens_client` is of all messages, each counted by itself."""
        *before, asked = talk.turns[talk.at].said
        mark = "" if talk.at else next(self._marks)
        for message in (*before, asked | {"content": mark + asked["content"]}):
            self._add(talk, message)
        talk.at += 1
        payload = build_payload(
            self._config, "", self._shape.output_tokens, fixed_output=self._scenario.fixed_output
        ) | {"messages": talk.messages}
        return Request(
            request_id=request_id,
            body=orjson.dumps(payload),
            scenario=str(self._scenario),
            output_tokens_target=output_limit(self._config, payload),
            input_tokens_client=talk.tokens,
            turn=talk.at,
            message_count=len(talk.messages),
        )

    def hear(self, talk: Talk, text: str) -> None:
        """Puts the answer to the last turn into the history: the model's `text`, or the data set's."""
        own = talk.turns[talk.at - 1].answer
        chosen = own if own is not None and self._config.answers == "dataset" else text
        self._add(talk, {"role": "assistant", "content": chosen})

    def _add(self, talk: Talk, message: Message) -> None:
        talk.messages.append(message)
        talk.tokens += self._count(message["content"])
