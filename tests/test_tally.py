"""What is counted over all who send: exactly, whoever counts, and over processes too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from basetenkit.tally import Tally, share


@pytest.fixture
def shared() -> Iterator[Tally]:
    tally = Tally.shared(3, 50)
    yield tally
    tally.close(remove=True)


def part(shared: Tally, n: int) -> Tally:
    return Tally(n, 3, shared.path)


@pytest.mark.parametrize(("total", "parts"), [(0, 3), (1, 3), (7, 3), (9, 3), (1024, 7)])
def test_a_total_is_shared_out_exactly_and_evenly(total: int, parts: int) -> None:
    shares = [share(total, parts, p) for p in range(parts)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_numbers_are_given_once_and_are_known_to_be_whose(shared: Tally) -> None:
    a, b = part(shared, 0), part(shared, 1)
    assert [t.take(4) for t in (a, b, b, a, a, b)] == [0, 1, 2, 3, None, None]
    assert shared.taken == 4
    assert [shared.owned_by(p).tolist() for p in range(3)] == [[0, 3], [1, 2], []]
    assert b.take(50, at=17) == 17
    assert b.take(50, at=50) is None
    assert shared.owned_by(1).tolist() == [1, 2, 17]


def test_a_limit_on_tokens_holds_over_all(shared: Tally) -> None:
    a, b = part(shared, 0), part(shared, 1)
    assert [t.take(50, 40, 100) for t in (a, b, a)] == [0, 1, None]
    assert shared.reached
    assert shared.tokens == 80
    b.spend(-20)  # 20 of the 40 promised were not taken
    assert a.take(50, 40, 100) == 2
    assert shared.tokens == 100


def test_what_ended_and_what_is_kept_add_up(shared: Tally) -> None:
    a, b = part(shared, 0), part(shared, 2)
    for tally, ok in ((a, False), (b, True), (b, False)):
        tally.ended(ok)
    assert (a.finished, a.successes) == (3, 1)
    assert [a.keep(60, 100), b.keep(60, 100), b.keep(40, 100)] == [True, False, True]


def test_a_new_level_begins_at_nought_and_the_runs_own_counts_go_on(shared: Tally) -> None:
    a = part(shared, 0)
    a.take(5, 10)
    a.take(5, 10, 12)
    a.ended(True)
    assert a.keep(90, 100)
    shared.begin()
    assert (a.taken, a.finished, a.successes, a.reached) == (0, 0, 0, False)
    assert shared.owned_by(0).tolist() == []
    assert a.tokens == 10
    assert not a.keep(20, 100)
    assert a.take(5) == 0


def test_alone_it_counts_in_memory() -> None:
    alone = Tally()
    assert [alone.take(2), alone.take(2), alone.take(2)] == [0, 1, None]
    assert alone.owned_by(0).tolist() == []
    assert alone.path is None
    alone.begin()
    assert alone.take(2) == 0


def test_processes_at_once_take_each_number_once(tmp_path: Path) -> None:
    total = 30_000
    shared = Tally.shared(3, total)
    code = """
import sys
from pathlib import Path
from basetenkit.tally import Tally
tally = Tally(int(sys.argv[1]), 3, Path(sys.argv[2]))
while tally.take(int(sys.argv[3]), 2, 10**9) is not None:
    tally.ended(True)
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(n), str(shared.path), str(total)]) for n in range(3)]
    assert [p.wait(60) for p in processes] == [0, 0, 0]
    owned = [shared.owned_by(n) for n in range(3)]
    assert sum(len(o) for o in owned) == total == shared.taken == shared.finished == shared.successes
    assert shared.tokens == 2 * total
    path = shared.path
    shared.close(remove=True)
    assert path is not None
    assert not path.exists()


def test_numbers_that_stand_together_are_reserved_together_and_counted_once() -> None:
    tally = Tally()
    assert [tally.reserve(5, 3), tally.reserve(5, 3), tally.reserve(5, 3)] == [0, 3, None]
    assert [tally.take(5, at=number, reserved=True) for number in (0, 3, 4, 5)] == [0, 3, 4, None]
    assert tally.taken == 5
