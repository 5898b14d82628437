"""What to do about one answer: the advice is on the very thing that the answer names."""

from __future__ import annotations

from typing import Any

import pytest

import basetenkit as bk
from basetenkit.analysis.advice import NOT_READY, advise, held_back
from basetenkit.core.types import Cause

CHAT = bk.Endpoint(url="http://h/v1/chat/completions", model="m")
PROMPT = bk.Endpoint(url="http://h/predict", request_format="prompt")
SENT = {"model": "m", "messages": [], "max_tokens": 8, "ignore_eos": True, "stream": True, "stream_options": {}}


def row(message: str, status: int | None = 400, outcome: str = "http_error", **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("ttft_s", "batch_size", "output_tokens", "error_code", "error_cause", "notes"))
    return {**empty, "outcome": outcome, "status": status, "error_message": message, "sent_s": 0.0} | {
        "output_tokens_target": 8,
        **more,
    }


def said(message: str, status: int | None = 400, outcome: str = "http_error", **config: Any) -> list[str]:
    more = {name: config.pop(name) for name in ("error_code",) if name in config}
    sent = config.pop("sent", SENT)
    return advise(row(message, status, outcome, **more), bk.RunConfig(**({"endpoint": CHAT} | config)), sent)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            "max_tokens_key='max_completion_tokens'",
        ),
        (
            "max_tokens: Extra inputs are not permitted; this model takes max_new_tokens",
            "max_tokens_key='max_new_tokens'",
        ),
        ("max_tokens must be at least 16", "refuses the value of max_tokens"),
        ("Unrecognized request argument supplied: ignore_eos", "request_params={'ignore_eos': None}"),
        ("body.stream_options: Extra inputs are not permitted", "request_params={'stream_options': None}"),
        ("generate() got an unexpected keyword argument 'ignore_eos'", "request_params={'ignore_eos': None}"),
        ("'stream' must be false", "Endpoint(stream=False)"),
        ("Streaming is not supported by this model", "Endpoint(stream=False)"),
        ("missing 'input'", "task='text-to-embeddings'"),
        ("missing field `inputs` at line 1 column 40", "prompt_key='inputs'"),
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.", "fewer tokens"),
        ("the parameter model is not known", "check Endpoint.model"),
        ("no", "does not accept this payload"),
    ],
)
def test_a_refusal_gets_advice_on_the_field_that_it_names(message: str, words: str) -> None:
    (advice,) = said(message)
    assert words in advice


def test_a_field_of_request_params_is_told_as_that() -> None:
    message = "'temperature' does not support 0.7 with this model. Only the default (1) value is supported."
    sent = SENT | {"temperature": 0.7}
    assert "which request_params gives" in said(message, request_params={"temperature": 0.7}, sent=sent)[0]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("body.model: Field required", "request_params={'model': '...'}"),
        ("body.messages: Field required", "request_format='chat'"),
        ("bad request", "If it expects messages, use request_format='chat'"),
    ],
)
def test_a_bare_prompt_is_not_advised_to_be_one(message: str, words: str) -> None:
    (advice,) = said(
        message,
        422 if "body" in message else 400,
        endpoint=PROMPT,
        sent={"prompt": "x", "max_tokens": 8, "stream": True},
    )
    assert words in advice
    assert "request_format='prompt'" not in advice


@pytest.mark.parametrize("status", [400, 403, 404, 409, 425, 429, 500, 502, 503, 200])
@pytest.mark.parametrize(
    "message",
    [
        "The model is being deployed; please try again later.",
        "Deployment is scaled to zero.",
        "Model m is currently loading",
        "model_not_ready",
        "The model is not ready yet.",
        "No ready replicas",
    ],
)
def test_a_model_that_is_not_ready_is_told_as_that_whatever_the_status(message: str, status: int) -> None:
    assert said(message, status, "api_error" if status == 200 else "http_error") == [NOT_READY]


def test_a_code_may_say_it_too() -> None:
    assert said("Please hold on.", 400, error_code="MODEL_NOT_READY") == [NOT_READY]


@pytest.mark.parametrize(
    "message", ["Model m does not exist", "your plan does not include this model", "readiness unknown"]
)
def test_other_words_are_not_taken_for_it(message: str) -> None:
    assert NOT_READY not in said(message, 404)


@pytest.mark.parametrize(
    ("cause", "outcome", "status", "words"),
    [
        (Cause.TLS_CERTIFICATE, "connection_error", None, "verify="),
        (Cause.TLS_HANDSHAKE, "connection_error", None, "begin with http://"),
        (Cause.UNRESOLVED, "connection_error", None, "Check the host name"),
        (Cause.REFUSED, "connection_error", None, "Check the host and the port"),
        (None, "connection_error", None, "Check the host and the port"),
        (Cause.OWN_LIMIT, "connection_error", None, "says nothing about the endpoint"),
        (None, "http_error", 307, "as Endpoint.url"),
        (None, "http_error", 405, "does not accept POST"),
    ],
)
def test_what_fails_before_an_answer_has_its_own_cure(
    cause: Cause | None, outcome: str, status: int | None, words: str
) -> None:
    found = row("no answer", status, outcome, error_cause=cause)
    assert words in advise(found, bk.RunConfig(endpoint=CHAT), SENT)[0]


def test_an_embeddings_url_that_is_asked_for_text_is_told() -> None:
    advice = said("Bad request", endpoint=bk.Endpoint(url="http://h/v1/embeddings"))
    assert "task='text-to-embeddings'" in advice[0]


@pytest.mark.parametrize(
    ("at", "error", "times"),
    [
        ([0.5] * 8, 0.0, 1),
        ([0.5] * 7 + [0.7], 0.001, 2),
        ([0.5] * 8, 0.02, None),  # read late: it may all have come in order
        ([0.1 * i for i in range(8)], 0.0, None),
        ([0.001 * i for i in range(8)], 0.0, None),
        ([0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4], 0.0, None),  # two tokens a step
        ([0.5] * 3, 0.0, None),
    ],
)
def test_a_stream_that_was_held_back_is_told_only_if_it_is_sure(
    at: list[float], error: float, times: int | None
) -> None:
    assert held_back([(t, error) for t in at]) == times
