"""Google's generateContent and streamGenerateContent: `candidates` with parts, the counts in `usageMetadata`.

Definition: Gemini API reference, "GenerateContentResponse". A part with `thought` true holds reasoning. The counts of each
event are those so far.
"""

from __future__ import annotations

import orjson

from basetenkit.parsing.collector import CONTENT, REASONING, TOOL_CALL, Collector


def read_gemini(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one event or one whole answer; False if the document has neither candidates nor a blocked prompt."""
    candidates, usage, blocked = doc.get("candidates"), doc.get("usageMetadata"), doc.get("promptFeedback")
    if not isinstance(candidates, list) and not isinstance(usage, dict) and not isinstance(blocked, dict):
        return False
    out.opened = out.is_chat = True
    for candidate in candidates if isinstance(candidates, list) else []:
        if isinstance(candidate, dict):
            _candidate(candidate, out, start, end)
    if isinstance(blocked, dict) and blocked.get("blockReason"):
        out.set_finish_reason("content_filter")
    out.take_usage(usage)
    return True


def _candidate(candidate: dict[str, object], out: Collector, start: int, end: int) -> None:
    content, index = candidate.get("content"), candidate.get("index") or 0
    parts = content.get("parts") if isinstance(content, dict) else None
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict):
            continue
        text, kind = part.get("text"), REASONING if part.get("thought") is True else CONTENT
        call = part.get("functionCall")
        if isinstance(call, dict):
            text, kind = orjson.dumps(call, default=str).decode(), TOOL_CALL
        if isinstance(text, str) and text:
            if isinstance(index, int) and index > 0:
                out.emit_other(index, text, kind, start, end)
            else:
                out.emit(text, kind, start, end)
    out.set_finish_reason(candidate.get("finishReason"))
