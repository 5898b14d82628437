"""How many requests a level sends if its configuration leaves that open, and when a run that goes on until it is precise looks."""

from __future__ import annotations

import math

LEAST, TIMES, LONGEST = 200, 10, 60.0
FIRST_LOOK, GROWS = 200, 1.5


def requests_for(load: str, level: float) -> int:
    """Requests of one level under `max_requests="auto"`: at least 200. Of a closed loop 10 times its level at least, so that every
    user asks ten times; of an open loop a minute's arrivals at least, since 200 at 50 per second are 4 s."""
    return max(LEAST, math.ceil(level * (LONGEST if load == "request_rate" else TIMES)))


def next_look(n: int) -> int:
    """After how many requests a run that goes on until it is precise looks next, if it has `n`: 200, 300, 450 and so on. Looks are
    few, because each is a chance to stop by luck."""
    at = FIRST_LOOK
    while at <= n:
        at = math.ceil(at * GROWS)
    return at
