from __future__ import annotations

from basetenkit.config.looks import next_look


def test_each_look_is_after_half_as_many_requests_again() -> None:
    looks = [next_look(0)]
    for _ in range(4):
        looks.append(next_look(looks[-1]))
    assert looks == [200, 300, 450, 675, 1013]
    assert next_look(199) == 200
    assert next_look(320) == 450
