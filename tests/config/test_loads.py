from __future__ import annotations

import pytest

from basetenkit.config.loads import KINDS, ClosedLoop, LevelKey, Load, OpenLoop, load_of


def test_a_closed_loop_sends_ten_requests_per_user_and_200_at_least() -> None:
    assert [ClosedLoop(c).auto_requests for c in (1, 8, 20, 64, 256)] == [200, 200, 200, 640, 2560]


def test_an_open_loop_sends_for_a_minute_at_least() -> None:
    assert [OpenLoop(r).auto_requests for r in (0.5, 3, 10, 50)] == [200, 200, 600, 3000]


def test_what_is_in_flight_is_bounded_by_the_users_or_by_the_guard() -> None:
    assert (ClosedLoop(8).at_once(None), ClosedLoop(8).at_once(2)) == (8, 8)
    assert (OpenLoop(3.0).at_once(None), OpenLoop(3.0).at_once(2)) == (None, 2)


@pytest.mark.parametrize("load", [ClosedLoop(8), OpenLoop(2.5)])
def test_a_level_is_the_same_when_its_columns_are_read_back(load: Load) -> None:
    key = LevelKey("D(10,4)", load)
    assert LevelKey.of(key.columns | {"ttft_s": 1.0}) == key
    assert load_of(load.kind, load.level) == load
    assert load.scheduled is isinstance(load, OpenLoop)


def test_a_level_has_one_label() -> None:
    assert str(LevelKey("D(10,4)", ClosedLoop(8))) == "D(10,4) at concurrency 8"
    assert str(LevelKey("D(10,4)", OpenLoop(2.5))) == "D(10,4) at 2.5 requests/s"


def test_another_kind_of_load_is_refused() -> None:
    assert KINDS == ("concurrency", "request_rate")
    with pytest.raises(ValueError, match="unknown load 'users'; expected concurrency or request_rate"):
        load_of("users", 1.0)
