from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from basetenkit.config.run_config import RunConfig
from basetenkit.workload.payload import build_payload, carries_own_text, output_limit, payload_bytes, uses_prompt_format

# The two payloads of Baseten's documentation page, letter by letter.
CHAT_EXAMPLE = """
{
  "model": "model-name",
  "messages": [
    {
      "role": "user",
      "content": "Hello, world!"
    }
  ],
  "max_tokens": 100,
  "temperature": 0.7,
  "ignore_eos": true,
  "stream": true,
  "stream_options": {
    "include_usage": true
  }
}
"""
PROMPT_EXAMPLE = """
{
  "prompt": "Hello, world!",
  "max_tokens": 100,
  "temperature": 0.7,
  "stream": true
}
"""
PROMPT = "Hello, world!"


def config(params: dict[str, Any] | None = None, **endpoint: Any) -> RunConfig:
    fields = {"url": "http://127.0.0.1:1/", "model": "model-name"} | endpoint
    return RunConfig(endpoint=fields, request_params=params or {})


def payload(
    params: dict[str, Any] | None = None, limit: int | None = 100, fixed: bool = True, **endpoint: Any
) -> dict[str, Any]:
    return build_payload(config(params, **endpoint), PROMPT, limit, fixed_output=fixed)


def compact(text: str) -> bytes:
    return orjson.dumps(orjson.loads(text))


def test_the_chat_payload_is_the_documented_one() -> None:
    assert payload_bytes(config({"temperature": 0.7}), PROMPT, 100, fixed_output=True) == compact(CHAT_EXAMPLE)


def test_the_prompt_payload_is_the_documented_one() -> None:
    given = config({"temperature": 0.7}, request_format="prompt")
    assert payload_bytes(given, PROMPT, 100, fixed_output=True) == compact(PROMPT_EXAMPLE)


def test_use_prompt_format_chooses_the_prompt_payload_as_in_the_documented_command() -> None:
    given = config({"use_prompt_format": True, "temperature": 0.7})
    assert payload_bytes(given, PROMPT, 100, fixed_output=True) == compact(PROMPT_EXAMPLE)


@pytest.mark.parametrize(
    ("params", "form", "expected"),
    [
        ({}, "chat", False),
        ({}, "prompt", True),
        ({"use_prompt_format": True}, "chat", True),
        ({"use_prompt_format": False}, "chat", False),
        ({"use_prompt_format": False}, "prompt", True),
    ],
)
def test_which_format_it_is(params: dict[str, Any], form: str, expected: bool) -> None:
    assert uses_prompt_format(config(params, request_format=form)) is expected
    assert ("prompt" in payload(params, request_format=form)) is expected


def test_without_a_model_none_is_sent() -> None:
    assert list(payload(model=None)) == ["messages", "max_tokens", "ignore_eos", "stream", "stream_options"]


def test_a_chat_that_is_not_streamed_has_no_stream_options() -> None:
    assert payload(stream=False) == {
        "model": "model-name",
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": 100,
        "ignore_eos": True,
        "stream": False,
    }
    assert "stream_options" not in payload({"stream_options": {"include_usage": True}}, stream=False)


def test_a_prompt_that_is_not_streamed_says_so() -> None:
    assert payload(request_format="prompt", stream=False) == {"prompt": PROMPT, "max_tokens": 100, "stream": False}


@pytest.mark.parametrize("form", ["chat", "prompt"])
@pytest.mark.parametrize("stream", [True, False])
def test_stream_is_the_endpoints_and_never_the_parameters(form: str, stream: bool) -> None:
    sent = payload({"stream": not stream, "top_p": 0.9}, request_format=form, stream=stream)
    assert sent["stream"] is stream
    assert sent["top_p"] == 0.9


@pytest.mark.parametrize("form", ["chat", "prompt"])
@pytest.mark.parametrize("value", [True, False])
def test_use_prompt_format_is_never_sent(form: str, value: bool) -> None:
    assert "use_prompt_format" not in payload({"use_prompt_format": value}, request_format=form)


def test_temperature_is_sent_only_if_given() -> None:
    assert "temperature" not in payload()
    assert "temperature" not in payload(request_format="prompt")
    assert payload({"temperature": 0.0})["temperature"] == 0.0


def test_ignore_eos_goes_with_a_fixed_output_unless_told_otherwise() -> None:
    assert payload()["ignore_eos"] is True
    assert "ignore_eos" not in payload(fixed=False)
    assert payload({"ignore_eos": False})["ignore_eos"] is False
    assert payload({"ignore_eos": True}, fixed=False)["ignore_eos"] is True
    assert "ignore_eos" not in payload({"ignore_eos": None})


