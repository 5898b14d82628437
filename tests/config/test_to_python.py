"""The cell that makes a config: performed, it makes the same one, and it holds no secret."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError

URL = "http://127.0.0.1:9/predict"


def performed(code: str) -> bk.RunConfig:
    names: dict[str, Any] = {}
    exec(code, names)
    config = names["config"]
    assert isinstance(config, bk.RunConfig)
    return config


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"request_rate": [2.5], "arrival": "gamma", "burstiness": 0.5},
        {"dataset": "prompts.txt"},
        {"dataset": "prompts.txt", "scenarios": "D(100,100)"},
        {"request_params": {"temperature": 0.7, "stop": ["'\n"]}, "slo": {"ttft_s": 0.5}, "tokenizer": None},
    ],
)
def test_performed_it_makes_the_same_config(fields: dict[str, Any]) -> None:
    config = bk.RunConfig(endpoint=bk.Endpoint(url=URL, model="m", headers={"x-team": "a"}, stream=False), **fields)
    assert performed(config.to_python()) == config


def test_no_secret_is_in_it() -> None:
    endpoint = bk.Endpoint(
        url=URL + "?token=planted-a", api_key="planted-b", headers={"authorization": "planted-c", "x-team": "a"}
    )
    code = bk.RunConfig(endpoint=endpoint, request_params={"user_secret": "planted-d"}).to_python()
    assert "planted" not in code
    assert performed(code).endpoint.headers == {"x-team": "a"}


def test_a_frame_has_no_text() -> None:
    config = bk.RunConfig(endpoint=bk.Endpoint(url=URL), dataset=pl.DataFrame({"prompt": ["a"]}))
    with pytest.raises(ConfigError, match="write_parquet"):
        config.to_python()
