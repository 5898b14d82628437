"""Ollama's /api/generate and /api/chat: NDJSON, one line per token, the last line with `done: true` and the counts.

Definition: Ollama's API documentation, "Generate a completion" and "Generate a chat completion".
"""

from __future__ import annotations

from basetenkit.parsing.collector import CONTENT, REASONING, TOOL_CALL, Collector
from basetenkit.parsing.endings import reason_in
from basetenkit.parsing.thinking import thinking_text


def read_ollama(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one line; False if it has no `done` beside `response` or `message`."""
    done, message = doc.get("done"), doc.get("message")
    if not isinstance(done, bool) or not ("response" in doc or isinstance(message, dict)):
        return False
    out.opened = True
    if isinstance(message, dict):
        out.is_chat = True
    else:
        message = {"content": doc.get("response"), "thinking": doc.get("thinking")}
    for key, kind in (("thinking", REASONING), ("content", CONTENT)):
        text = thinking_text(message.get(key))
        if text:
            out.emit(text, kind, start, end)
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        functions = [
            call["function"] for call in calls if isinstance(call, dict) and isinstance(call.get("function"), dict)
        ]
        names = "".join(f["name"] for f in functions if isinstance(f.get("name"), str))
        if names:
            out.emit(names, TOOL_CALL, start, end)
    if done:
        out.finished = True
        out.set_finish_reason(reason_in(doc.get("done_reason")) or "stop")
        out.take_usage({key: doc[key] for key in ("prompt_eval_count", "eval_count") if key in doc})
    return True
