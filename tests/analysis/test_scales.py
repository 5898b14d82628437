"""Shares of 0 and 1, and rates of 0, have a place on their scale and come back from it."""

from __future__ import annotations

import numpy as np
import pytest

from basetenkit.analysis.scales import filled, logit, own_errors, sampling, scaled, share


def test_a_share_goes_to_its_logit_and_back() -> None:
    shares, n = np.array([0.0, 0.25, 0.5, 1.0]), np.array([40.0, 40.0, 8.0, 400.0])
    x = logit(shares, n)
    assert x == pytest.approx([np.log(0.5 / 40.5), np.log(10.5 / 30.5), 0.0, np.log(400.5 / 0.5)])
    assert share(x, n) == pytest.approx(shares, abs=1e-12)
    assert share(np.array([-50.0, 50.0]), 10.0).tolist() == [0.0, 1.0]


def test_a_share_of_few_requests_varies_more_by_chance() -> None:
    few, many = sampling(np.array([0.2, 0.2]), np.array([10.0, 1000.0]))
    assert few > 5 * many
    assert many == pytest.approx(np.sqrt(1 / 200.5 + 1 / 800.5))
    of = scaled("goodput", np.array([1.0, 1.0, 0.0]), np.array([40.0, np.nan, 40.0]))
    assert of.floors is not None
    assert of.floors[2] == pytest.approx(np.sqrt(1 / 0.5 + 1 / 40.5))  # from the runs before alone


def test_a_rate_of_zero_is_far_below_and_comes_back_as_zero() -> None:
    of = scaled("requests_per_s", np.array([5.0, 0.0, 2.0]), np.full(3, np.nan))
    assert of.back(of.x) == pytest.approx([5.0, 0.0, 2.0])
    assert of.x[1] == pytest.approx(np.log(0.002))
    dead = scaled("requests_per_s", np.zeros(3), np.full(3, np.nan))
    assert dead.back(dead.x).tolist() == [0.0] * 3


def test_a_runs_own_error_comes_from_its_interval_or_its_number_of_requests() -> None:
    values, low, high = np.array([1.0, 2.0, 3.0]), np.array([0.9, np.nan, np.nan]), np.array([1.2, 2.2, np.nan])
    errors = own_errors(scaled("ttft_s_p50", values, values), values, low, high)
    assert errors[:2] == pytest.approx([(np.log(1.2) - np.log(0.9)) / 2 / 1.959964, np.log(1.1) / 1.959964])
    assert np.isnan(errors[2])
    assert filled(errors)[2] == pytest.approx(errors[:2].mean())
    assert filled(np.array([np.nan])).tolist() == [0.0]
    shares = scaled("goodput", np.array([0.5]), np.array([98.0]))
    assert own_errors(shares, *np.zeros((3, 1)))[0] == pytest.approx(np.sqrt(2 / 49.5))
