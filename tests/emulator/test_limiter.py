from __future__ import annotations

import pytest

from basetenkit.emulator.limiter import Limiter


def test_it_accepts_a_burst_and_then_its_rate() -> None:
    limiter = Limiter(2.0, 3)
    assert [limiter.offer(0.0) for _ in range(3)] == [None] * 3
    assert limiter.offer(0.0) == pytest.approx(0.5)
    assert limiter.offer(0.25) == pytest.approx(0.25)
    assert limiter.offer(0.5) is None
    accepted = sum(limiter.offer(1.0 + k / 100) is None for k in range(1000))
    assert accepted == pytest.approx(20, abs=2)


def test_a_long_pause_fills_no_more_than_the_burst() -> None:
    limiter = Limiter(10.0, 2)
    assert [limiter.offer(1000.0) is None for _ in range(4)] == [True, True, False, False]


def test_without_a_limit_it_accepts_all() -> None:
    limiter = Limiter(0.0)
    assert all(limiter.offer(0.0) is None for _ in range(100))
