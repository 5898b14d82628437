from __future__ import annotations

from typing import Any

import pytest

import basetenkit as bk
from basetenkit.studies.design_spending import Cost, Spending, largest
from tests.making import config


def spending(budget: bk.Budget, **fields: Any) -> Spending:
    c = config(**({"concurrency": 4, "steady": True} | fields))
    return Spending(c, budget, {"D(20,5) at concurrency 4": Cost(per_s=10.0, slowest_s=1.0, tokens=(20.0, 5.0))})


def test_a_level_is_paid_for_with_what_steady_adds() -> None:
    """Known by hand: 2 repeats of 100 measured requests and 16 around them, 10 a second, 1 s for the slowest."""
    level = spending(bk.Budget(minutes=1), price={"usd_per_million_input": 1.0, "usd_per_million_output": 4.0})
    spent = level.level(level.keys[0], 100, 2)
    assert [spent.sent, spent.seconds, spent.tokens] == pytest.approx([232, 25.2, 5800])
    assert spent.usd == pytest.approx(232 * (20 * 1 + 5 * 4) / 1e6)


def test_dedicated_replicas_are_rounded_up_once() -> None:
    level = spending(bk.Budget(minutes=1), price={"usd_per_minute": 0.5, "replicas": 2})
    assert level.whole(100, 2).usd == 1.0


@pytest.mark.parametrize(
    ("budget", "most"),
    [({"minutes": 1}, (60 - 2) * 10 / 2 - 16), ({"requests": 233}, 100), ({"tokens": 5800}, 100)],
)
def test_the_most_that_a_budget_pays_for(budget: dict[str, float], most: float) -> None:
    assert spending(bk.Budget(**budget), preflight=True).most(2) == int(most)


def test_without_a_pilot_only_what_the_config_says_is_known() -> None:
    plain = Spending(config(concurrency=4), bk.Budget(minutes=1), {})
    assert not plain.bounded
    assert plain.whole(10, 1).seconds is None
    open_loop = Spending(config(request_rate=2.0, concurrency=[]), bk.Budget(minutes=1), {})
    assert open_loop.bounded
    assert open_loop.most(1) == 120


def test_the_planned_config_cannot_go_over_the_budget() -> None:
    level = spending(bk.Budget(minutes=2, tokens=9000))
    planned = level.planned(level.config.with_(repeats=2), 100, 2)
    assert planned.max_total_tokens == 9000
    assert 25.2 / 2 < planned.max_seconds <= 60


def test_largest() -> None:
    def found(top: int) -> int:
        return largest(lambda n: n <= top, 100)

    assert [found(top) for top in (0, 1, 7, 64, 100, 500)] == [0, 1, 7, 64, 100, 100]
