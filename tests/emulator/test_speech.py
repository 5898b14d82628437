"""What the embedded endpoint says, and when each piece of it is due: the Speaker by itself, no sockets."""

from __future__ import annotations

import base64
import itertools
import json
import math
import struct
from typing import Any

import pytest

from basetenkit.emulator.options import FORMS, Options
from basetenkit.emulator.reply import Reply
from basetenkit.emulator.speech import Speaker
from basetenkit.emulator.words import count, unit_vector

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 6}
ROUTE = "/v1/chat/completions"


def say(options: Options, request: Any, path: str = ROUTE, in_flight: int = 1, **headers: str) -> Reply:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return Speaker(options).reply(path, body, headers, in_flight)


def body_of(reply: Reply) -> Any:
    assert not reply.chunked
    return json.loads(reply.pieces[0].data)


def test_without_jitter_each_token_is_due_at_its_own_time() -> None:
    options = Options(ttft_ms=50, itl_ms=20, tail_ms=5, role_frame=True)
    reply = say(options, CHAT | {"stream": True})
    role, *tokens, finish = reply.pieces
    assert (role.at, role.tokens) == (0.0, 0)
    assert [p.at for p in tokens] == pytest.approx([0.05, 0.07, 0.09, 0.11, 0.13, 0.15])
    assert [p.tokens for p in tokens] == [1] * 6
    assert finish.at == pytest.approx(0.155)
    assert finish.tokens == 0
    assert b'"finish_reason": "length"' in finish.data
    assert finish.data.endswith(b"data: [DONE]\n\n")


def test_a_document_is_due_when_its_last_token_would_be() -> None:
    assert say(Options(ttft_ms=50, itl_ms=20), CHAT).pieces[0].at == pytest.approx(0.15)


def test_others_in_flight_make_the_first_token_later() -> None:
    options = Options(ttft_ms=50, batch_slope_ms=10, role_frame=False)
    alone, beside = (say(options, CHAT | {"stream": True}, in_flight=n).pieces[0].at for n in (1, 4))
    assert beside - alone == pytest.approx(0.03)


def test_jitter_varies_around_the_mean_and_the_seed_decides_it() -> None:
    options = Options(ttft_ms=40, itl_ms=10, jitter=0.3, role_frame=False)
    request = CHAT | {"stream": True, "max_tokens": 3000}
    first, again = say(options, request), say(options, request)
    other = say(Options(ttft_ms=40, itl_ms=10, jitter=0.3, role_frame=False, seed=1), request)
    times = [p.at for p in first.pieces if p.tokens]
    assert times == [p.at for p in again.pieces if p.tokens]
    assert times != [p.at for p in other.pieces if p.tokens]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((g - mean) ** 2 for g in gaps) / len(gaps))
    assert mean == pytest.approx(0.010, rel=0.05)
    assert spread / mean == pytest.approx(0.3, rel=0.15)
    assert min(gaps) > 0


def test_tokens_per_chunk_gathers_tokens_and_sends_them_when_the_last_is_due() -> None:
    options = Options(ttft_ms=50, itl_ms=20, tokens_per_chunk=4, role_frame=False)
    *tokens, _finish = say(options, CHAT | {"stream": True}).pieces
    assert [p.tokens for p in tokens] == [4, 2]
    assert [p.at for p in tokens] == pytest.approx([0.11, 0.15])


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_new_tokens"])
def test_the_length_is_the_requests_own_limit_and_else_the_options(name: str) -> None:
    bare = {"messages": CHAT["messages"]}
    assert say(Options(output_tokens=9), bare | {name: 3}).tokens == 3
    assert say(Options(output_tokens=9), bare).tokens == 9


def test_a_model_that_stops_by_itself_says_so_unless_the_request_forbids_it() -> None:
    options = Options(stop_after=3)
    choice = body_of(say(options, CHAT))["choices"][0]
    assert (count(choice["message"]["content"]), choice["finish_reason"]) == (3, "stop")
    stream = say(options, CHAT | {"stream": True})
    assert sum(p.tokens for p in stream.pieces) == stream.tokens == 3
    assert b'"finish_reason": "stop"' in stream.pieces[-1].data
    assert say(options, CHAT | {"ignore_eos": True}).tokens == 6
    assert say(options, CHAT | {"max_tokens": 2}).tokens == 2


@pytest.mark.parametrize("stream", [True, False])
def test_a_prompt_is_not_counted_before_its_number_is_needed(stream: bool) -> None:
    """A wave of requests would else be counted before its first token is written."""
    reply = say(Options(), CHAT | {"stream": stream, "stream_options": {"include_usage": True}})
    assert reply.prompt is not None
    assert not reply.prompt.done
    *_, last = reply.pieces
    assert last.at > 0
    assert not reply.prompt.done
    assert b'"prompt_tokens": %d' % count("hello") in last.data
    assert reply.prompt.done


def test_a_document_holds_as_many_tokens_as_were_asked_for() -> None:
    text = body_of(say(Options(), CHAT | {"max_tokens": 500}))["choices"][0]["message"]["content"]
    assert count(text) == 500


@pytest.mark.parametrize("form", FORMS)
def test_predict_has_each_json_form(form: str) -> None:
    reply = say(Options(form=form), {"prompt": "hi", "max_tokens": 5}, "/environments/production/predict")
    body = body_of(reply)
    text = body if form == "string" else body[form]
    assert isinstance(text, str)
    assert count(text) == reply.tokens == 5
    assert form == "string" or list(body) == [form]
    assert reply.content_type == "application/json"


