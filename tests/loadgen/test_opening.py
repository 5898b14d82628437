from __future__ import annotations

import pytest

from basetenkit.loadgen.opening import is_full, patience, room


@pytest.mark.parametrize(
    ("users", "waiting", "more"), [(1, 0, 1), (8, 0, 1), (8, 1, 0), (64, 0, 4), (64, 3, 1), (64, 9, 0), (65, 0, 5)]
)
def test_a_sixteenth_of_the_users_may_wait_for_a_first_byte(users: int, waiting: int, more: int) -> None:
    assert room(users, waiting) == more


def test_a_first_byte_is_late_after_four_times_the_slowest_and_a_tenth_of_a_second_at_least() -> None:
    assert (patience(0.001), patience(0.5)) == (0.1, 2.0)


def test_a_few_first_bytes_do_not_tell_that_an_endpoint_is_full() -> None:
    assert (is_full(7), is_full(8)) == (False, True)
