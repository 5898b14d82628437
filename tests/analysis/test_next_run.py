"""The range in which the next run should lie, by simulation and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from basetenkit.analysis.next_run import between_runs, next_interval

from ..making import number


def test_runs_without_errors_of_their_own_have_the_plain_spread() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    middle, error, spread = between_runs(x, np.zeros(5))
    assert (middle, spread) == pytest.approx((3.0, np.sqrt(2.5)))
    assert error == pytest.approx(np.sqrt(2.5 / 5))
    found = next_interval(x)
    assert found.value == pytest.approx(3.0)
    assert found.high == pytest.approx(3 + 3.18245 * np.sqrt(2.5 * 1.2), rel=1e-4)  # t of 3 degrees of freedom
    assert found.low == pytest.approx(6 - number(found.high))


def test_what_the_runs_own_errors_explain_is_no_spread_between_them() -> None:
    x = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.02])
    assert between_runs(x, np.full(6, 0.5))[2] == 0.0
    assert between_runs(x, np.full(6, 0.001))[2] == pytest.approx(x.std(ddof=1), rel=0.01)


@pytest.mark.parametrize(("spread", "error"), [(0.05, 0.0), (0.05, 0.05), (0.0, 0.05)])
@pytest.mark.parametrize("runs", [6, 20])
def test_the_next_run_lies_within_as_often_as_is_said(runs: int, spread: float, error: float) -> None:
    rng = np.random.default_rng(runs)
    inside = 0
    for _ in range(400):
        errors = error * rng.uniform(0.7, 1.3, runs)
        values = rng.normal(0, np.hypot(spread, errors))
        found = next_interval(values, errors, own=error)
        inside += number(found.low) <= rng.normal(0, np.hypot(spread, error)) <= number(found.high)
    assert inside / 400 > 0.92


def test_constant_and_few_runs_make_no_trouble() -> None:
    assert next_interval([]).value is None
    assert (next_interval([1.0] * 4).value, next_interval([1.0] * 4).low) == (1.0, None)
    same = next_interval([2.0] * 9, [0.0] * 9)
    assert (same.value, same.low, same.high) == (2.0, 2.0, 2.0)
    few = [1.0, 2.0, 1.5, 1.2, 1.8, 1.1]
    assert number(next_interval(few, level=0.99).high) > number(next_interval(few).high)
