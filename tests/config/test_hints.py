"""What other tools call fields and values is refused with its name here."""

from __future__ import annotations

from typing import Any

import pytest

import basetenkit as bk
from basetenkit.config.hints import _FIELDS, _VALUES
from basetenkit.core.errors import ConfigError

LOCAL = {"url": "http://127.0.0.1:9/v1/chat/completions"}


def refusal(**fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        bk.RunConfig(**({"endpoint": LOCAL} | fields))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("rate", ["inf", float("inf"), ["inf"], [1, float("inf")], "Infinity", 0, -1])
def test_a_rate_of_all_at_once_is_a_concurrency_here(rate: Any) -> None:
    assert "use concurrency=[N] with max_requests=N" in refusal(request_rate=rate)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"concurrency": 0}, "use request_rate=[RATE]"),
        ({"arrival": "exponential"}, "use arrival='poisson'"),
        ({"arrival": "static"}, "use arrival='constant'"),
        ({"task": "chat"}, "use task='text-to-text'"),
        ({"task": "embeddings"}, "use task='text-to-embeddings'"),
        ({"capture": True}, "use capture='all'"),
        ({"max_requests": float("inf")}, "whichever comes first"),
        ({"endpoint": LOCAL | {"auth_scheme": "bearer"}}, "use auth_scheme='Bearer'"),
        ({"endpoint": LOCAL | {"request_format": "completions"}}, "use request_format='prompt'"),
        ({"num_concurrency": 3}, "RunConfig.num_concurrency: there is no such field; here it is called 'concurrency'"),
        ({"qps": 3}, "here it is called 'request_rate'"),
        ({"num_prompts": 3}, "here it is called 'max_requests'"),
        ({"endpoint": LOCAL | {"base_url": "x"}}, "there is no such field; here it is called 'url'"),
        ({"endpoint": LOCAL | {"timeout": 3}}, "here it is called 'timeout_s'"),
        ({"concurency": 3}, "did you mean 'concurrency'?"),
    ],
)
def test_the_name_here_is_told(fields: dict[str, Any], words: str) -> None:
    assert words in refusal(**fields)


def test_a_rate_below_one_is_taken_as_text() -> None:
    assert bk.RunConfig(endpoint=LOCAL, request_rate="0.25").request_rate == [0.25]


def test_every_hint_is_of_a_field_and_no_field_is_taken_for_another() -> None:
    fields = set(bk.RunConfig.model_fields) | set(bk.Endpoint.model_fields)
    assert set(_FIELDS) | set(_VALUES) <= fields
    for model in (bk.RunConfig, bk.Endpoint):
        own = set(model.model_fields)
        others = [name for field in own & set(_FIELDS) for name in _FIELDS[field]]
        assert len(others) == len(set(others))
        assert not own & set(others)
