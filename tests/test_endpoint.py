"""Where requests go, and by whose connections; the rest of Endpoint is held together with RunConfig in test_config.py."""

from __future__ import annotations

from typing import Any

import pytest

import basetenkit as bk
from basetenkit.endpoint import Endpoint
from basetenkit.errors import ConfigError

URL = "https://model.example/v1/chat/completions"


def test_the_public_name_is_this_class() -> None:
    assert bk.Endpoint is Endpoint


@pytest.mark.parametrize(
    ("fields", "by_httpx"),
    [({}, False), ({"proxy": "http://proxy.example:3128"}, True), ({"http2": True}, True)],
)
def test_only_a_proxy_and_http2_leave_the_engines_own_connections(fields: dict[str, Any], by_httpx: bool) -> None:
    assert Endpoint(url=URL, **fields).by_httpx is by_httpx


def test_a_dump_reads_back_as_the_same_endpoint_less_its_secrets() -> None:
    given = Endpoint(url=URL, model="m", api_key="sk-secret", proxy="http://u:secret@proxy.example:3128", timeout_s=5)
    text = given.model_dump_json()
    assert "secret" not in text
    again = Endpoint.model_validate_json(text)
    assert (again.url, again.model, again.proxy, again.timeout_s) == (URL, "m", "http://proxy.example:3128", 5)


@pytest.mark.parametrize("url", ["", "ftp://h/", "model.example/v1", "ws://h/"])
def test_what_is_no_url_is_one_sentence(url: str) -> None:
    with pytest.raises(ConfigError, match=r"Endpoint\.url"):
        Endpoint(url=url)
