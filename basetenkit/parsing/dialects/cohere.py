"""Cohere's chat, version 2 (`type`) and version 1 (`event_type`), streamed or whole.

Definition: Cohere API reference, "Chat" and "Chat with streaming", both versions. The counts come with the last event, as
tokens and as billed units; the tokens are what the model read and wrote.
"""

from __future__ import annotations

from basetenkit.parsing.collector import CONTENT, REASONING, TOOL_CALL, Collector
from basetenkit.parsing.failures import report_of
from basetenkit.parsing.thinking import thinking_text

_SILENT = frozenset({"message-start", "content-end", "tool-call-end", "citation-start", "citation-end"})
_SILENT_1 = frozenset({"stream-start", "citation-generation", "search-queries-generation", "search-results"})


def read_cohere(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one event or one whole answer; False if the document is neither."""
    kind, old = doc.get("type"), doc.get("event_type")
    if isinstance(old, str):
        known = _event_1(old, doc, out, start, end)
    elif isinstance(kind, str):
        known = _event_2(kind, doc, out, start, end)
    else:
        known = _whole(doc, out, start, end)
    if known:
        out.opened = out.is_chat = True
    return known


def _event_2(kind: str, doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    delta = doc.get("delta")
    delta = delta if isinstance(delta, dict) else {}
    message = delta.get("message")
    message = message if isinstance(message, dict) else {}
    if kind in ("content-delta", "content-start"):
        _content(message.get("content"), out, start, end)
    elif kind == "tool-plan-delta":
        _emit(message.get("tool_plan"), REASONING, out, start, end)
    elif kind in ("tool-call-start", "tool-call-delta"):
        _calls(message.get("tool_calls"), out, start, end)
    elif kind == "message-end":
        out.set_finish_reason(delta.get("finish_reason"))
        _usage(delta.get("usage"), out)
        out.finished = True
        if delta.get("error"):
            out.take_failure(report_of({"error": delta["error"]}))
    elif kind not in _SILENT:
        return False
    return True


def _event_1(kind: str, doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    if kind == "text-generation":
        _emit(doc.get("text"), CONTENT, out, start, end)
    elif kind == "tool-calls-chunk":
        delta = doc.get("tool_call_delta")
        if isinstance(delta, dict):
            _calls(delta, out, start, end)
    elif kind == "tool-calls-generation":
        if not out.texts:
            _calls(doc.get("tool_calls"), out, start, end)
    elif kind == "stream-end":
        response = doc.get("response")
        response = response if isinstance(response, dict) else {}
        out.set_finish_reason(doc.get("finish_reason") or response.get("finish_reason"))
        meta = response.get("meta")
        _usage(meta if isinstance(meta, dict) else response.get("token_count"), out)
        out.finished = True
        if not out.texts:
            _emit(response.get("text"), CONTENT, out, start, end)
    elif kind not in _SILENT_1:
        return False
    return True


def _whole(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """A whole answer: version 2's message with a finish reason beside, or version 1's text with a generation_id."""
    message = doc.get("message")
    if isinstance(message, dict) and "finish_reason" in doc and isinstance(message.get("content"), list):
        _emit(message.get("tool_plan"), REASONING, out, start, end)
        _content(message["content"], out, start, end)
        _calls(message.get("tool_calls"), out, start, end)
        _usage(doc.get("usage"), out)
    elif "generation_id" in doc and isinstance(doc.get("text"), str):
        _emit(doc["text"], CONTENT, out, start, end)
        _calls(doc.get("tool_calls"), out, start, end)
        _usage(doc.get("meta"), out)
    else:
        return False
    out.set_finish_reason(doc.get("finish_reason"))
    return True


def _content(content: object, out: Collector, start: int, end: int) -> None:
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, dict):
            _emit(part.get("thinking"), REASONING, out, start, end)
            _emit(part.get("text"), CONTENT, out, start, end)


def _emit(said: object, kind: str, out: Collector, start: int, end: int) -> None:
    text = thinking_text(said)
    if text:
        out.emit(text, kind, start, end)


def _calls(calls: object, out: Collector, start: int, end: int) -> None:
    texts = []
    for call in calls if isinstance(calls, list) else [calls]:
        function = call.get("function", call) if isinstance(call, dict) else None
        if isinstance(function, dict):
            texts += [
                function[key] for key in ("name", "arguments", "parameters") if isinstance(function.get(key), str)
            ]
    if any(texts):
        out.emit("".join(texts), TOOL_CALL, start, end)


def _usage(said: object, out: Collector) -> None:
    """The tokens of a usage or meta, or the billed units if it has no tokens."""
    if not isinstance(said, dict):
        return
    counts = said.get("tokens") or said.get("billed_units") or said
    if isinstance(counts, dict):
        out.take_usage({key: counts[key] for key in ("input_tokens", "output_tokens") if key in counts})
