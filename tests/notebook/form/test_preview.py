from __future__ import annotations

import json

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.notebook.form.preview import first_body


def config(**fields: object) -> bk.RunConfig:
    return bk.RunConfig(endpoint={"url": "http://127.0.0.1:9/v1", "model": "m"}, **fields)


def test_the_body_is_the_one_the_engine_sends_less_its_secrets() -> None:
    body = json.loads(first_body(config(scenarios="D(20,7)", request_params={"api_token": "hush", "top_k": 3})))
    assert list(body)[:3] == ["model", "messages", "max_tokens"]
    assert (body["max_tokens"], body["top_k"], body["api_token"]) == (7, 3, "***")
    assert body["stream_options"] == {"include_usage": True}


def test_an_image_is_in_the_body() -> None:
    assert "data:image/jpeg;base64," in first_body(config(task="image-text-to-text", scenarios="I(64,64)"))


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
