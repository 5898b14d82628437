"""The order of a data set's entries, and the random mark that makes an entry new to a cache.

`dataset` draws with replacement, like genai-bench. `RD` and `RDC` come from Baseten's fork of it, which goes through the data
set and starts again at its end. Here, too, every entry is sent once before any is sent again, but each level has its own random
order, drawn with the seed. Otherwise a short level would send only the first entries of the file.

The mark of `RD` is before the first message of the user. The fork counts its marks from 1 in every process, so a second run
finds the marks of the first run in the server's cache. Here they are drawn with the salt.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from ..config.run_config import RunConfig
from ..config.scenarios import CachedConversation, Conversation, Scenario


def picks(random: Random, total: int, scenario: Scenario) -> Iterator[int]:
    """The numbers below `total` in the order in which a scenario takes entries, without end; none if there are none."""
    through = isinstance(scenario, Conversation)
    while total:
        yield from random.sample(range(total), total) if through else [random.randrange(total)]


def marks(
    config: RunConfig, scenario: Scenario, *, salt: str, stream: str, share: tuple[int, int] = (0, 1)
) -> Iterator[str]:
    """The text before each entry, an endless iterator: `[NONCE-<12 hexadecimal digits>] ` for RD, nothing for the others."""
    marked = isinstance(scenario, Conversation) and not isinstance(scenario, CachedConversation)
    random = Random(repr(("marks", config.seed, salt, str(scenario), stream, *share)))
    while True:
        yield f"[NONCE-{random.getrandbits(48):012x}] " if marked else ""
