from __future__ import annotations

from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError


@pytest.mark.parametrize(
    ("fields", "what"),
    [({}, "at least one limit"), ({"minutes": 0}, "greater than 0"), ({"hours": 1}, "no such field")],
)
def test_a_budget_needs_a_limit_above_0(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        bk.Budget(**fields)


def test_several_limits_may_be_given() -> None:
    budget = bk.Budget(minutes=30, usd=5)
    assert (budget.minutes, budget.usd, budget.tokens) == (30, 5, None)
