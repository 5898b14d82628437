from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({}, "no price is given"),
        ({"usd_per_minute": 1, "usd_per_million_output": 1}, "not both"),
        ({"usd_per_minute": -1}, "greater than or equal to 0"),
        ({"usd_per_minute": 1, "replicas": 0}, "greater than or equal to 1"),
        ({"usd_per_million_output": 1, "replicas": 2}, "replicas and startup_minutes belong to usd_per_minute"),
        ({"usd_per_million_output": 1, "startup_minutes": 2}, "replicas and startup_minutes belong to usd_per_minute"),
        ({"usd_per_minute": 1, "as_of": "yesterday"}, "must be a date"),
        ({"usd_per_minut": 1}, "did you mean 'usd_per_minute'"),
    ],
)
def test_a_wrong_price_is_refused(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        bk.Price(**fields)
    with pytest.raises(ConfigError, match=rf"RunConfig\.price.*{what}"):
        bk.RunConfig(endpoint="http://127.0.0.1/v1/chat/completions", price=fields)


def test_a_config_keeps_its_price_through_json_and_python() -> None:
    given = {"usd_per_minute": 0.1, "source": "a contract", "as_of": date(2026, 11, 28)}
    config = bk.RunConfig(endpoint="http://127.0.0.1/v1/chat/completions", price=given)
    assert config.price == bk.Price(usd_per_minute=0.1, source="a contract", as_of="2026-11-28")
    assert bk.RunConfig.model_validate_json(config.model_dump_json()) == config
    assert bk.RunConfig(endpoint=config.endpoint, price=json.dumps({"usd_per_minute": 0.1})).price is not None
    made: dict[str, Any] = {}
    exec(config.to_python(), made)
    assert made["config"] == config


def test_cached_tokens_have_their_own_price() -> None:
    price = bk.Price(usd_per_million_input=1.0, usd_per_million_output=2.0, usd_per_million_cached=0.25)
    assert price.of_tokens(1_000_000, 0, 1_000_000) == 0.25
    assert price.of_tokens(1_000_000, 500_000, 400_000) == pytest.approx(0.6 + 0.1 + 1.0)
    assert price.of_seconds(60) is None


def test_a_run_pays_for_whole_minutes_and_for_the_start_up_of_each_replica() -> None:
    price = bk.Price(usd_per_minute=0.5, replicas=2, startup_minutes=3.5)
    assert price.of_run(90) == 5 * 0.5 * 2  # 1.5 + 3.5 minutes
    assert price.of_run(91) == 6 * 0.5 * 2
    assert bk.Price(usd_per_million_output=1.0).of_run(90) is None
