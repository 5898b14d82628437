from __future__ import annotations

import json

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.widgets.preview import first_body, plan_of


def config(**fields: object) -> bk.RunConfig:
    return bk.RunConfig(endpoint={"url": "http://127.0.0.1:9/v1", "model": "m"}, **fields)


def test_the_body_is_the_one_the_engine_sends_less_its_secrets() -> None:
    body = json.loads(first_body(config(scenarios="D(20,7)", request_params={"api_token": "hush", "top_k": 3})))
    assert list(body)[:3] == ["model", "messages", "max_tokens"]
    assert (body["max_tokens"], body["top_k"], body["api_token"]) == (7, 3, "***")
    assert body["stream_options"] == {"include_usage": True}


def test_the_plan_adds_up() -> None:
    plain = {"scenarios": ["D(100,50)", "D(200,50)"], "concurrency": [1, 2], "repeats": 3, "max_requests": 10}
    steady = plan_of(config(**plain))
    assert steady["requests at most"] == "193, about 72 of them to keep the load steady"
    assert steady["tokens expected"] == "about 38,600"
    said = plan_of(config(**plain, steady=False))
    assert (said["levels"], said["requests at most"]) == ("12", "121")
    assert said["tokens expected"] == "about 24,200"
    assert said["minutes at most"] == "120"


def test_the_plan_says_which_bounds_can_be_had() -> None:
    few = plan_of(config(max_requests=5))["sharpness"]
    some = plan_of(config(max_requests=40))["sharpness"]
    many = plan_of(config(max_requests=184, repeats=2))["sharpness"]
    assert "no two-sided bounds" in few
    assert "for p50, p90; none for p95 (needs 72), p99 (needs 368)" in some
    assert many.endswith("for p50, p90, p95, p99")


def test_a_guard_on_tokens_is_part_of_the_plan() -> None:
    assert plan_of(config(max_total_tokens=9000))["tokens expected"].endswith("stopped at 9,000")


def test_tokens_of_a_batch_are_all_counted_and_those_of_images_are_not_guessed() -> None:
    batch = config(
        task="text-to-embeddings",
        scenarios="E(50)",
        batch_size=4,
        concurrency=1,
        max_requests=10,
        steady=False,
        preflight=False,
    )
    assert plan_of(batch)["tokens expected"] == "about 2,000"
    several = plan_of(batch.model_copy(update={"batch_size": [2, 4]}))
    assert (several["levels"], several["tokens expected"]) == ("2", "about 3,000")
    images = config(task="image-text-to-text", scenarios="I(64,64)")
    assert plan_of(images)["tokens expected"] == "not known beforehand"
    assert "data:image/jpeg;base64," in first_body(images)


@pytest.mark.parametrize(("scenario", "limit"), [("dataset", None), ("RDC(9)", 9), ("RD(9)", 9)])
def test_of_a_conversation_its_first_question_is_shown_with_what_stands_before_it(
    scenario: str, limit: int | None
) -> None:
    talk = [("system", "Be brief."), ("user", "Who?"), ("assistant", "He."), ("user", "Why?")]
    data = pl.DataFrame({"messages": [[{"role": role, "content": content} for role, content in talk]]})
    body = json.loads(first_body(config(dataset=data, scenarios=scenario)))
    system, asked = body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert asked["content"].split("] ")[-1] == "Who?"
    assert asked["content"].startswith("[NONCE-") is (scenario == "RD(9)")
    assert body.get("max_tokens") == limit


def test_words_of_a_data_set_are_shown_in_a_prompt_of_a_length() -> None:
    data = pl.DataFrame({"prompt": ["Fish swim."]})
    body = json.loads(first_body(config(dataset=data, scenarios="D(40,5)")))
    assert "Fish swim. Fish swim." in body["messages"][0]["content"]
