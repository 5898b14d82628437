"""The order in which entries come, and the marks before them."""

from __future__ import annotations

import re
from itertools import islice
from random import Random

from basetenkit.config.scenarios import parse_scenario
from basetenkit.workload.marks import marks, picks

from ..making import config


def marked(scenario: str, n: int = 300, **kw: object) -> list[str]:
    settings: dict[str, object] = {"salt": "s", "stream": "x"} | kw
    return list(islice(marks(config(), parse_scenario(scenario), **settings), n))  # type: ignore[arg-type]


def test_rd_and_rdc_send_every_entry_once_before_any_comes_again() -> None:
    for scenario in ("RD", "RDC(5)"):
        drawn = list(islice(picks(Random(1), 7, parse_scenario(scenario)), 21))
        passes = [drawn[i : i + 7] for i in (0, 7, 14)]
        assert all(sorted(each) == list(range(7)) for each in passes)
        assert len({tuple(each) for each in passes}) == 3


def test_dataset_draws_each_time_anew() -> None:
    drawn = list(islice(picks(Random(1), 7, parse_scenario("dataset")), 7))
    assert set(drawn) < set(range(7))


def test_without_entries_there_is_no_order() -> None:
    assert list(picks(Random(1), 0, parse_scenario("D(1,1)"))) == []


def test_only_rd_has_marks_and_each_is_new() -> None:
    assert set(marked("RDC(5)")) == set(marked("dataset")) == {""}
    found = marked("RD(5)")
    assert len(set(found)) == 300
    assert all(re.fullmatch(r"\[NONCE-[0-9a-f]{12}\] ", mark) for mark in found)


def test_another_salt_level_or_sender_has_other_marks_and_the_same_has_the_same() -> None:
    others = [marked("RD"), marked("RD", salt="t"), marked("RD", stream="y"), marked("RD", share=(1, 2))]
    assert len(set().union(*others)) == 1200
    assert marked("RD") == others[0]
