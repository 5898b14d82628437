"""Triton Inference Server's /generate and /generate_stream: `text_output`, a piece per event.

Definition: Triton's generate extension. The protocol has no end mark: `sequence_end` is false in every event of most models,
and the stream just ends. A stream that ends without it looks the same as one that broke off.
"""

from __future__ import annotations

from basetenkit.parsing.collector import CONTENT, Collector
from basetenkit.parsing.thinking import thinking_text


def read_triton(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one event or one whole answer; False if the document has no `text_output`."""
    if "text_output" not in doc:
        return False
    out.opened = out.can_repeat = out.is_endless = True
    text = thinking_text(doc["text_output"])
    if text:
        out.emit(text, CONTENT, start, end)
    if doc.get("sequence_end") is True:
        out.finished = True
    out.set_finish_reason(doc.get("finish_reason"))
    out.take_usage(doc.get("usage"))
    return True
