"""Conversations: lists of messages from a data set, and the state of each during a run.

A list is cut into turns: each ends with a user's message, or with the results of a tool. A turn sends the whole history so far.
The assistant's part of that history is by default the model's own output (`history_from="model"`), because a server caches its
output and a user replies to it. `history_from="dataset"` uses the answers of the list instead, so every model receives the same
bytes. If the list has no answer, the model's own answer is used in both cases. If an answer of the list calls a tool, it is
always used, because the next message has the result of that call. Messages of the assistant before the first user's message are
history from the start. Messages after the last question are not sent.

A row that is a whole request (a line of a batch file, or a logged body that does not end with the assistant) is one turn: all
its messages are sent unchanged.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import orjson

from ..config.run_config import RunConfig
from ..config.scenarios import Scenario
from ..core.errors import DataError
from ..core.types import Request
from .marks import marks, picks
from .payload import build_payload, carries_own_text, output_limit, uses_prompt_format
from .speakers import Message
from .table import Unfit, texts_in

COLUMNS = ("messages", "conversations", "conversation", "dialogue", "dialog")


@dataclass(frozen=True, slots=True)
class Turn:
    """`said`: the messages that this turn adds, the question last; `answer`: the data set's own text for it, or None;
    `call`: the data set's own answer, if it calls a tool."""

    said: tuple[Message, ...]
    answer: str | None = None
    call: Message | None = None

    @property
    def texts(self) -> list[str]:
        """All texts in it, in order."""
        texts = [message["content"] for message in self.said if message["content"]]
        return texts + ([] if self.answer is None else [self.answer])


Conversation = tuple[Turn, ...]


def turns_of(messages: Sequence[Message], *, whole: bool = False) -> Conversation:
    """The turns of a list of messages, or one of all of them if they are a `whole` request. Unfit if it asks nothing."""
    if not any(message["role"] == "user" for message in messages):
        raise Unfit("nothing is asked")
    if whole:
        return (Turn(tuple(messages)),)
    turns: list[Turn] = []
    waiting: list[Message] = []
    for at, message in enumerate(messages):
        role, after = message["role"], messages[at + 1]["role"] if at + 1 < len(messages) else None
        last = turns[-1] if turns and not waiting else None
        if role == "assistant" and last is not None and last.answer is None and last.call is None:
            called = len(message) > 2
            turns[-1] = Turn(last.said, None if called else message["content"], message if called else None)
            continue
        waiting.append(message)
        if role == "user" or (
            role in ("tool", "function") and after not in ("tool", "function") and (turns or _asked(waiting))
        ):
            turns.append(Turn(tuple(waiting)))
            waiting = []
    return tuple(turns)


def _asked(messages: Sequence[Message]) -> bool:
    return any(message["role"] == "user" for message in messages)


def question(talk: Conversation) -> str:
    """The first message of a user."""
    return next(str(message["content"]) for turn in talk for message in turn.said if message["role"] == "user")


def check(config: RunConfig) -> None:
    """DataError if conversations cannot be sent as `config` says."""
    if config.task != "text-to-text":
        raise DataError(f"dataset: it holds conversations, and the task is {config.task!r}; use task='text-to-text'")
    if uses_prompt_format(config):
        raise DataError(
            "dataset: it holds conversations, and the prompt format has one text; use request_format='chat'"
        )
    if carries_own_text(config):
        raise DataError("dataset: it holds conversations, and request_params give `messages`; leave those out")


@dataclass(slots=True, eq=False)
class ConversationState:
    """A conversation being held. `first`: the number that the plan gives its first turn if a schedule counts them;
    `numbers`: those of its turns that are planned, and their `phase`; `opening`: one that a steady level begins with; `at`: turns
    said so far; `tokens`: of all `messages`; `params`: what its row of the data set adds to payloads."""

    turns: Conversation
    first: int
    numbers: range = range(0)
    phase: str = "measured"
    opening: bool = False
    name: str | None = None
    at: int = 0
    messages: list[Message] = field(default_factory=list)
    tokens: int = 0
    params: Mapping[str, object] = field(default_factory=dict)


