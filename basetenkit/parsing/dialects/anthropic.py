"""Anthropic's messages, streamed or whole, as Baseten's Model APIs give them at /v1/messages.

Definition: Anthropic API reference, "Messages" and "Streaming messages". Usage comes twice: what went in with the first
event, what came out (a running total) with the last.
"""

from __future__ import annotations

from basetenkit.parsing.collector import CONTENT, REASONING, TOOL_CALL, Collector
from basetenkit.parsing.thinking import thinking_text

from ...core.types import JsonObject

_DELTAS = {
    "text_delta": ("text", CONTENT),
    "thinking_delta": ("thinking", REASONING),
    "input_json_delta": ("partial_json", TOOL_CALL),
}
_BLOCKS = {
    "text": ("text", CONTENT),
    "thinking": ("thinking", REASONING),
    "tool_use": ("name", TOOL_CALL),
    "server_tool_use": ("name", TOOL_CALL),
}
_SILENT = frozenset({"ping", "content_block_stop"})


def read_anthropic(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one event or one whole message; False if the document is neither."""
    kind = doc.get("type")
    if not isinstance(kind, str):
        return False
    if kind == "content_block_delta":
        _piece(doc.get("delta"), _DELTAS, out, start, end)
    elif kind == "content_block_start":
        _piece(doc.get("content_block"), _BLOCKS, out, start, end)
    elif kind == "message_start":
        message = doc.get("message")
        if isinstance(message, dict):
            out.take_usage(message.get("usage"))
    elif kind == "message_delta":
        out.take_usage(doc.get("usage"))
        delta = doc.get("delta")
        if isinstance(delta, dict):
            out.set_finish_reason(delta.get("stop_reason"))
            _piece(delta.get("delta"), _DELTAS, out, start, end)  # mockllm puts each piece there
    elif kind == "message_stop":
        out.finished = True
    elif kind == "message" and isinstance(doc.get("content"), list):
        _message(doc, out, start, end)
    elif kind not in _SILENT:
        return False
    out.opened = out.is_chat = True
    return True


def _piece(piece: object, table: dict[str, tuple[str, str]], out: Collector, start: int, end: int) -> None:
    if not isinstance(piece, dict):
        return
    said = piece.get("type")
    key, kind = table.get(said if isinstance(said, str) else "", ("" if said else "text", CONTENT))
    text = thinking_text(piece.get(key))
    if text:
        out.emit(text, kind, start, end)


def _message(doc: JsonObject, out: Collector, start: int, end: int) -> None:
    for block in doc["content"]:
        _piece(block, _BLOCKS, out, start, end)
    out.set_finish_reason(doc.get("stop_reason"))
    out.take_usage(doc.get("usage"))
