"""Messages in data sets -> messages to send: roles and texts.

Data sets call speakers by many names, in any letter case. Known names are mapped to the roles `user`, `assistant`, `system`,
`developer` and `tool`. Any other name after a user's message is the assistant. If a name can be neither, the conversation is
left out and counted.

A message's content is a text, or parts of which the texts are joined. Tool calls and tool results are sent as they are. The
arguments of a call become a JSON text, and a call without an id gets one, because chat APIs refuse other calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import orjson

from ..core.types import JsonObject
from .table import Unfit, opened, same, without_none

Message = JsonObject

ROLES: dict[str, tuple[str, ...]] = {
    "user": (
        "user", "human", "person", "people", "customer", "client", "prompter", "questioner", "asker", "requester", "inquirer",
        "student", "patient", "caller", "visitor", "guest", "buyer", "enduser", "humanuser", "usr", "me", "question", "prompt",
    ),
    "assistant": (
        "assistant", "gpt", "chatgpt", "bing", "bard", "claude", "gemini", "llama", "mistral", "model", "bot", "chatbot", "ai",
        "agent", "llm", "aiassistant", "answer", "response", "completion",
    ),
    "system": ("system", "sys", "systemprompt", "systemmessage"),
    "developer": ("developer",),
    "tool": (
        "tool", "function", "observation", "ipython", "toolresponse", "toolresult", "tooloutput", "functionresponse",
        "functionresult", "functionoutput",
    ),
    "call": ("functioncall", "toolcall"),
}  # fmt: skip
_ROLE_OF = {name: role for role, names in ROLES.items() for name in names}
_SPEAKERS = ("role", "from", "speaker", "author", "sender")
_CONTENTS = ("content", "value", "text", "message", "utterance", "parts")
_SENT = ("name", "tool_calls", "tool_call_id", "function_call", "refusal")
_KEYS = {*_SPEAKERS, *_CONTENTS, *_SENT}
_TEXT_PARTS = ("text", "input_text", "output_text")
EMPTY = "a user's message has no text"


@lru_cache(maxsize=4096)
def role_of(name: str) -> str | None:
    """The role of a known speaker, `call` for a message that is a tool call; None for an unknown name."""
    key = same(name)
    return _ROLE_OF.get(key) or _ROLE_OF.get(re.sub(r"\d+$", "", key))


def text_of(content: object) -> str:
    """The text of a content: a text, an object with one, or parts, whose texts are joined. Unfit if it holds anything else."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return "".join(map(_part, content))
    if isinstance(content, dict):
        inner = next((content[key] for key in ("parts", "content") if isinstance(content.get(key), (str, list))), None)
        return _part(content) if inner is None else text_of(inner)
    raise Unfit("a message's content is neither a text nor a list of parts")


def _part(part: object) -> str:
    if part is None or isinstance(part, str):
        return part or ""
    if not isinstance(part, dict):
        raise Unfit("a message's content is neither a text nor a list of parts")
    kind = part.get("type")
    text = part.get("text")
    if kind in _TEXT_PARTS or (kind is None and isinstance(text, str)):
        return text if isinstance(text, str) else ""
    kind = kind or next((key for key, value in part.items() if value is not None), "unknown")
    raise Unfit(
        f"a content has a part of type {str(kind)[:40]!r}, and the task 'text-to-text' sends only text (images are sent from an "
        "image_column)",
        fatal=True,
    )


def messages_of(given: object, unsent: set[str]) -> list[Message]:
    """The messages of one row, each with its role and content. Unfit if one cannot be placed or read.

    Keys of messages that are not sent are added to `unsent`.
    """
    given = opened(given)
    if not isinstance(given, list):
        raise Unfit("there is no list of messages")
    raw = [message if _is_plain(message) else without_none(message) for message in given if message is not None]
    if any(not isinstance(message, dict) for message in raw):
        raise Unfit("a message has no speaker")
    roles = _roles([_speaker(message) for message in raw])
    found: list[Message] = []
    calls = _Calls()
    for role, message in zip(roles, raw, strict=True):
        one = _message(role, message, calls)
        unsent |= {key for key in message.keys() - _KEYS if message[key] not in ("", [], {})}
        if role in ("system", "developer", "assistant") and not one["content"] and len(one) == 2:
            continue  # it has no text
        found.append(one)
    return found


def _is_plain(message: object) -> bool:
    """Whether all values of a message are texts, as most are: then none of them is missing."""
    return isinstance(message, dict) and all(type(value) is str for value in message.values())


def _speaker(message: Message) -> str:
    found = next((message[key] for key in _SPEAKERS if key in message), None)
    found = found.get("role") if isinstance(found, dict) else found
    if not isinstance(found, str) or not found.strip():
        raise Unfit("a message has no speaker")
    return found


def _roles(speakers: Sequence[str]) -> list[str]:
    """The roles of a conversation's speakers: a name that is unknown and speaks after a user is the assistant's."""
    known = [role_of(name) for name in speakers]
    first = known.index("user") if "user" in known else len(known)
    others = {same(name) for name, role in zip(speakers[first:], known[first:], strict=True) if role is None}
    lost = next(
        (name for name, role in zip(speakers, known, strict=True) if role is None and same(name) not in others), None
    )
    if lost is not None:
        raise Unfit(f"the speaker {lost[:40]!r} is unknown and does not answer a user")
    return [role or "assistant" for role in known]


class _Calls:
    """The tool calls of a conversation that have no result yet, so that each result names its call."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._made = 0

    def name(self, calls: object) -> list[dict[str, object]]:
        """The calls as they are sent: each with an id, and with its arguments as a JSON text."""
        named: list[dict[str, object]] = []
        for call in calls if isinstance(calls, list) else [calls]:
            if not isinstance(call, dict):
                raise Unfit("its tool calls are not objects", fatal=True)
            inner = call if "function" not in call and "name" in call else call.get("function")
            one: dict[str, object] = {"type": "function"} | {
                key: value for key, value in call.items() if inner is not call
            }
            if isinstance(inner, dict):
                arguments = inner.get("arguments", "{}")
                text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
                one["function"] = {"name": inner.get("name"), "arguments": text}
            self._made += 1
            one = {"id": f"call_{self._made}"} | one
            self._waiting.append(str(one["id"]))
            named.append(one)
        return named

    def answered(self, given: object) -> str | None:
        """The id of the call that a result belongs to: the one that it names, or the oldest without a result."""
        if given is None:
            return self._waiting.pop(0) if self._waiting else None
        if given in self._waiting:
            self._waiting.remove(given)
        return str(given)


def _message(role: str, message: Message, calls: _Calls) -> Message:
    content = next((message[key] for key in _CONTENTS if key in message), None)
    text = text_of(content)
    if role == "call":
        call = opened(text)
        if isinstance(call, (dict, list)) and all(
            "name" in one for one in (call if isinstance(call, list) else [call])
        ):
            return {"role": "assistant", "content": None, "tool_calls": calls.name(call)}
        return {"role": "assistant", "content": text}
    if role == "user" and not text.strip():
        raise Unfit(EMPTY)
    more = {key: message[key] for key in _SENT if key in message and key != "tool_calls"}
    if role == "tool" and _speaker(message) == "function" and "name" in message:
        return {"role": "function", "content": text} | more
    if tool_calls := opened(message.get("tool_calls")):
        more["tool_calls"] = calls.name(tool_calls)
    if role == "tool" and (call_id := calls.answered(message.get("tool_call_id"))) is not None:
        more["tool_call_id"] = call_id
    empty = not text and ("tool_calls" in more or "function_call" in more)
    return {"role": role, "content": None if empty else text} | more
