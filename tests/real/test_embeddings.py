"""Embeddings against llama.cpp's own endpoint (SmolLM2-135M, whose vectors have 576 numbers) and Truss, for base64.

llama.cpp's Python server takes no notice of `encoding_format` and always sends numbers; Truss sends what its model returns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import basetenkit as bk

from . import servers

pytestmark = pytest.mark.real
DIMENSION, BATCH, REQUESTS = 576, 3, 6
POOLED = ("--kv_overrides", "llama.pooling_type=int:1")  # the mean of the tokens' vectors


@pytest.fixture(scope="module")
def embeddings_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.llama(tmp_path_factory.mktemp("embeddings"), "--embedding", "True", *POOLED) as url:
        yield f"{url}/embeddings"


def run(url: str, **params: Any) -> bk.Run:
    config = bk.RunConfig(
        steady=False,
        preflight=False,
        endpoint=bk.Endpoint(url=url, model="smollm2"),
        task="text-to-embeddings",
        scenarios="E(20)",
        batch_size=BATCH,
        concurrency=2,
        max_requests=REQUESTS,
        request_params=params,
        capture="all",
        salt="the same inputs again",
    )
    return bk.run_sync(config)


def vectors(found: bk.Run) -> dict[str, list[float]]:
    """Each input that was sent -> the vector that came for it."""
    by_input: dict[str, list[float]] = {}
    for request_id in found.requests["request_id"]:
        exchange = found.exchange(request_id)
        inputs = json.loads(exchange.request.body)["input"]
        parsed = bk.parse(bytes(exchange.body), headers=dict(exchange.headers), stream=False)
        by_input |= dict(zip(inputs, parsed.embeddings or [], strict=True))
    return by_input


@pytest.mark.baseten("embeddings")
@pytest.mark.parametrize("params", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_one_vector_an_input_of_the_models_dimension(embeddings_url: str, params: dict[str, str]) -> None:
    found = run(embeddings_url, **params)
    rows = found.requests
    assert (rows["outcome"] == "ok").all(), rows["error_message"].to_list()
    assert set(rows["wire_format"]) == {"embedding"}
    assert set(rows["embedding_dimension"]) == {DIMENSION}
    assert set(rows["batch_size"]) == {BATCH}
    assert (rows["input_tokens"] == rows["input_tokens_server"]).all()
    assert set(rows["token_source"]) == {"server"}
    assert rows["ttft_s"].null_count() == rows["output_tokens"].null_count() == REQUESTS
    assert (rows["e2e_s"] > 0).all()
    assert rows["warnings"].list.len().sum() == 0
    by_input = vectors(found)
    assert len(by_input) == len({tuple(vector) for vector in by_input.values()}) == BATCH * REQUESTS


def test_a_vector_a_token_is_taken_in_and_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    with servers.llama(tmp_path_factory.mktemp("unpooled"), "--embedding", "True") as url:
        rows = run(f"{url}/embeddings").requests
    assert (rows["outcome"] == "ok").all(), rows["error_message"].to_list()
    assert set(rows["embedding_dimension"]) == {DIMENSION}
    assert all(any(w.startswith("nested_embedding") for w in warnings) for warnings in rows["warnings"])


@pytest.mark.baseten("embeddings")
def test_base64_in_another_order_is_the_same_vectors(truss_url: str) -> None:
    plain, packed = run(truss_url), run(truss_url, encoding_format="base64")
    for found in (plain, packed):
        assert (found.requests["outcome"] == "ok").all(), found.requests["error_message"].to_list()
        assert set(found.requests["embedding_dimension"]) == {16}
    first = packed.exchange(packed.requests["request_id"][0])
    assert isinstance(json.loads(bytes(first.body))["data"][0]["embedding"], str)
    assert vectors(plain) == vectors(packed)
    assert len(vectors(plain)) == BATCH * REQUESTS
