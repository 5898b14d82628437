"""SGLang's own /generate: `text` beside `meta_info`. Each event repeats the text so far, unless the server was told not to.

Definition: SGLang documentation, "Sampling parameters" (streaming example). Whether the texts repeat is seen from the
texts themselves, when all are there: `settle` asks for it. Two events are enough, because repeating is the default here.
"""

from __future__ import annotations

from basetenkit.parsing.collector import CONTENT, Collector


def read_sglang(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one event or one whole answer; False if there is no `meta_info`."""
    meta = doc.get("meta_info")
    if not isinstance(meta, dict) or not ("text" in doc or "finish_reason" in meta):
        return False
    text = doc.get("text")
    if isinstance(text, str) and text:
        out.emit(text, CONTENT, start, end)
    out.opened = out.can_repeat = out.repeats = True
    out.set_finish_reason(meta.get("finish_reason"))
    counts = ("prompt_tokens", "completion_tokens", "cached_tokens")
    details = {"reasoning_tokens": meta["reasoning_tokens"]} if "reasoning_tokens" in meta else {}
    out.take_usage(details | {key: meta[key] for key in counts if key in meta})
    return True
