"""SGLang's own /generate: `text` beside `meta_info`. Each event repeats the text so far, unless the server was told not to.

Definition: SGLang documentation, "Sampling parameters" (streaming example). Whether the texts repeat is seen from the
texts themselves, when all are there: `response.py` asks for it.
"""

from __future__ import annotations

from typing import Any

from basetenkit.parsing.collector import CONTENT, Collector


def read(doc: dict[str, Any], out: Collector, start: int, end: int) -> bool:
    """Takes in one event or one whole answer; False where there is no `meta_info`."""
    meta = doc.get("meta_info")
    if not isinstance(meta, dict) or "text" not in doc:
        return False
    text = doc["text"]
    if isinstance(text, str) and text:
        out.emit(text, CONTENT, start, end)
    out.opened = out.can_repeat = True
    out.take_finish(meta.get("finish_reason"))
    counts = ("prompt_tokens", "completion_tokens", "cached_tokens")
    out.take_usage({key: meta[key] for key in counts if key in meta})
    return True
