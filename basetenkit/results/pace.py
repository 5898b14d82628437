"""The pace of a stream: time per output token, from the tokens that came within the time it is divided by.

TPOT is (E2E - TTFT) / tokens. The tokens must be those that came after the first moment. Tokens of the first message took no
part of that time, hidden reasoning came before it, and the tokens of other choices (n > 1) came beside it: counting them makes
a server look faster than it is. A response whose tokens all came at one moment has no TPOT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.notes import Note, note
from ..parsing.response import ParsedResponse

# Fifty thousand tokens per second: no model writes as fast. Output at this pace was buffered and then sent whole.
AT_ONCE_S = 20e-6
# So many tokens at one moment say that somebody held them back. Fewer can be one step of the model.
MANY_TOKENS = 10
FIRST_SHARE = 0.05
# A bound that is a larger share of E2E says that this client read late: whether the tokens came together is then not known.
LATE_SHARE = 0.5
FEW_TIMES, LEAST_EVENTS = 3, 6  # events at a third of as many times were sent together
# An end mark, or an end mark and a turn's: what servers count beyond the text.
SPECIAL_TOKENS = 2
# A server's count is of the text if it is not too far from the tokenizer's count of that text.
LEAST_RATIO, MOST_RATIO = 1 / 8, 1.5
EVENTS_SURE = 8
Times = NDArray[np.float64]


class TokenCounts(NamedTuple):
    """Output tokens of a whole response: as the server reported them, and as the tokenizer counts its text."""

    server: int | None
    text: int | None


@dataclass(frozen=True, slots=True)
class Pace:
    """`tpot_s`: seconds per token, None if no token came after the first moment. `notes`: what a reader of it must know."""

    tpot_s: float | None
    notes: tuple[Note, ...] = ()


def pace(
    parsed: ParsedResponse, arrival: Times, error: Times, counts: TokenCounts, count: Callable[[str], int]
) -> Pace:
    """The pace of a streamed response. `arrival` and `error`: of each output event, s; `count`: the tokenizer."""
    texts = parsed.event_texts
    own = [i for i, text in enumerate(texts) if text] if "" in texts else list(range(len(texts)))
    if not own:
        return Pace(None)
    times = arrival if len(own) == len(texts) else arrival[own]
    together = int(np.count_nonzero(times <= times[0]))
    tokens = _Tokens(parsed, own, counts, count)
    notes = [*_first_message(tokens), *_few_times(times, error)]
    after, span = tokens.after(together), float(times[-1] - times[0])
    if after <= 0 or span <= AT_ONCE_S * after:
        return Pace(None, tuple(notes))
    return Pace(span / after, tuple(notes))


class _Tokens:
    """How many tokens the events of the response's own choice have, in the server's tokens if its count fits the text."""

    def __init__(
        self, parsed: ParsedResponse, own: Sequence[int], counts: TokenCounts, count: Callable[[str], int]
    ) -> None:
        self._parsed, self._own, self._counted, self._count = parsed, own, counts.text, count
        visible = counts.server
        if visible is not None and parsed.reasoning_tokens and not parsed.reasoning:
            visible -= parsed.reasoning_tokens
        self._single = visible is not None and self._one_per_event(visible)
        self.total = float(len(own)) if self._single else self._of_text(visible)
        self._known: dict[int, float] = {}

    def _one_per_event(self, visible: int) -> bool:
        """Whether each event is one token, the end mark aside, which some servers count and never send."""
        events = len(self._parsed.event_texts)
        if visible == events:
            return True
        marks = 0 < visible - events <= SPECIAL_TOKENS and self._parsed.finish_reason != "length"
        return marks and (events >= EVENTS_SURE or self._counted == events)

    def _of_text(self, visible: int | None) -> float:
        """The tokens of the text, if some events hold several."""
        events, counted = len(self._parsed.event_texts), self._counted
        if visible is None or visible <= 0:
            return float(counted or 0)
        of_own = visible * len(self._own) / events
        if not counted:
            return of_own
        if abs(of_own - counted) <= SPECIAL_TOKENS or not LEAST_RATIO <= of_own / counted <= MOST_RATIO:
            return float(counted)
        return of_own

    def first(self, events: int) -> float:
        """Tokens of the first `events` of them."""
        if events not in self._known:
            self._known[events] = self.total * self._share(events)
        return self._known[events]

    def _share(self, events: int) -> float:
        if self._single or not self._counted:
            return events / len(self._own)
        said: dict[str, str] = {}
        for i in self._own[:events]:
            kind = self._parsed.event_kinds[i]
            said[kind] = said.get(kind, "") + self._parsed.event_texts[i]
        return min(sum(map(self._count, said.values())) / self._counted, 1.0)

    def after(self, events: int) -> float:
        """Tokens that came after the first `events` of them."""
        return self.total - self.first(events) if events < len(self._own) else 0.0


def _first_message(tokens: _Tokens) -> list[Note]:
    first, total = tokens.first(1), tokens.total
    if first < 1.5 or first <= FIRST_SHARE * total:  # below: one token, which a tokenizer may count as one and a half
        return []
    return [note("first_message", n=round(first), tokens=round(total))]


def _few_times(times: Times, error: Times) -> list[Note]:
    """Events that came at far fewer times than there are events, if that is not this client's doing: a client that reads late
    has bounds as wide as what it merged."""
    n = len(times)
    changes = 1 + int(np.count_nonzero(times[1:] != times[:-1]))  # as many as there are moments, in order of arrival
    if n < LEAST_EVENTS or FEW_TIMES * changes > n:
        return []
    moments = np.unique(times)
    late = _middle(np.diff(moments)) / 2 if len(moments) > 1 else LATE_SHARE * float(times[-1])
    if _middle(error) > late:
        return []
    return [note("few_times", n=n, times=len(moments))]


def _middle(values: Times) -> float:
    """The upper median: numpy's own takes ten times as long on so few values."""
    return float(np.sort(values)[len(values) // 2])
