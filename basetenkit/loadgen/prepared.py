"""Everything that a run needs to send, checked and read once before anything is sent, and passed to all senders."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..config.plan import PlannedLevel
from ..config.run_config import RunConfig
from ..core.findings import Finding
from ..transport.http_request import Head
from ..workload.datasets import Entries
from ..workload.lexicon import Lexicon
from ..workload.tokenizer import Tokenizer


@dataclass(frozen=True)
class Prepared:
    """`head`: of each request, which holds the key; `entries`: of the data set, None without one; `secrets`: what a server could
    send back of it; `levels`: in the order in which they run; `events`: what a reader must know of the data set; `lexicon`: the
    tokens of single words, if they were counted already."""

    config: RunConfig
    tokenizer: Tokenizer
    head: Head = field(repr=False)
    entries: Entries | None = None
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    levels: tuple[PlannedLevel, ...] = ()
    events: tuple[Finding, ...] = ()
    lexicon: Lexicon | None = field(default=None, repr=False)


def holds_conversations(entries: Entries | None, level: PlannedLevel) -> bool:
    """Whether the level's load is conversations: turns that follow one another, each a request."""
    return entries is not None and bool(entries.conversations) and level.scenario.needs_data