class ConversationSampler:
    """Draws the conversations of one sender of a level, and builds their requests: `dataset`, `RD` or `RDC`.

    `salt`, `stream` and `share` are as a Sampler has them: (part, parts) holds every `parts`-th conversation of one order.
    `params`: what the row of each conversation adds to its payloads; none at all, or one for each.
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
        params: Sequence[Mapping[str, object]] = (),
    ) -> None:
        self._config, self._scenario, self._conversations, self._count = config, scenario, conversations, count
        self._params = params
        self._shape = scenario.sample(Random(0))
        order = Random(repr(("conversations", config.seed, stream)))
        self._picks = picks(order, len(conversations), scenario)
        self._marks = marks(config, scenario, salt=salt, stream=stream, share=share)
        self._apart = Random(repr(("openings", config.seed, stream, *share)))
        self._openings: list[int] | None = None
        self.mean_turns = sum(map(len, conversations)) / max(len(conversations), 1)
        self._behind = 0
        self.begun: deque[ConversationState] = deque()
        self._parts = share[1]
        self._upcoming = self._skip(share[0])

    def _draw(self) -> ConversationState:
        pick = next(self._picks)
        turns = self._conversations[pick]
        talk = ConversationState(turns, self._behind, params=self._of_row(pick))
        self._behind += len(turns)
        return talk

    def _of_row(self, pick: int) -> Mapping[str, object]:
        return self._params[pick] if self._params else {}

    def _skip(self, others: int) -> ConversationState:
        for _ in range(others):
            self._draw()
        return self._draw()

    @property
    def first(self) -> int:
        """How many turns of all senders come before the next conversation of this one."""
        return self._upcoming.first

    def request(self, request_id: str) -> Request:
        """The first turn of the next conversation, which is appended to `begun`."""
        self.begun.append(self._upcoming)
        self._upcoming = self._skip(self._parts - 1)
        return self.next_request(self.begun[-1], request_id)

    def drawn(self, draw: int) -> Request | None:
        """None: a conversation of another sender is not taken over."""
        return None

    def opening(self) -> Request:
        """The first turn of a conversation for a user of a closed loop who begins a steady level: drawn in proportion to its number
        of turns and cut at a random one, as a stationary load would have found it."""
        if self._openings is None:
            weights = list(itertools.accumulate(len(turns) for turns in self._conversations))
            self._openings = weights
        (pick,) = self._apart.choices(range(len(self._conversations)), cum_weights=self._openings)
        turns = self._conversations[pick]
        opening = turns[: self._apart.randint(1, len(turns))]
        self.begun.append(ConversationState(opening, 0, opening=True, params=self._of_row(pick)))
        return self.next_request(self.begun[-1])

    def next_request(self, talk: ConversationState, request_id: str = "") -> Request:
        """The request of its next turn. `input_tokens_client` is of all messages, each counted by itself."""
        mark = "" if talk.at else next(self._marks)
        for message in talk.turns[talk.at].said:
            if mark and message["role"] == "user":
                message, mark = message | {"content": mark + message["content"]}, ""
            self._add(talk, message)
        talk.at += 1
        fixed = self._scenario.fixed_output
        payload = build_payload(self._config, "", self._shape.output_tokens, fixed_output=fixed, row=talk.params) | {
            "messages": talk.messages
        }
        return Request(
            request_id=request_id,
            body=orjson.dumps(payload),
            scenario=str(self._scenario),
            output_tokens_target=output_limit(self._config, payload),
            input_tokens_client=talk.tokens,
            turn=talk.at,
            message_count=len(talk.messages),
        )

    def add_response(self, talk: ConversationState, text: str) -> None:
        """Puts the answer to the last turn into the history: the model's `text`, or the data set's."""
        turn = talk.turns[talk.at - 1]
        if turn.call is not None:
            self._add(talk, turn.call)
            return
        own = turn.answer
        chosen = own if own is not None and self._config.history_from == "dataset" else text
        self._add(talk, {"role": "assistant", "content": chosen})

    def _add(self, talk: ConversationState, message: Message) -> None:
        talk.messages.append(message)
        talk.tokens += self._count(message["content"] or "")
        for call in message.get("tool_calls", ()):
            talk.tokens += sum(map(self._count, texts_in(call.get("function", call))))
