"""Which URL requests go to: Baseten's hosts by what names them, base URLs, and all others as they are."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.config.addresses import completed
from basetenkit.core.errors import ConfigError

HOST = "https://model-abcd1234.api.baseten.co"
CHAIN = "https://chain-abcd1234.api.baseten.co"
SHARED = "https://inference.baseten.co"
ROUTES = ("chat/completions", "completions", "embeddings")
ASKED = (("text-to-text", False), ("text-to-text", True), ("text-to-embeddings", False))


@pytest.mark.parametrize(
    ("name", "options", "url"),
    [
        ("abcd1234", {}, f"{HOST}/environments/production/predict"),
        (12345678, {}, "https://model-12345678.api.baseten.co/environments/production/predict"),
        (" model-abcd1234\n", {}, f"{HOST}/environments/production/predict"),
        ("model-abcd1234.api.baseten.co", {}, f"{HOST}/environments/production/predict"),
        (f"{HOST}/", {"environment": "staging"}, f"{HOST}/environments/staging/predict"),
        ("abcd1234", {"environment": "development"}, f"{HOST}/development/predict"),
        ("abcd1234", {"deployment": "q1w2e3r"}, f"{HOST}/deployment/q1w2e3r/predict"),
        (f"{HOST}/production/predict", {}, f"{HOST}/production/predict"),
        (f"{HOST}/environments/production/sync/v1", {}, f"{HOST}/environments/production/sync/v1"),
        ("chain-abcd1234", {}, f"{CHAIN}/environments/production/run_remote"),
        ("chain-abcd1234.api.baseten.co", {"deployment": "d"}, f"{CHAIN}/deployment/d/run_remote"),
        ("model-abcd1234-prod-us", {}, "https://model-abcd1234-prod-us.api.baseten.co/predict"),
        (
            "abcd1234",
            {"environment": "prod-eu", "regional": True},
            "https://model-abcd1234-prod-eu.api.baseten.co/predict",
        ),
        (
            "https://chain-abcd1234-prod-eu.api.baseten.co",
            {},
            "https://chain-abcd1234-prod-eu.api.baseten.co/run_remote",
        ),
        ("deepseek-ai/DeepSeek-V3.1", {}, f"{SHARED}/v1/chat/completions"),
        ("inference.baseten.co", {}, f"{SHARED}/v1"),
        (f"{SHARED}/v1/responses", {}, f"{SHARED}/v1/responses"),
    ],
)
def test_an_endpoint_on_baseten_by_what_names_it(name: Any, options: dict[str, Any], url: str) -> None:
    assert bk.Endpoint.baseten(name, **options).url == url


def test_a_model_api_is_called_by_its_models_name_and_a_bearer_key() -> None:
    shared = bk.Endpoint.baseten("deepseek-ai/DeepSeek-V3.1", api_key="k-123")
    assert (shared.model, shared.authorization({})) == ("deepseek-ai/DeepSeek-V3.1", "Bearer k-123")
    regional = bk.Endpoint.baseten("model-abcd1234-prod-us", api_key="k-123", model="own")
    assert (regional.model, regional.authorization({})) == ("own", "Api-Key k-123")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("not-an-id!", {}, "is not a model id"),
        ("https://api.openai.com/v1", {}, "is not a model id"),
        ("model-x.api.baseten.co.example.com", {}, "is not a model id"),
        ("abcd1234-prod", {}, "is not a model id"),
        (1.5, {}, "use -r"),
        (None, {}, "give a model's id"),
        ("abcd1234", {"environment": "a", "deployment": "b"}, "not both"),
        ("abcd1234", {"regional": True}, "needs the environment's name"),
        (f"{HOST}/production/predict", {"environment": "staging"}, "the URL has a path"),
        ("model-abcd1234-eu", {"environment": "us"}, "only the regional environment 'eu'"),
        (SHARED, {"deployment": "d"}, "no environments or deployments"),
    ],
)
def test_what_names_no_endpoint_on_baseten_is_refused(name: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^Endpoint\.baseten: .*{words}"):
        bk.Endpoint.baseten(name, **options)


@pytest.mark.parametrize(
    ("url", "chat", "prompt", "embeddings"),
    [
        ("http://h:8", "http://h:8/v1/chat/completions", None, "http://h:8/v1/embeddings"),
        ("http://h/", "http://h/v1/chat/completions", None, "http://h/v1/embeddings"),
        ("http://h/v1", "http://h/v1/chat/completions", "http://h/v1/completions", "http://h/v1/embeddings"),
        ("http://h/a/v1/", "http://h/a/v1/chat/completions", "http://h/a/v1/completions", "http://h/a/v1/embeddings"),
        (HOST, None, None, None),
        (f"{HOST}/production", None, None, None),
        (CHAIN, *[f"{CHAIN}/environments/production/run_remote"] * 3),
        (f"{CHAIN}/development/", *[f"{CHAIN}/development/run_remote"] * 3),
        ("https://model-abcd1234-eu.api.baseten.co", *["https://model-abcd1234-eu.api.baseten.co/predict"] * 3),
        (f"{HOST}/production/sync/v1", *[f"{HOST}/production/sync/v1/{x}" for x in ROUTES]),
        (f"{HOST}/production/sync", *[f"{HOST}/production/sync/v1/{x}" for x in ROUTES]),
    ],
)
def test_a_base_url_is_completed_or_refused_with_what_would_fit(
    url: str, chat: str | None, prompt: str | None, embeddings: str | None
) -> None:
    for (task, form), right in zip(ASKED, (chat, prompt, embeddings), strict=True):
        if right is not None:
            assert completed(url, task, form) == right
            continue
        with pytest.raises(ConfigError, match="several paths fit") as caught:
            completed(url, task, form)
        assert "/predict" in str(caught.value)
        assert "/v1/" in str(caught.value)


USED = [
    "/predict",
    "/v1/chat/completions",
    "/v1/chat/completions/",
    "/generate",
    "/v1/models/model:predict",
    "/?",
    "/?a=b",
    "/v1?k=a",
]
USED += ["/v1beta/openai/", "/sync", "/api/chat", "/production"]


@pytest.mark.parametrize("path", USED)
@pytest.mark.parametrize("task", ["text-to-text", "text-to-embeddings"])
@pytest.mark.parametrize("prompt_format", [True, False])
def test_any_other_url_is_used_as_it_is(path: str, task: str, prompt_format: bool) -> None:
    assert completed(f"http://h{path}", task, prompt_format) == f"http://h{path}"


def test_a_run_at_a_base_url_goes_to_the_path_that_it_says() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server:
        base = server.url.removesuffix("/chat/completions")
        config = bk.RunConfig(endpoint=bk.Endpoint(base, model="m"), scenarios="D(8,2)", concurrency=1, max_requests=2)
        with pytest.warns(UserWarning, match=f"requests go to {server.url}") as said:
            run = bk.run_sync(config)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again = bk.run_sync(run.config)
    assert len(said) == 1
    assert (run.config.endpoint.url, config.endpoint.url) == (server.url, base)
    assert set(run.requests["outcome"]) | set(again.requests["outcome"]) == {"ok"}


def test_what_fits_several_paths_is_refused_before_anything_is_sent() -> None:
    with bk.emulator.serve() as server:
        base = server.url.removesuffix("/v1/chat/completions")
        config = bk.RunConfig(endpoint=bk.Endpoint(base, request_format="prompt"), scenarios="D(8,2)", max_requests=1)
        with pytest.raises(ConfigError, match=r"/v1/completions, .*/predict"):
            bk.run_sync(config)
        assert server.truth()["bodies"] == []


def test_preflight_takes_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server:
        assert bk.preflight(server.url).ok
        assert bk.preflight(bk.RunConfig(endpoint=bk.Endpoint(server.url))).ok
    with pytest.raises(ConfigError, match="preflight: a list is not an endpoint"):
        bk.preflight([])  # type: ignore[arg-type]
