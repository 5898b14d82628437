"""The text of a model's reasoning, in all the shapes in which servers send it.

A string, an object with a text, or a list of parts, under one of several keys. A signature or an encrypted part has no readable
text, so it is not output.
"""

from __future__ import annotations

# Keys of a message or delta, in this order: the first that holds a text counts, because servers repeat it under others.
REASONING_KEYS = (
    "reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_summary", "thought", "thoughts",
)  # fmt: skip
DETAIL_KEYS = ("reasoning_details", "thinking_blocks")
_TEXT_KEYS = ("text", "thinking", "content", "reasoning", "reasoning_content", "summary")
_DEPTH = 4


def thinking_text(value: object, depth: int = 0) -> str:
    """The readable text in `value`; "" if it holds none."""
    if isinstance(value, str):
        return value
    if depth > _DEPTH:
        return ""
    if isinstance(value, list):
        return "".join(thinking_text(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return next((text for key in _TEXT_KEYS if (text := thinking_text(value.get(key), depth + 1))), "")
    return ""


def reasoning_in(message: dict[str, object]) -> str:
    """The reasoning of a message or delta, under whichever of its keys holds some."""
    return next((text for key in REASONING_KEYS if key in message and (text := thinking_text(message[key]))), "")


def details_in(message: dict[str, object]) -> str:
    """The reasoning in a list of details, as OpenRouter and LiteLLM send it."""
    return next((text for key in DETAIL_KEYS if key in message and (text := thinking_text(message[key]))), "")
