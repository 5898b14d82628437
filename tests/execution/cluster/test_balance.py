"""Who hands how many requests to whom, so that all senders of a level end together."""

from __future__ import annotations

import pytest

from basetenkit.execution.cluster.balance import Balance, SendingPace, Transfer, transfers


def after(paces: list[SendingPace], found: list[Transfer]) -> list[float]:
    """When each sender ends if the transfers are made, in s."""
    left = {pace.part: pace.left for pace in paces}
    for transfer in found:
        left[transfer.giver] -= transfer.count
        left[transfer.taker] += transfer.count
    return [left[pace.part] / pace.per_s for pace in paces]


def test_two_senders_of_unequal_pace_end_together() -> None:
    paces = [SendingPace(0, 100, 10.0), SendingPace(1, 100, 2.5)]
    found = transfers(paces)
    assert found == [Transfer(giver=1, taker=0, count=60)]
    assert after(paces, found) == [16.0, 16.0]


def test_of_many_the_slowest_gives_to_the_fastest() -> None:
    paces = [SendingPace(part, 200, per_s) for part, per_s in enumerate([20.0, 16.0, 10.0, 4.0, 5.0])]
    found = transfers(paces)
    assert [(t.giver, t.taker) for t in found] == [(3, 0), (4, 1)]
    assert max(after(paces, found)) < max(pace.ends_in_s for pace in paces) / 2


@pytest.mark.parametrize(
    "paces",
    [
        [],
        [SendingPace(0, 50, 1.0)],
        [SendingPace(0, 50, 10.0), SendingPace(1, 55, 10.0)],
        [SendingPace(0, 9, 10.0), SendingPace(1, 100, 10.0)],
        [SendingPace(0, 100, 10.0), SendingPace(1, 1, 0.1)],
        [SendingPace(0, 100, 10.0), SendingPace(1, 100, 0.0)],
    ],
    ids=["none", "alone", "nearly equal", "the fast one may run out first", "one request is kept", "not known"],
)
def test_nothing_is_moved(paces: list[SendingPace]) -> None:
    assert transfers(paces) == []


def told(left: dict[int, int]) -> Balance:
    """A balance that has heard of two senders, 10 s into a level: 0 takes 10 requests per second, 1 takes 1."""
    balance = Balance()
    for part, taken in ((0, 100), (1, 10)):
        balance.heard(part, 1.0, taken // 10, left[part] + taken)
        balance.heard(part, 11.0, taken + taken // 10, left[part])
    return balance


def test_requests_go_from_giver_to_taker_one_transfer_at_a_time() -> None:
    balance = told({0: 100, 1: 100})
    (transfer,) = balance.due([0, 1])
    assert (transfer.giver, transfer.taker, transfer.count) == (1, 0, 81)
    assert balance.due([0, 1]) == [], "they wait for the transfer that is under way"
    assert balance.handed(1, [7, 9]) == 0
    balance.received(0)
    assert [t.giver for t in balance.due([0, 1])] == [1]
    assert balance.handed(1, []) is None
    assert balance.unplaced == []


def test_requests_that_nobody_can_take_are_counted() -> None:
    balance = told({0: 100, 1: 100})
    balance.due([0, 1])
    assert balance.handed(1, [7, 9]) == 0
    assert balance.refused(0, [7, 9]) == 1, "they go back"
    assert balance.refused(1, [7, 9]) is None
    assert balance.unplaced == [7, 9]


def test_a_lost_sender_keeps_nobody_waiting() -> None:
    balance = told({0: 100, 1: 100})
    balance.due([0, 1])
    balance.lost(1)
    balance.heard(2, 1.0, 1, 109)
    balance.heard(2, 11.0, 11, 100)
    assert [(t.giver, t.taker) for t in balance.due([0, 2])] == [(2, 0)]


def test_a_pace_rests_on_some_requests_and_seconds() -> None:
    balance = Balance()
    for part in (0, 1):
        balance.heard(part, 1.0, 0, 100)
        balance.heard(part, 1.5, 1, 99)
    balance.heard(0, 2.0, 50, 50)
    balance.heard(1, 20.0, 4, 96)
    assert balance.due([0, 1]) == []
