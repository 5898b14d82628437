"""Changes in series whose truth is known, and alarms in series without any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from basetenkit.stats.watch import (
    OUTLIER_LENGTH,
    RUN_LENGTH,
    alarmed,
    change_points,
    demanded,
    excursion,
    limit,
    outliers,
    run_length,
    scores,
    step,
    theil_sen,
)

DAY = 86400.0


def series(levels: list[float], noise: float = 0.02, seed: int = 3) -> tuple[Any, Any]:
    x = np.log(np.array(levels)) + np.random.default_rng(seed).normal(0, noise, len(levels))
    return x, np.arange(len(levels)) * DAY


def test_a_step_is_found_where_it_is_and_each_part_is_looked_at_again() -> None:
    assert change_points(*series([1.0] * 12 + [1.2] * 12)) == [12]
    assert change_points(*series([1.0] * 12 + [1.5] * 12 + [1.1] * 12)) == [12, 24]


def test_a_steady_series_is_rarely_cut() -> None:
    cut = [bool(change_points(*series([1.0] * 30, seed=seed))) for seed in range(100)]
    assert sum(cut) <= 5


def test_a_drift_is_no_step_and_its_line_has_an_interval_that_holds_the_truth() -> None:
    x, at = series(list(np.exp(0.01 * np.arange(40))))
    assert change_points(x, at) == []
    slope, low, high = theil_sen(x, at)
    assert low < 0.01 / DAY < high
    assert low < slope < high


def test_theil_and_sen_by_hand() -> None:
    """y = 0, 1, 3, 6, 10 at 0 to 4: the ten slopes are 1, 1.5, 2, 2, 2.5, 2.5, 3, 3, 3.5, 4; the ranks of Sen (1968) for five
    values are the first and the last of them."""
    assert theil_sen(np.array([0.0, 1.0, 3.0, 6.0, 10.0]), np.arange(5.0)) == (2.5, 1.0, 4.0)


def test_values_at_one_time_have_no_slope() -> None:
    assert theil_sen(np.array([1.0, 2.0, 3.0]), np.zeros(3)) == (0.0, 0.0, 0.0)
    assert theil_sen(np.zeros(0), np.zeros(0)) == (0.0, 0.0, 0.0)


def test_too_few_runs_are_not_cut_and_a_constant_has_no_step() -> None:
    assert change_points(*series([1.0] * 4 + [9.0] * 5)) == []
    assert change_points(np.zeros(20), np.arange(20.0)) == []
    assert step(np.array([0.0] * 10 + [1.0] * 10)) == 10
    assert theil_sen(np.array([1.0]), np.array([0.0])) == (0.0, 0.0, 0.0)


def test_a_value_far_from_the_others_stands_out_and_of_three_none_does() -> None:
    assert outliers(np.array([0.0, 0.01, -0.01, 0.02, 0.5, -0.02] * 2)).tolist() == ([False] * 4 + [True, False]) * 2
    assert not outliers(np.array([0.0, 0.0, 5.0])).any()


def test_scores_of_unchanged_runs_are_standard_normal_and_independent() -> None:
    rng = np.random.default_rng(1)
    many = np.array([scores(rng.normal(5, 3, 30))[2:] for _ in range(400)])
    assert abs(many.mean()) < 0.05
    assert abs(many.std() - 1) < 0.05
    assert abs(np.corrcoef(many[:, :-1].ravel(), many[:, 1:].ravel())[0, 1]) < 0.05


def test_the_first_false_alarm_comes_about_as_late_as_is_stated() -> None:
    assert run_length(limit(700.0)) == pytest.approx(700.0)
    rng = np.random.default_rng(2)
    alarms = sum(excursion(rng.normal(0, 0.05, 60)) > limit(400) for _ in range(500))
    assert 0.07 < alarms / 500 < 0.19  # 1 - exp(-60/400) is 0.14, less what no alarm can come in at the start


def test_looking_each_day_raises_no_alarm_that_the_last_look_has_not() -> None:
    for seed in range(60):
        x = np.random.default_rng(seed).normal(0, 1, 40)
        shown = [alarmed(x[:n], length=60) for n in range(10, 41)]
        assert shown == sorted(shown)


def test_one_wild_run_raises_no_alarm() -> None:
    x, _ = series([1.0] * 20 + [3.0] + [1.0] * 9)
    assert not alarmed(x)
    assert outliers(x).nonzero()[0].tolist() == [20]


def test_a_step_of_two_standard_deviations_is_seen_within_days() -> None:
    delays = []
    for seed in range(60):
        x, _ = series([1.0] * 30 + [1.1] * 30, noise=0.05, seed=seed)
        delays.append(next((n - 30 for n in range(31, 61) if alarmed(x[:n])), 99))
    assert np.median(delays) <= 8


def test_of_several_series_each_must_be_the_more_certain() -> None:
    low, high = limit(RUN_LENGTH * 2.01), limit(RUN_LENGTH * 9)
    assert demanded([]) == demanded([0.0]) == RUN_LENGTH
    assert demanded([0.0] * 8) == RUN_LENGTH * 8
    assert demanded([high, *[0.0] * 7]) == RUN_LENGTH * 8
    assert demanded([low] * 4 + [0.0] * 4) == RUN_LENGTH * 2


@pytest.mark.parametrize("n", [6, 10, 25, 60])
def test_of_one_look_a_fifth_as_many_normal_runs_stand_out_as_is_stated_for_many(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(0, 1, (60_000 // n, n))
    x -= np.median(x, axis=1, keepdims=True)
    share = np.mean([outliers(row, length=40).mean() for row in x])
    assert 0.15 / 200 < share < 1.4 / 200
    assert OUTLIER_LENGTH > 200