def test_the_prompt_format_has_only_what_was_given() -> None:
    assert set(payload(request_format="prompt")) == {"prompt", "max_tokens", "stream"}
    given = {"ignore_eos": True, "stream_options": {"a": 1}, "model": "mine"}
    assert payload(given, request_format="prompt") == {"prompt": PROMPT, "max_tokens": 100, "stream": True} | given


def test_stream_options_of_the_user_keep_the_usage_unless_they_say_no() -> None:
    options = {"continuous_usage_stats": True}
    assert payload({"stream_options": options})["stream_options"] == {"include_usage": True} | options
    assert payload({"stream_options": {"include_usage": False}})["stream_options"] == {"include_usage": False}
    assert "stream_options" not in payload({"stream_options": None})
    assert list(payload({"stream_options": options}))[-1] == "stream_options"


@pytest.mark.parametrize("form", ["chat", "prompt"])
def test_max_tokens_of_the_user_win_and_keep_their_place(form: str) -> None:
    sent = payload({"temperature": 0.7, "max_tokens": 5}, request_format=form)
    assert sent["max_tokens"] == 5
    assert list(sent).index("max_tokens") < list(sent).index("temperature")
    assert output_limit(config(), sent) == 5


@pytest.mark.parametrize("form", ["chat", "prompt"])
def test_no_limit_is_no_key(form: str) -> None:
    assert "max_tokens" not in payload(limit=None, request_format=form)
    assert "max_tokens" not in payload({"max_tokens": None}, request_format=form)
    assert output_limit(config(), payload(limit=None, request_format=form)) is None


@pytest.mark.parametrize(
    ("params", "limit"),
    [
        ({"max_tokens": None, "max_completion_tokens": 50}, 50),
        ({"max_tokens": None, "max_output_tokens": 51}, 51),
        ({"max_new_tokens": 52}, 52),
        ({"max_completion_tokens": 200}, 200),
        ({"max_tokens": 30, "max_completion_tokens": 60}, 30),
        ({"max_tokens": None, "num_predict": 7}, 7),
        ({"max_tokens": None, "options": {"num_predict": 8}}, 8),
        ({"max_tokens": None, "parameters": {"max_new_tokens": 9}}, 9),
        ({"max_tokens": None, "sampling_params": {"max_new_tokens": 10.0}}, 10),
        ({"max_tokens": None, "generationConfig": {"maxOutputTokens": 11}}, 11),
        ({"max_tokens": None, "options": {"num_predict": -1}}, None),
        ({"max_tokens": None, "max_new_tokens": True}, None),
        ({"max_tokens": None, "options": "x"}, None),
        ({"options": {"num_ctx": 9000}}, 100),
    ],
)
@pytest.mark.parametrize("form", ["chat", "prompt"])
def test_a_limit_under_any_of_its_names_is_the_target(params: dict[str, Any], limit: int | None, form: str) -> None:
    assert output_limit(config(params, request_format=form), payload(params, request_format=form)) == limit


def test_keys_of_unusual_models() -> None:
    names: dict[str, Any] = {"prompt_key": "text", "max_tokens_key": "max_new_tokens", "request_format": "prompt"}
    assert payload(**names) == {"text": PROMPT, "max_new_tokens": 100, "stream": True}
    assert payload({"max_tokens": 7}, **names) == {"text": PROMPT, "max_new_tokens": 7, "stream": True}
    assert payload({"max_new_tokens": 8}, **names) == {"text": PROMPT, "max_new_tokens": 8, "stream": True}
    assert output_limit(config({}, **names), payload(**names)) == 100
    assert payload(max_tokens_key="max_completion_tokens")["max_completion_tokens"] == 100


def test_the_shared_parameters_are_never_changed() -> None:
    params = {"stop": ["a"], "stream_options": {"x": 1}, "stream": True, "use_prompt_format": False, "max_tokens": 3}
    given = config(params, max_tokens_key="limit")
    before = copy.deepcopy(given.request_params)
    sent = build_payload(given, PROMPT, 100, fixed_output=True)
    sent["stop"].append("b")
    sent["stream_options"]["x"] = 2
    sent["messages"].append({})
    assert given.request_params == before
    again = build_payload(given, PROMPT, 100, fixed_output=True)
    assert (again["stop"], again["stream_options"]["x"], len(again["messages"])) == (["a"], 1, 1)


def test_whose_text_it_is() -> None:
    assert not carries_own_text(config({"temperature": 1}))
    assert carries_own_text(config({"messages": []}))
    assert not carries_own_text(config({"prompt": "x"}))
    assert carries_own_text(config({"prompt": "x"}, request_format="prompt"))


def test_text_goes_out_as_utf8() -> None:
    body = payload_bytes(config(), 'Grüße 🎉\n"quoted"', 1, fixed_output=False)
    assert "Grüße 🎉".encode() in body
    assert orjson.loads(body)["messages"][0]["content"] == 'Grüße 🎉\n"quoted"'
