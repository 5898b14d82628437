"""A level that is shared out beforehand: each part its own requests, each number once, phases as they were taken."""

from __future__ import annotations

import pytest

from basetenkit.loadgen.apart_counters import ApartCounters, Taken, numbers_of, part_of
from basetenkit.loadgen.counters import COOLDOWN, MEASURED, RAMP, WARMUP, Quota


def taken_of(part: int, parts: int, quota: Quota) -> list[tuple[int, str]]:
    counters = ApartCounters(part, parts)
    counters.begin(part_of(quota, part, parts, planned_places=False))
    found = []
    while (taken := counters.take()) is not None:
        found.append((counters.place(taken[0]), taken[1]))
    return found


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_all_parts_together_send_a_level_and_no_number_twice(parts: int) -> None:
    each = [taken_of(part, parts, Quota(40, 5)) for part in range(parts)]
    numbers = [number for taken in each for number, _ in taken]
    assert len(set(numbers)) == len(numbers) == 45
    phases = [phase for taken in each for _, phase in taken]
    assert (phases.count(WARMUP), phases.count(MEASURED)) == (5, 40)
    assert max(map(len, each)) - min(map(len, each)) <= 2


def test_numbers_that_a_plan_gives_stay_as_they_are() -> None:
    counters = ApartCounters(1, 3)
    counters.begin(part_of(Quota(40, scheduled=True), 1, 3, planned_places=True))
    assert (counters.take(at=17), counters.place(17), counters.numbered_by_schedule) == ((17, MEASURED), 17, True)
    assert counters.state() == Taken()


def test_load_goes_on_until_the_leader_says_that_all_is_over() -> None:
    counters = ApartCounters(0, 2)
    counters.begin(Quota(1, 1, steady=True))
    phases = [
        taken[1] for taken in (counters.take(settled=False), counters.take(settled=False), counters.take()) if taken
    ]
    assert phases == [WARMUP, RAMP, MEASURED]
    assert (counters.own_over, counters.measured_over) == (False, False)
    counters.over()
    assert (counters.own_over, counters.measured_over) == (True, False)
    assert counters.take() == (3, COOLDOWN)
    counters.all_over = True
    assert counters.measured_over
    assert counters.take() is None


def test_what_a_lost_part_had_taken_is_known_by_number_and_phase() -> None:
    counters = ApartCounters(1, 2)
    counters.begin(Quota(2, 1, steady=True))
    taken = [counters.take(settled=n > 2) for n in range(6)]
    state = counters.state()
    assert (
        state.phases()
        == [phase for _, phase in filter(None, taken)]
        == [WARMUP, RAMP, RAMP, MEASURED, MEASURED, COOLDOWN]
    )
    assert list(numbers_of(state, 1, 2)) == [1, 3, 5, 7, 9, 11]


def test_requests_that_are_handed_over_are_sent_once_whoever_sends_them() -> None:
    quota, parts = Quota(30, 3), 3
    senders = [ApartCounters(part, parts) for part in range(parts)]
    for part, counters in enumerate(senders):
        counters.begin(part_of(quota, part, parts, planned_places=False), parts)
    sent: list[int] = []

    def send(part: int, most: int) -> None:
        for _ in range(most):
            if senders[part].take() is None:
                return
            draw = senders[part].draw()
            sent.append(part + own[part] * parts if draw is None else draw)
            own[part] += draw is None

    own = [0, 0, 0]
    send(0, 5)
    send(2, 9)
    assert senders[0].receive(senders[1].hand_over(4))
    assert senders[2].receive(senders[0].hand_over(100))
    for part in range(parts):
        send(part, 100)
    assert sorted(sent) == list(range(33))


def test_the_last_request_is_kept_and_who_has_none_left_takes_none() -> None:
    giver, taker = ApartCounters(0, 2), ApartCounters(1, 2)
    giver.begin(Quota(4), 2)
    taker.begin(Quota(1), 2)
    assert giver.hand_over(100) == [2, 4, 6]
    assert giver.hand_over(1) == []
    assert giver.left == 1
    taker.take()
    assert not taker.receive([2, 4, 6])
    assert taker.left == 0
    assert giver.receive([2, 4, 6])
    assert [giver.take(), giver.draw(), giver.take(), giver.draw()] == [(0, MEASURED), None, (1, MEASURED), 2]
