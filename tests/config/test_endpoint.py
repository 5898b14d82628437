"""Where requests go, by whose connections, and which key goes with them; that no secret shows is held in test_config.py."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.config.endpoint import Endpoint
from basetenkit.core.errors import ConfigError, MissingKeyError

URL = "https://model.example/v1/chat/completions"
BASETEN = "https://model-abcd1234.api.baseten.co/environments/production/predict"
SECRET = "s3cr3t-value"


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


@pytest.mark.parametrize("pasted", ["key", " key\n", "Api-Key key", "Bearer key", "bearer  key "])
def test_a_pasted_key_is_cleaned(pasted: str) -> None:
    assert Endpoint(url=BASETEN, api_key=pasted).key({}) == "key"
    assert Endpoint(url=BASETEN).key({"MODEL_API_KEY": pasted}) == "key"


def test_a_key_of_the_environment_that_cannot_be_one_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="BASETEN_API_KEY: it contains a space") as caught:
        Endpoint(url=BASETEN).key({"BASETEN_API_KEY": f"{SECRET} x"})
    assert SECRET not in str(caught.value)
    assert Endpoint(url="https://example.com/").key({"BASETEN_API_KEY": "not used here"}) is None


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        (BASETEN, {"MODEL_API_KEY": "m", "BASETEN_API_KEY": "b"}, "m"),
        (BASETEN, {"MODEL_API_KEY": " ", "BASETEN_API_KEY": "b"}, "b"),
        ("https://inference.baseten.co/v1/chat/completions", {"BASETEN_API_KEY": "b"}, "b"),
        ("http://127.0.0.1:1/", {"BASETEN_API_KEY": "b"}, "b"),
        ("http://[::1]:1/", {"BASETEN_API_KEY": "b"}, "b"),
        ("http://localhost:1/", {}, None),
        ("https://example.com/", {"BASETEN_API_KEY": "b"}, None),
        ("https://example.com/", {"MODEL_API_KEY": "m"}, "m"),
        ("https://baseten.co.example.com/", {"BASETEN_API_KEY": "b"}, None),
        ("https://notbaseten.co/", {"BASETEN_API_KEY": "b"}, None),
    ],
)
def test_which_key_goes_where(url: str, environ: dict[str, str], expected: str | None) -> None:
    assert Endpoint(url=url).key(environ) == expected


def test_a_missing_key_names_both_variables() -> None:
    with pytest.raises(MissingKeyError, match="set MODEL_API_KEY or BASETEN_API_KEY"):
        Endpoint(url=BASETEN).key({})


def test_the_key_given_goes_before_the_environment() -> None:
    assert Endpoint(url=BASETEN, api_key="mine").key({"MODEL_API_KEY": "m"}) == "mine"


@pytest.mark.parametrize(
    ("url", "scheme", "expected"),
    [
        (BASETEN, "auto", "Api-Key k"),
        ("https://chain-abcd1234.api.baseten.co/environments/production/run_remote", "auto", "Api-Key k"),
        ("https://inference.baseten.co/v1/chat/completions", "auto", "Bearer k"),
        ("https://example.com/v1", "auto", "Bearer k"),
        ("https://model-x.example.com/v1", "auto", "Bearer k"),
        (BASETEN, "Bearer", "Bearer k"),
        ("https://example.com/v1", "Api-Key", "Api-Key k"),
        (BASETEN, "none", None),
    ],
)
def test_the_scheme_follows_the_host_unless_told(url: str, scheme: str, expected: str | None) -> None:
    made = Endpoint.model_validate({"url": url, "auth_scheme": scheme, "api_key": "k"})
    assert made.authorization({}) == expected


def test_an_authorization_among_the_headers_wins() -> None:
    assert Endpoint(url=BASETEN, api_key="k", headers={"AUTHORIZATION": "Custom x"}).authorization({}) is None


def test_the_url_of_a_model_on_baseten() -> None:
    assert Endpoint.baseten("abcd1234").url == BASETEN
    assert Endpoint.baseten("abcd1234", environment="staging").url.endswith(".co/environments/staging/predict")
    made = Endpoint.baseten("abcd1234", deployment="xyz", model="m")
    assert (made.url.partition(".co")[2], made.model) == ("/deployment/xyz/predict", "m")
    with pytest.raises(ConfigError, match="an environment or a deployment, not both"):
        Endpoint.baseten("abcd1234", environment="a", deployment="b")
    with pytest.raises(ConfigError, match="'https://x' is not a model id"):
        Endpoint.baseten("https://x")


def test_what_a_type_checker_sees_are_the_fields_in_their_order_with_their_defaults() -> None:
    tree = ast.parse(Path(inspect.getfile(Endpoint)).read_text())
    (written,) = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    fields = dict(Endpoint.model_fields)
    assert [a.arg for a in written.args.args] == ["self", "url"]
    assert fields.pop("url").is_required()
    assert [a.arg for a in written.args.kwonlyargs] == list(fields)
    defaults = [ast.literal_eval(value) for value in written.args.kw_defaults if value is not None]
    assert defaults == [... if f.default_factory else f.default for f in fields.values()]
