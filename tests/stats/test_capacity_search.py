from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from basetenkit.stats import capacity_search as cs
from basetenkit.stats.capacity import evidence_of, growing


def independent(capacity: float, seed: int = 0, slope: float = 12.0) -> Callable[[cs.Ask], cs.Block]:
    """A server whose requests fail independently, 5% of them at its capacity."""
    rng = np.random.default_rng(seed)

    def perform(ask: cs.Ask) -> cs.Block:
        share = 1 / (1 + math.exp(slope * math.log(ask.load / capacity) - math.log(19)))
        good = (rng.random(ask.requests) < share).astype(float)
        return cs.Block(evidence_of(ask.load, good, share < 0.5), 1.0)

    return perform


def rules(**more: object) -> cs.Rules:
    return cs.Rules(0.95, lambda _: 15_000.0, lambda _: math.inf, **more)  # type: ignore[arg-type]


def searched(server: Callable[[cs.Ask], cs.Block], given: cs.Rules) -> cs.Search:
    search = cs.Search(given, 1.0)
    while (ask := search.next()) is not None:
        assert len(search.blocks) < 40, "it does not end"
        search.take(server(ask))
    return search


def test_it_finds_the_capacity_of_independent_requests() -> None:
    search = searched(independent(5.0), rules())
    answer = search.answer
    assert answer is not None
    assert answer.outcome is cs.SearchOutcome.FOUND
    assert answer.posterior is not None
    assert answer.posterior.low < 5.0 < answer.posterior.high
    assert answer.resolved
    assert search.kinds[-1] is cs.BlockKind.CERTIFICATE
    assert answer.certificate in ("kept", "not shown")
    assert search.kinds.count(cs.BlockKind.SEARCH) >= cs.LEAST_BLOCKS


def test_the_same_blocks_lead_to_the_same_asks() -> None:
    whole = searched(independent(5.0), rules())
    half = len(whole.blocks) // 2
    again = cs.Search(rules(), 1.0)
    again.replay([b.load for b in whole.blocks[:half]], [cs.Block(b, 1.0) for b in whole.blocks[:half]])
    for block in whole.blocks[half:]:
        ask = again.next()
        assert ask is not None
        assert ask.load == block.load
        again.take(cs.Block(block, 1.0))
    assert again.next() is None
    assert again.answer is not None
    assert whole.answer is not None
    assert (again.answer.outcome, again.answer.certificate) == (whole.answer.outcome, whole.answer.certificate)
    assert again.answer.posterior is not None
    assert whole.answer.posterior is not None
    assert again.answer.posterior.low == whole.answer.posterior.low
    with pytest.raises(ValueError, match="would not have asked"):
        cs.Search(rules(), 1.0).replay([3.3], [cs.Block(whole.blocks[0], 1.0)])


def test_it_never_goes_over_its_budget_but_for_the_certificate() -> None:
    sent = [0]

    def left(_: float) -> float:
        return 2000.0 - sent[0]

    server, search = independent(5.0), cs.Search(cs.Rules(0.95, lambda _: 2000.0, left), 1.0)
    while (ask := search.next()) is not None:
        if ask.kind is not cs.BlockKind.CERTIFICATE:
            assert ask.total <= left(ask.load)
        sent[0] += ask.total
        search.take(server(ask))
    assert search.answer is not None
    assert search.answer.rough


def test_a_server_that_never_keeps_the_slo_gets_no_number() -> None:
    def bad(ask: cs.Ask) -> cs.Block:
        return cs.Block(evidence_of(ask.load, np.zeros(60), True), None)

    search = searched(bad, rules())
    assert search.answer is not None
    assert search.answer.outcome is cs.SearchOutcome.NONE_KEPT
    assert search.answer.posterior is None
    assert min(b.load for b in search.blocks) < 0.05


def test_a_server_that_is_better_with_more_to_do_is_found_out() -> None:
    def gathers(ask: cs.Ask) -> cs.Block:
        good = np.ones(60) if 3 < ask.load < 20 else np.zeros(60)
        return cs.Block(evidence_of(ask.load, good, False), 1.0)

    search = searched(gathers, rules())
    assert search.answer is not None
    assert search.answer.outcome is cs.SearchOutcome.NOT_MONOTONE
    assert search.answer.apart


def test_the_highest_load_that_is_allowed_may_be_kept() -> None:
    search = searched(independent(50.0), rules(high=8.0))
    assert search.answer is not None
    assert search.answer.outcome in (cs.SearchOutcome.ALL_KEPT, cs.SearchOutcome.FOUND)
    assert max(b.load for b in search.blocks) == 8.0


def test_levels_of_a_closed_loop_are_whole_and_not_asked_twice_in_a_row() -> None:
    search = searched(independent(6.0), rules(users=True))
    loads = [b.load for b, kind in zip(search.blocks, search.kinds, strict=True) if kind is cs.BlockKind.SEARCH]
    assert all(load == int(load) for load in loads)
    assert all(a != b for a, b in itertools.pairwise(loads))
    assert search.answer is not None
    assert search.answer.posterior is not None
    assert search.answer.posterior.low <= 6.5


def test_growth_is_a_rise_by_4_roots_of_the_arrivals_and_a_doubling() -> None:
    assert growing(np.full(500, 9.0)) is None
    assert growing(np.arange(500.0) * 0.9) == 75
    assert growing(np.arange(500.0) * 0.01) is None
    assert cs.most_bad(cs.Ask(1.0, 1000, 100), 0.95) == pytest.approx(170)
    assert cs.kept_of_abandoned(cs.Ask(1.0, 1000, 100), 120) == 60
    assert cs.kept_of_abandoned(cs.Ask(1.0, 1000, 100), 900) == 100


def test_a_search_that_is_stopped_answers_with_what_it_has() -> None:
    search, server = cs.Search(rules(), 1.0), independent(5.0)
    for _ in range(6):
        ask = search.next()
        assert ask is not None
        search.take(server(ask))
    search.stop()
    assert search.next() is None
    assert search.answer is not None
    assert search.answer.certificate == "not run"
    with pytest.raises(ValueError, match="has ended"):
        search.take(cs.Block(evidence_of(1.0, np.ones(3), False)))


def test_a_server_that_changed_gets_no_certificate() -> None:
    """It keeps the goal up to 5 per second in odd blocks and up to 3.5 in even ones."""
    servers, turn = (independent(5.0), independent(3.5, seed=1)), itertools.count()
    answer = searched(lambda ask: servers[next(turn) % 2](ask), rules()).answer
    assert answer is not None
    assert answer.drifted
    assert answer.certificate != "kept"


def test_what_single_requests_took_after_an_overload_is_in_the_answer() -> None:
    server = independent(5.0)

    def slower(ask: cs.Ask) -> cs.Block:
        block = server(ask)
        return cs.Block(block.evidence, 1.0, [1.3, 1.31, 1.29] * 3 if block.evidence.abandoned else [])

    search = cs.Search(rules(), 1.0, [1.0, 1.01, 0.99] * 6)
    while (ask := search.next()) is not None:
        search.take(slower(ask))
    assert search.answer is not None
    assert search.answer.slower == pytest.approx(1.3, rel=0.01)
    assert searched(independent(5.0), rules()).answer.slower is None  # type: ignore[union-attr]
