"""When a failed warm-up request is sent again. Measured requests are never sent twice.

A model that was scaled to zero answers 429, 502 or 503, or not at all, while it starts; the warm-up waits for it. Each attempt
is a separate request with its own row. Statuses and pauses are those of Baseten's own performance client, without the statuses
that waiting does not fix (a 500 is the model's own failure, a 504 comes after twenty minutes).
"""

from __future__ import annotations

import email.utils
import time

from ..core.types import Exchange, Outcome, first_header

STATUSES = frozenset({429, 502, 503, 529})
FIRST_PAUSE_S, FACTOR, LONGEST_PAUSE_S = 0.125, 4.0, 45.0


def pause_before_again(exchange: Exchange, attempt: int) -> float | None:
    """Seconds to wait after the `attempt`-th try (from 1) came to this; None if it is not to be tried again. `Retry-After`
    goes before our own pause; one that is longer than 45 s is not waited for."""
    if exchange.failure is None and exchange.status not in STATUSES:
        return None
    if exchange.failure is not None and exchange.failure.outcome is not Outcome.CONNECTION_ERROR:
        return None
    asked = retry_after_s(first_header(exchange.headers, "retry-after"))
    if asked is None:
        return min(FIRST_PAUSE_S * FACTOR ** (attempt - 1), LONGEST_PAUSE_S)
    return asked if asked <= LONGEST_PAUSE_S else None


def retry_after_s(value: str | None, now: float | None = None) -> float | None:
    """Seconds, of `Retry-After` in either form (RFC 9110, 10.2.3): a number or a date; None if it is neither."""
    text = (value or "").strip()
    if text.isdecimal() and text.isascii():
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(at.timestamp() - (time.time() if now is None else now), 0.0)
