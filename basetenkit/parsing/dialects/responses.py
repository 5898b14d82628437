"""OpenAI's Responses API, streamed or whole, as Baseten's Model APIs give it at /v1/responses.

Definition: OpenAI API reference, "Responses" and "Streaming events". Each event has its own `type`; the last one holds
the whole response once more, of which only status and usage are taken.
"""

from __future__ import annotations

from typing import Any

from basetenkit.parsing.collector import CONTENT, REASONING, REFUSAL, TOOL_CALL, Collector
from basetenkit.parsing.failures import Report, report_in_body

_DELTAS = {
    "response.output_text.delta": CONTENT,
    "response.reasoning_text.delta": REASONING,
    "response.reasoning_summary_text.delta": REASONING,
    "response.reasoning.delta": REASONING,
    "response.refusal.delta": REFUSAL,
    "response.function_call_arguments.delta": TOOL_CALL,
}
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})


def read(doc: dict[str, Any], out: Collector, start: int, end: int) -> bool:
    """Takes in one event or one whole response; False where the document is neither."""
    kind = doc.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        _event(kind, doc, out, start, end)
    elif doc.get("object") == "response" and isinstance(doc.get("output"), list):
        for item in doc["output"]:
            if isinstance(item, dict):
                _item(item, out, start, end)
        _close(doc, out)
    else:
        return False
    out.opened = out.is_chat = True
    return True


def _event(kind: str, doc: dict[str, Any], out: Collector, start: int, end: int) -> None:
    if kind in _DELTAS:
        text = doc.get("delta")
        if isinstance(text, str) and text:
            out.emit(text, _DELTAS[kind], start, end)
    elif kind == "response.output_item.added":
        item = doc.get("item")
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and name:
            out.emit(name, TOOL_CALL, start, end)
    elif kind in _LAST:
        response = doc.get("response")
        _close(response if isinstance(response, dict) else {}, out)
        out.finished = True


def _close(response: dict[str, Any], out: Collector) -> None:
    """Status, usage and error of a response that is over."""
    out.take_usage(response.get("usage"))
    status = response.get("status")
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    out.take_finish(reason or status)
    if status == "failed" or response.get("error"):
        out.error = (
            report_in_body(response) if response.get("error") else Report("the response failed without a message")
        )


def _item(item: dict[str, Any], out: Collector, start: int, end: int) -> None:
    kind = item.get("type")
    if kind == "function_call":
        said = (item.get("name"), item.get("arguments"))
        call = "".join(text for text in said if isinstance(text, str))
        if call:
            out.emit(call, TOOL_CALL, start, end)
    for key in ("summary", "content"):
        parts = item.get(key)
        for part in parts if isinstance(parts, list) else []:
            if not isinstance(part, dict):
                continue
            text, refusal = part.get("text"), part.get("refusal")
            if isinstance(text, str) and text:
                out.emit(text, REASONING if kind == "reasoning" else CONTENT, start, end)
            if isinstance(refusal, str) and refusal:
                out.emit(refusal, REFUSAL, start, end)
