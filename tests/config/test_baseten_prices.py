from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError, MissingKeyError
from tests.serving import serving

KEY = "planted-key-4711"
INSTANCE = {
    "id": "H100:1x26",
    "name": "1xH100",
    "memory_limit_mib": 1024,
    "millicpu_limit": 26000,
    "gpu_count": 1,
    "gpu_type": "H100",
    "gpu_memory_limit_mib": 81920,
}
PRICES = {"instance_types": [{"instance_type": INSTANCE, "price": 0.25}]}
DEPLOYMENT = {
    "id": "d1",
    "name": "n",
    "model_id": "abcd1234",
    "active_replica_count": 3,
    "instance_type_name": "1xH100",
}
MODEL_API = {
    "name": "small-model",
    "display_name": "Small Model",
    "cost_per_million_input_tokens": "0.13",
    "cost_per_million_output_tokens": 0.5,
}
PAGES = {
    "/v1/model_apis": {
        "items": [MODEL_API | {"name": "other", "display_name": "Other"}],
        "pagination": {"has_more": True, "cursor": "next"},
    },
    "/v1/model_apis?cursor=next": {"items": [MODEL_API], "pagination": {"has_more": False, "cursor": None}},
    "/v1/models/abcd1234/environments/production": {"name": "production", "current_deployment": DEPLOYMENT},
    "/v1/models/abcd1234/deployments/d2": DEPLOYMENT | {"active_replica_count": 0},
    "/v1/models/abcd1234/deployments/d3": DEPLOYMENT | {"instance_type_name": "1x2"},
    "/v1/instance_type_prices": PRICES,
}


@contextmanager
def management_api() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """The address of a stand-in for Baseten's management API, and (path, Authorization) of each request it got."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["authorization"]))
            right = self.headers["authorization"] == f"Bearer {KEY}"
            body = json.dumps(PAGES.get(self.path, {})).encode()
            self.send_response(401 if not right else 200 if self.path in PAGES else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}", seen


def test_the_price_of_a_dedicated_model_comes_from_the_management_api() -> None:
    with management_api() as (url, seen):
        price = bk.Price.from_baseten("abcd1234", api_key=KEY, base_url=url)
        one = bk.Price.from_baseten("model-abcd1234", deployment="d2", api_key=KEY, base_url=url)
        five = bk.Price.from_baseten("abcd1234", replicas=5, api_key=KEY, base_url=url)
    assert (price.usd_per_minute, price.replicas, price.usd_per_hour) == (0.25, 3, 45.0)
    assert (one.replicas, five.replicas) == (1, 5)
    assert price.source is not None
    assert "1xH100" in price.source
    assert date.fromisoformat(str(price.as_of)) >= date(2026, 1, 1)
    assert {key for _, key in seen} == {f"Bearer {KEY}"}


def test_the_price_of_a_model_api_is_found_on_a_later_page() -> None:
    with management_api() as (url, _):
        price = bk.Price.from_baseten("small-model", api_key=KEY, base_url=url)
        assert bk.Price.from_baseten("Small Model", api_key=KEY, base_url=url) == price
        with pytest.raises(ConfigError, match="no Model API 'unknown/model'; there are other, small-model"):
            bk.Price.from_baseten("unknown/model", api_key=KEY, base_url=url)
    assert (price.usd_per_million_input, price.usd_per_million_output, price.usd_per_million_cached) == (
        0.13,
        0.5,
        None,
    )


def test_failures_of_the_management_api_are_one_sentence_without_the_key() -> None:
    with management_api() as (url, _):
        for given, key, what in (
            ("zzzz9999", KEY, "status 404"),
            ("abcd1234", "wrong-key", "the key was refused"),
        ):
            with pytest.raises(ConfigError, match=what) as caught:
                bk.Price.from_baseten(given, api_key=key, base_url=url)
            assert key not in str(caught.value)
        with pytest.raises(ConfigError, match="no price for the instance type '1x2'"):
            bk.Price.from_baseten("abcd1234", deployment="d3", api_key=KEY, base_url=url)
    with pytest.raises(ConfigError, match="got no answer"):
        bk.Price.from_baseten("abcd1234", api_key=KEY, base_url="http://127.0.0.1:9")


def test_the_key_goes_to_baseten_over_https_and_to_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("https://example.com", "http://api.baseten.co", "https://api.baseten.co.example.com"):
        with pytest.raises(ConfigError, match="the key is sent only to"):
            bk.Price.from_baseten("abcd1234", api_key=KEY, base_url=url)
    for name in ("BASETEN_API_KEY", "MODEL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingKeyError, match="BASETEN_API_KEY"):
        bk.Price.from_baseten("abcd1234")
    monkeypatch.setenv("BASETEN_API_KEY", KEY)
    with management_api() as (url, _):
        assert bk.Price.from_baseten("abcd1234", base_url=url).usd_per_minute == 0.25


def test_the_stand_in_speaks_the_schema_of_basetens_own_package() -> None:
    models = pytest.importorskip("baseten.client.managementapi")
    assert models.InstanceTypePrices.model_validate(PRICES).instance_types[0].price == 0.25
    for name in ("active_replica_count", "instance_type_name"):
        assert name in models.Deployment.model_fields
    for name in ("name", "display_name", "cost_per_million_input_tokens", "cost_per_million_output_tokens"):
        assert name in models.ModelAPI.model_fields
    assert set(models.ModelAPIsResponse.model_fields) == {"items", "pagination"}
