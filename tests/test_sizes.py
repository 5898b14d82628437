from __future__ import annotations

from basetenkit.sizes import next_look, requests_for


def test_a_level_sends_ten_times_what_is_in_flight_and_200_at_least() -> None:
    assert [requests_for("concurrency", c) for c in (1, 8, 20, 64, 256)] == [200, 200, 200, 640, 2560]


def test_an_open_loop_sends_for_a_minute_at_least() -> None:
    assert [requests_for("request_rate", r) for r in (0.5, 3, 10, 50)] == [200, 200, 600, 3000]


def test_each_look_is_after_half_as_many_requests_again() -> None:
    looks = [next_look(0)]
    for _ in range(4):
        looks.append(next_look(looks[-1]))
    assert looks == [200, 300, 450, 675, 1013]
    assert next_look(199) == 200
    assert next_look(320) == 450
