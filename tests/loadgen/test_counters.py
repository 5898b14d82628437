"""Counts over all senders are exact, whichever thread or process counts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from basetenkit.loadgen.counters import COOLDOWN, MEASURED, RAMP, WARMUP, Quota, SharedCounters, share
from basetenkit.loadgen.stop_conditions import TokenLimit


@pytest.fixture
def shared() -> Iterator[SharedCounters]:
    tally = SharedCounters.shared(3)
    tally.begin(Quota(50))
    yield tally
    tally.close(remove=True)


def part(shared: SharedCounters, n: int) -> SharedCounters:
    return SharedCounters(n, 3, shared.path)


def alone(measured: int, warmup: int = 0, **kind: bool) -> SharedCounters:
    tally = SharedCounters()
    tally.begin(Quota(measured, warmup, **kind))
    return tally


@pytest.mark.parametrize(("total", "parts"), [(0, 3), (1, 3), (7, 3), (9, 3), (1024, 7)])
def test_a_total_is_shared_out_exactly_and_evenly(total: int, parts: int) -> None:
    shares = [share(total, parts, p) for p in range(parts)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_numbers_are_given_once_and_are_known_to_be_whose(shared: SharedCounters) -> None:
    a, b = part(shared, 0), part(shared, 1)
    shared.begin(Quota(4))
    assert [t.take() for t in (a, b, b, a, a, b)] == [*((n, MEASURED) for n in range(4)), None, None]
    assert shared.taken == 4
    assert [shared.owned_by(p)[0].tolist() for p in range(3)] == [[0, 3], [1, 2], []]


def test_a_schedule_says_the_number_of_each(shared: SharedCounters) -> None:
    shared.begin(Quota(50, 2, scheduled=True))
    a, b = part(shared, 0), part(shared, 1)
    assert [a.take(at=1), b.take(at=17), a.take(at=51), b.take(at=52)] == [
        (1, WARMUP),
        (17, MEASURED),
        (51, MEASURED),
        None,
    ]
    assert shared.owned_by(1)[0].tolist() == [17]
    numbers, phases = shared.owned_by(0)
    assert (numbers.tolist(), phases) == ([1, 51], [WARMUP, MEASURED])


def test_a_limit_on_tokens_holds_over_all(shared: SharedCounters) -> None:
    a, b = part(shared, 0), part(shared, 1)
    assert [t.take(40, TokenLimit(100)) is not None for t in (a, b, a)] == [True, True, False]
    assert shared.reached
    assert shared.tokens == 80
    b.spend(-20)  # 20 of the 40 promised were not taken
    assert a.take(40, TokenLimit(100)) == (2, MEASURED)
    assert shared.tokens == 100


def test_the_outcomes_and_the_bytes_kept_add_up(shared: SharedCounters) -> None:
    a, b = part(shared, 0), part(shared, 2)
    for tally, ok in ((a, False), (b, True), (b, False)):
        tally.ended(ok)
    assert (a.finished, a.successes) == (3, 1)
    assert [a.keep(60, 100), b.keep(60, 100), b.keep(40, 100)] == [True, False, True]


def test_a_new_level_begins_at_zero_and_the_counts_of_the_run_go_on(shared: SharedCounters) -> None:
    a = part(shared, 0)
    a.take(10)
    a.take(10, TokenLimit(12))
    a.ended(True)
    a.over()
    assert a.keep(90, 100)
    shared.begin(Quota(5))
    assert (a.taken, a.measured, a.finished, a.successes, a.reached) == (0, 0, 0, 0, False)
    assert shared.owned_by(0)[0].tolist() == []
    assert a.tokens == 10
    assert not a.keep(20, 100)
    assert a.take() == (0, MEASURED)


def test_alone_it_counts_in_memory() -> None:
    tally = alone(2)
    assert [tally.take(), tally.take(), tally.take()] == [(0, MEASURED), (1, MEASURED), None]
    assert tally.owned_by(0)[0].tolist() == []
    with pytest.raises(ValueError, match="in no file"):
        _ = tally.path


def test_a_steady_closed_loop_has_load_before_and_after_its_measured_requests() -> None:
    tally = alone(2, 1, steady=True)
    phases = [
        tally.take(settled=False),
        tally.take(settled=False),
        tally.take(),
        tally.take(settled=False),
        tally.take(),
    ]
    assert phases == [(0, WARMUP), (1, RAMP), (2, MEASURED), (3, MEASURED), (4, COOLDOWN)]
    tally.over()
    before = tally.measured_over
    assert (before, tally.take()) == (False, (5, COOLDOWN))
    tally.over()
    assert tally.measured_over
    assert tally.take() is None


def test_a_steady_open_loop_measures_from_the_first_arrival_that_found_the_load_settled(shared: SharedCounters) -> None:
    shared.begin(Quota(3, steady=True, scheduled=True), parts=2)
    a, b = part(shared, 0), part(shared, 1)
    assert a.take(at=0, settled=False) == (0, RAMP)
    assert a.take(at=2) == (2, MEASURED)
    assert b.take(at=1) == (1, RAMP)  # due before, though it came later
    assert [b.take(at=3), a.take(at=4), b.take(at=5), a.take(at=6)] == [
        (3, MEASURED), (4, MEASURED), (5, COOLDOWN), (6, COOLDOWN),
    ]  # fmt: skip
    assert shared.measured == 3
    a.over(2)
    assert not shared.measured_over
    b.over()
    assert shared.measured_over


def test_nobody_waits_for_a_sender_that_was_lost(shared: SharedCounters) -> None:
    for scheduled in (False, True):
        shared.begin(Quota(4, steady=True, scheduled=scheduled), parts=2)
        a, b = part(shared, 0), part(shared, 1)
        at = iter([0, 1, 2, 4]) if scheduled else iter([None] * 4)
        assert [t.take(at=next(at)) for t in (a, b, a)] == [(n, MEASURED) for n in range(3)]
        a.over(2)
        shared.forget(1)
        last = a.take(at=next(at))
        if not scheduled:
            assert last == (3, MEASURED)
            a.over()
        else:  # the lost sender's arrivals, place 3 among them, are never sent
            assert last is None
        assert shared.measured_over


def test_enough_is_enough() -> None:
    tally = alone(100, steady=True)
    assert [tally.take() for _ in range(3)] == [(n, MEASURED) for n in range(3)]
    tally.enough()
    assert tally.goal == 3
    assert tally.take() == (3, COOLDOWN)


def test_a_conversation_reserves_its_turns_and_the_last_one_is_cut_at_the_plans_end() -> None:
    tally = alone(5, 2, steady=True)
    assert tally.reserve(3, settled=False) == (range(3), MEASURED)  # two of the warm-up, one measured
    assert tally.measured == 1
    assert tally.reserve(3) == (range(3, 6), MEASURED)
    assert tally.reserve(3) == (range(6, 7), MEASURED)
    assert tally.reserve(3) == (range(7, 10), COOLDOWN)
    unsteady = alone(5)
    assert [unsteady.reserve(3), unsteady.reserve(3), unsteady.reserve(3)] == [
        (range(3), MEASURED),
        (range(3, 5), MEASURED),
        None,
    ]


def test_what_several_processes_take_is_taken_once(shared: SharedCounters) -> None:
    shared.begin(Quota(3000))
    code = (
        "import sys; from pathlib import Path; from basetenkit.loadgen.counters import SharedCounters\n"
        "t = SharedCounters(int(sys.argv[1]), 3, Path(sys.argv[2])); taken = []\n"
        "while (n := t.take(7)) is not None: taken.append(n[0]); t.ended(True)\n"
        "print(*taken)"
    )
    made = [
        subprocess.Popen([sys.executable, "-c", code, str(n), str(shared.path)], stdout=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    taken = [[int(x) for x in p.communicate()[0].split()] for p in made]
    assert sorted(n for numbers in taken for n in numbers) == list(range(3000))
    assert (shared.tokens, shared.finished) == (21_000, 3000)
    for n in range(3):
        assert shared.owned_by(n)[0].tolist() == sorted(taken[n])


def test_a_file_that_is_closed_leaves_nothing_behind() -> None:
    tally = SharedCounters.shared(2)
    path = tally.path
    assert isinstance(path, Path)
    assert path.stat().st_mode & 0o077 == 0
    tally.close(remove=True)
    assert not path.exists()


@pytest.mark.parametrize("turns", [[0, 1, 2] * 9, [0] * 17, [2] * 9 + [0] * 8, [1, 1, 0] * 6], ids=str)
def test_the_draws_of_a_level_are_the_same_whoever_sends_how_many(shared: SharedCounters, turns: list[int]) -> None:
    shared.begin(Quota(14, 3))
    senders, own = [part(shared, n) for n in range(3)], [iter(range(n, 99, 3)) for n in range(3)]
    drawn = []
    for turn in turns[:17]:
        other = senders[turn].draw()
        drawn.append(next(own[turn]) if other is None else other)
    assert sorted(drawn) == list(range(17))


def test_a_level_of_fewer_senders_has_draws_of_those_alone(shared: SharedCounters) -> None:
    shared.begin(Quota(6), parts=2)
    a, b = part(shared, 0), part(shared, 1)
    assert [a.draw(), a.draw(), a.draw(), a.draw(), b.draw(), b.draw()] == [None, None, None, 5, None, None]
    assert a.draw() is None, "past the level's end each goes on with its own"
    assert alone(3).draw() is None
