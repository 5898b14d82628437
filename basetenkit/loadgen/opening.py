"""The start of a closed loop's users, and when its endpoint counts as full.

The first request of each user is drawn with a probability proportional to its output length, and only a random part of that
length is requested: an endpoint under a long-running load has such requests in work. Requests in its queue are different: they
have hardly begun. If all users began at once with such requests, the queue of an endpoint with fewer places than users would
contain mostly long responses, and TTFT would be too high for a dozen requests per user (measured: p95 +14%).

So only a few first requests wait for their first byte at any time, and further users begin as first bytes arrive. If one
request waits PATIENCE times as long as the slowest one before it, the endpoint is full: all remaining users begin at once, with
whole requests.
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
    """Whether an endpoint that lets a first request wait so long is full, after it has sent `seen` first bytes; False if these
    are too few to decide."""
    return seen >= LEAST_SEEN


def patience(slowest_s: float) -> float:
    """How long a first request may wait for its first byte (s), if the slowest so far took `slowest_s`."""
    return max(PATIENCE * slowest_s, LEAST_PATIENCE_S)