def test_a_request_may_choose_the_form_itself() -> None:
    request = {"prompt": "hi", "max_tokens": 5, "emulator": "result"}
    assert list(body_of(say(Options(form="text"), request, "/predict"))) == ["result"]
    refused = say(Options(), request | {"emulator": "shout"}, "/predict")
    assert refused.status == 400
    assert body_of(refused)["error"].startswith("there is no form 'shout'; there are text, ")


def test_predict_streams_bare_text_and_speaks_chat_to_messages() -> None:
    text = say(Options(usage=True), {"prompt": "hi", "max_tokens": 5, "stream": True}, "/predict")
    assert (text.content_type, text.chunked) == ("application/octet-stream", True)
    assert count(b"".join(p.data for p in text.pieces).decode()) == 5
    assert [p.tokens for p in text.pieces] == [1] * 5
    chat = body_of(say(Options(), CHAT, "/production/predict"))
    assert chat["object"] == "chat.completion"


def test_the_prompts_tokens_are_counted_in_every_shape_of_it() -> None:
    parts = [{"type": "text", "text": "one two"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": parts}, {"role": "assistant"}]
    assert say(Options(), {"messages": messages}).prompt_tokens == count("be brief\none two")
    assert say(Options(), {"prompt": "one two three"}, "/v1/completions").prompt_tokens == count("one two three")
    assert say(Options(), {"input": ["one two", "three"]}, "/v1/embeddings").prompt_tokens == count("one two") + count(
        "three"
    )


def test_embeddings_depend_on_the_text_alone_and_have_length_one() -> None:
    vectors = [d["embedding"] for d in body_of(say(Options(), {"input": ["a", "b", "a"]}, "/v1/embeddings"))["data"]]
    assert vectors[0] == vectors[2] != vectors[1]
    assert [len(v) for v in vectors] == [64] * 3
    assert math.sqrt(sum(x * x for x in vectors[1])) == pytest.approx(1.0)
    assert vectors[0] == unit_vector("a", 64)


def test_embeddings_as_base64_are_the_same_numbers_as_float32() -> None:
    request = {"input": "a text", "dimensions": 5, "encoding_format": "base64"}
    (entry,) = body_of(say(Options(), request, "/v1/embeddings"))["data"]
    got = struct.unpack("<5f", base64.b64decode(entry["embedding"]))
    assert got == pytest.approx(unit_vector("a text", 5), abs=1e-6)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (ROUTE, b"{", "Invalid JSON payload"),
        (ROUTE, b"[1]", "it is not an object"),
        (ROUTE, b"\xff\xfe\xff", "Invalid JSON payload"),
        (ROUTE, {"prompt": "x"}, "messages must be a list"),
        (ROUTE, {"messages": []}, "messages must be a list"),
        (ROUTE, {"messages": 5}, "messages must be a list"),
        (ROUTE, {"messages": ["x"]}, "messages must be a list"),
        ("/predict", {"input": "x"}, "a prompt is missing"),
        ("/predict", {"prompt": 5}, "a prompt is missing"),
        ("/v1/completions", CHAT, "a prompt is missing"),
        ("/v1/embeddings", {"input": [1, 2]}, "input must be a string or a list of strings"),
        ("/v1/embeddings", {}, "input must be a string or a list of strings"),
        ("/v1/embeddings", {"input": "x", "dimensions": "many"}, "dimensions must be a whole number"),
        ("/v1/embeddings", {"input": "x", "dimensions": -1}, "dimensions must be a whole number"),
    ],
)
def test_a_request_that_cannot_be_answered_is_a_400_that_says_why(path: str, body: Any, words: str) -> None:
    reply = say(Options(), body, path)
    assert (reply.status, reply.outcome) == (400, "http_400")
    assert words in body_of(reply)["error"]
    assert reply.pieces[0].at == 0.0


def test_odd_but_harmless_fields_do_no_harm() -> None:
    odd = CHAT | {"stream": True, "stream_options": "all", "max_tokens": "many"}
    reply = say(Options(output_tokens=2), odd)
    assert reply.status == 200
    assert reply.tokens == 2
    mixed = {"messages": [{"content": [{"type": "text", "text": None}, 5, "plain"]}]}
    assert say(Options(), mixed).prompt_tokens == count("plain")


@pytest.mark.parametrize("path", ["/v1/chat", "/", "/v1/responses", "/predict/more", "/truth"])
def test_an_unknown_route_is_a_404(path: str) -> None:
    reply = say(Options(), CHAT, path)
    assert (reply.status, reply.outcome) == (404, "http_404")
    assert body_of(reply) == {"detail": "Not Found"}


def test_only_the_right_key_is_let_in_under_any_scheme() -> None:
    options = Options(api_key="right")
    for value, status in (("Bearer right", 200), ("Api-Key right", 200), ("Bearer wrong", 401), ("right", 401)):
        assert say(options, CHAT, authorization=value).status == status
    assert say(options, CHAT).status == 401
    assert say(Options(), CHAT).status == 200


def test_shares_of_failures_are_kept_to_and_drawn_by_the_seed() -> None:
    options = Options(fail={"http_500": 0.25, "empty": 0.25})

    def outcomes() -> list[str]:
        speaker = Speaker(options)
        return [speaker.reply(ROUTE, json.dumps(CHAT).encode(), {}, 1).outcome for _ in range(800)]

    first = outcomes()
    assert first == outcomes()
    assert first.count("http_500") / 800 == pytest.approx(0.25, abs=0.06)
    assert first.count("empty") / 800 == pytest.approx(0.25, abs=0.06)
    assert first.count("ok") / 800 == pytest.approx(0.5, abs=0.07)


def test_a_failure_that_does_not_exist_is_told() -> None:
    reply = say(Options(), CHAT, ROUTE, 1, **{"x-emulator-fail": "explode"})
    assert reply.status == 400
    assert "there is no failure 'explode'; there are http_500, " in body_of(reply)["error"]
