"""How the users of a closed loop begin, and when its endpoint counts as full; pure.

The first request of each user is drawn in proportion to its output length and cut at a random place: this is what an endpoint
has in work if the load has been going on for ever. What waits in its queue is another matter: those requests are like any
other, and have hardly begun. If all users began at once with cut requests, the queue of an endpoint with fewer places than users
would hold mostly long responses, and TTFT would be too high for a dozen requests per user (measured: p95 +14%).

So only a few first requests wait for their first byte at any time, and further users begin as first bytes come. If one waits
PATIENCE times as long as the slowest of those before, the endpoint is full: all users that are left begin at once, with whole
requests.
"""

from __future__ import annotations

import math

PATIENCE, LEAST_PATIENCE_S = 4.0, 0.1
WAITING_SHARE = 1 / 16  # of the users
LEAST_SEEN = 8  # first bytes that tell how long one takes


def room(users: int, waiting: int) -> int:
    """How many further users may begin if the first requests of `waiting` have had no byte yet."""
    return max(math.ceil(users * WAITING_SHARE) - waiting, 0)


def is_full(seen: int) -> bool:
    """Whether an endpoint that lets a first request wait so long is full, after it has given `seen` first bytes; of fewer nobody
    can tell."""
    return seen >= LEAST_SEEN


def patience(slowest_s: float) -> float:
    """How long a first request may wait for its first byte (s), if the slowest so far took `slowest_s`."""
    return max(PATIENCE * slowest_s, LEAST_PATIENCE_S)
