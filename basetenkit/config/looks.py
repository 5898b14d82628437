"""When a run with `until` checks its precision."""

from __future__ import annotations

import math

FIRST_LOOK, GROWS = 200, 1.5


def next_look(n: int) -> int:
    """The number of requests at the next check, if the run has `n`: 200, 300, 450 and so on. Checks are few, because each one is a
    chance to stop by luck."""
    at = FIRST_LOOK
    while at <= n:
        at = math.ceil(at * GROWS)
    return at
