"""Scenarios from end to end: the requests that a real server received, and the findings if it took tokens from a cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.workload.tokenizer import load_tokenizer

from .serving import answering


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=2, itl_ms=0) as server:
        yield server


def measured(url: str, scenarios: str | list[str], **kw: Any) -> bk.Run:
    fields: dict[str, Any] = {"concurrency": 2, "max_requests": 12, "warmup_requests": 0}
    endpoint = bk.Endpoint(url=url, model="m")
    return bk.run_sync(
        bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, scenarios=scenarios, **(fields | kw))
    )


def received(server: Any) -> list[dict[str, Any]]:
    """The JSON bodies that the server got since it was asked last."""
    return [json.loads(seen["body"]) for seen in server.truth(reset=True)["bodies"]]


def prompts(server: Any) -> list[str]:
    return [body["messages"][-1]["content"] for body in received(server)]


def test_all_requests_of_a_level_share_a_prefix_and_no_two_levels_do(server: Any) -> None:
    tokenizer = load_tokenizer(None)
    server.truth(reset=True)
    run = measured(server.url, "P(200,20)/3", concurrency=[1, 2])
    ids = [tokenizer.encode(text) for text in prompts(server)]
    assert (run.requests["outcome"] == "ok").all()
    assert {len(each) for each in ids} == {220} == set(run.requests["input_tokens_target"])
    by_prefix: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for each in ids:
        by_prefix.setdefault(tuple(each[:200]), set()).add(tuple(each[200:]))
    assert [len(own) for own in by_prefix.values()] == [12, 12]
    first, second = by_prefix
    assert first[:3] != second[:3]


@pytest.mark.parametrize("scenario", ["D(12,2)", "N(40,10)/(3,1)", "P(30,10)/2", "0.5*D(12,2)+0.5*P(30,10)/2"])
def test_no_prompt_comes_twice_in_a_run_nor_in_another_with_its_seed(server: Any, scenario: str) -> None:
    server.truth(reset=True)
    runs = []
    for _ in range(2):
        measured(server.url, scenario, concurrency=[1, 3], seed=7)
        runs.append(prompts(server))
    assert len(runs[0]) == len(runs[1]) == 24
    assert len({*runs[0], *runs[1]}) == 48
    beginnings = [{" ".join(text.split()[:3]) for text in texts} for texts in runs]
    assert not beginnings[0] & beginnings[1]


def test_a_salt_that_is_given_sends_the_same_prompts_again(server: Any) -> None:
    server.truth(reset=True)
    sent = []
    for _ in range(2):
        measured(server.url, "P(30,10)/2", concurrency=1, salt="mine")
        sent.append(prompts(server))
    assert sent[0] == sent[1]


def test_a_mixture_is_one_level_whose_requests_are_of_each_form(server: Any) -> None:
    server.truth(reset=True)
    run = measured(server.url, "0.5*D(12,2)+0.5*P(60,10)/4", max_requests=40)
    assert {body["max_tokens"] for body in received(server)} == {2, 4}
    rows = run.requests
    assert rows["scenario"].unique().to_list() == ["0.5*D(12,2)+0.5*P(60,10)/4"]
    assert set(rows.select("input_tokens_target", "output_tokens").iter_rows()) == {(12, 2), (70, 4)}
    assert run.summary.height == 1


def test_an_image_comes_with_the_prefix_that_all_share(server: Any) -> None:
    server.truth(reset=True)
    run = measured(server.url, "IP(32,16,40,10)/3", task="image-text-to-text")
    parts = [body["messages"][-1]["content"] for body in received(server)]
    texts = [part["text"] for content in parts for part in content if part["type"] == "text"]
    images = [part["image_url"]["url"] for content in parts for part in content if part["type"] == "image_url"]
    assert len(texts) == len(set(texts)) == len(images) == len(set(images)) == 12
    ids = [load_tokenizer(None).encode(text) for text in texts]
    assert {len(each) for each in ids} == {50}
    assert len({tuple(each[:40]) for each in ids}) == 1
    assert set(run.requests["image_pixels"]) == {32 * 16}


def caching(cached: int) -> AbstractContextManager[str]:
    """The URL of a server that says it took `cached` tokens of each prompt from its cache."""
    usage = {"prompt_tokens": 40, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": cached}}
    choice = {"index": 0, "message": {"role": "assistant", "content": "of the"}, "finish_reason": "length"}
    document = {"object": "chat.completion", "choices": [choice], "usage": usage}
    return answering(document, "/v1/chat/completions")


@pytest.mark.parametrize(
    ("scenario", "cached", "said"), [("D(40,2)", 16, True), ("D(40,2)", 0, False), ("P(30,10)/2", 30, False)]
)
def test_tokens_from_the_cache_are_in_the_rows_and_said_where_nothing_plans_for_them(
    scenario: str, cached: int, said: bool
) -> None:
    with caching(cached) as url:
        run = measured(url, scenario)
    assert run.requests["cached_tokens"].to_list() == [cached] * 12
    found = {f.code: f.sentence for f in run.findings}
    assert ("cached_unplanned" in found) is said
    if said:
        assert "192 of 480 input tokens (40%) from its cache, in 12 of 12 responses" in found["cached_unplanned"]
