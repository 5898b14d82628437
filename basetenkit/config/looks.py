"""When a run that goes on until it is precise looks at its figures."""

from __future__ import annotations

import math

FIRST_LOOK, GROWS = 200, 1.5


def next_look(n: int) -> int:
    """After how many requests a run that goes on until it is precise looks next, if it has `n`: 200, 300, 450 and so on. Looks are
    few, because each is a chance to stop by luck."""
    at = FIRST_LOOK
    while at <= n:
        at = math.ceil(at * GROWS)
    return at
