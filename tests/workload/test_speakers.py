"""Speakers under any name, contents of any form, and calls of tools as they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.workload.speakers import messages_of, role_of, text_of
from basetenkit.workload.table import Unfit


def told(*pairs: tuple[str, str], **keys: str) -> list[dict[str, Any]]:
    names = {"role": "from", "content": "value"} | keys
    return [{names["role"]: role, names["content"]: content} for role, content in pairs]


def roles(*speakers: str) -> list[str]:
    return [m["role"] for m in messages_of(told(*((name, "x") for name in speakers)), set())]


@pytest.mark.parametrize(
    "user", ["human", "Human", "USER", "user", "customer", "User 1", "end-user", "prompter", "<|user|>"]
)
@pytest.mark.parametrize("other", ["gpt", "ChatGPT", "bing", "bard", "AGENT", "model", "gpt-4o", "Alice", "助手"])
def test_a_users_messages_are_the_users_and_anothers_the_assistants(user: str, other: str) -> None:
    assert roles(user, other, user) == ["user", "assistant", "user"]


@pytest.mark.parametrize("name", ["System", "SYSTEM", "sys", "system prompt", "system_message"])
def test_a_system_prompt_may_come_first(name: str) -> None:
    assert roles(name, "human", "gpt") == ["system", "user", "assistant"]
    assert role_of("Developer") == "developer"


def test_an_agent_may_speak_first_and_a_name_that_answers_later_may_too() -> None:
    assert roles("agent", "customer") == ["assistant", "user"]
    assert roles("Nova", "customer", "NOVA") == ["assistant", "user", "assistant"]


def test_a_name_that_cannot_be_placed_is_told() -> None:
    with pytest.raises(Unfit, match="the speaker 'narrator' is unknown"):
        roles("narrator", "human", "gpt")
    with pytest.raises(Unfit, match="the speaker 'Bob' is unknown"):
        roles("Bob", "Alice")
    for bad in ([{"content": "x"}], [{"role": None, "content": "x"}], ["x"], "x", 3):
        with pytest.raises(Unfit, match=r"has no speaker|no list of messages"):
            messages_of(bad, set())


@pytest.mark.parametrize("keys", [("role", "content"), ("from", "value"), ("speaker", "text"), ("author", "message")])
def test_speaker_and_text_may_have_other_keys(keys: tuple[str, str]) -> None:
    given = told(("user", "a"), ("bot", "b"), role=keys[0], content=keys[1])
    assert messages_of(given, set()) == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def test_messages_may_be_json_or_pythons_own_text() -> None:
    for text in ('[{"role": "user", "content": "a"}]', "[{'role': 'user', 'content': 'a'}]"):
        assert messages_of(text, set()) == [{"role": "user", "content": "a"}]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": " b"}], "a b"),
        (["a", {"type": "input_text", "text": "b"}, {"text": "c"}, None], "abc"),
        ({"type": "text", "text": "a"}, "a"),
        ({"content_type": "text", "parts": ["a", "b"]}, "ab"),
    ],
)
def test_a_content_is_a_text_or_parts_with_texts(content: Any, text: str) -> None:
    assert text_of(content) == text


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": "data:,"}}, "image_url"),
        ({"type": "tool_result", "tool_use_id": "t"}, "tool_result"),
        ({"inline_data": {"data": "x"}}, "inline_data"),
    ],
)
def test_another_part_is_named_and_its_row_is_not_just_left_out(part: dict[str, Any], kind: str) -> None:
    with pytest.raises(
        Unfit, match=f"a content has a part of type '{kind}', and the task 'text-to-text' sends only text"
    ) as caught:
        text_of([{"type": "text", "text": "a"}, part])
    assert caught.value.fatal


def test_what_is_said_without_text() -> None:
    with pytest.raises(Unfit, match="a user's message has no text"):
        messages_of(told(("human", " "), ("gpt", "x")), set())
    given = [*told(("system", ""), ("human", "a"), ("gpt", "")), {"role": "tool", "content": ""}]
    assert messages_of(given, set()) == [{"role": "user", "content": "a"}, {"role": "tool", "content": ""}]


def test_keys_of_messages_that_are_not_sent_are_told() -> None:
    unsent: set[str] = set()
    given = [{"role": "user", "content": "a", "toxic": False, "name": "Ann", "weight": 1, "tags": [], "ip": None}]
    assert messages_of(given, unsent) == [{"role": "user", "content": "a", "name": "Ann"}]
    assert unsent == {"toxic", "weight"}


def test_calls_get_what_chat_apis_need() -> None:
    call = {"name": "rain", "arguments": {"town": "Turin"}}
    made = {"type": "function", "function": {"name": "rain", "arguments": '{"town":"Turin"}'}}
    for given in ([{"function": call}], [call], [{"type": "function", "function": call, "id": None}]):
        messages = [*told(("user", "a")), {"role": "assistant", "content": "", "tool_calls": given}]
        messages.append({"role": "tool", "content": "none"})
        _, said, result = messages_of(messages, set())
        assert said == {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"} | made]}
        assert result == {"role": "tool", "content": "none", "tool_call_id": "call_1"}


def test_share_gpt_calls_tools_in_speakers_of_their_own() -> None:
    given = told(
        ("human", "a"), ("function_call", '{"name": "rain", "arguments": {}}'), ("observation", "none"), ("gpt", "No.")
    )
    _, call, result, answer = messages_of(given, set())
    assert call["tool_calls"] == [{"id": "call_1", "type": "function", "function": {"name": "rain", "arguments": "{}"}}]
    assert result == {"role": "tool", "content": "none", "tool_call_id": "call_1"}
    assert answer == {"role": "assistant", "content": "No."}


def test_the_old_form_of_function_calls_stays() -> None:
    given = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "none"},
    ]
    assert messages_of(given, set()) == given
