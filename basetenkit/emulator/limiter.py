"""The emulator's rate limiter: a bucket of permits that fills at the limit."""

from __future__ import annotations


class Limiter:
    """Accepts `per_s` requests per second, and `burst` at once after a pause. 0 per second: it accepts all."""

    def __init__(self, per_s: float, burst: int = 1) -> None:
        self._per_s, self._burst = per_s, float(burst)
        self._permits, self._at_s = float(burst), 0.0

    def offer(self, now_s: float) -> float | None:
        """None if a request at this time is accepted, else after how many seconds one would be."""
        if not self._per_s:
            return None
        self._permits = min(self._burst, self._permits + max(now_s - self._at_s, 0.0) * self._per_s)
        self._at_s = max(now_s, self._at_s)
        if self._permits >= 1:
            self._permits -= 1
            return None
        return (1 - self._permits) / self._per_s
