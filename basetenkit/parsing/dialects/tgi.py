"""Text Generation Inference's own /generate_stream: one token per event; the last event also has the whole text.

Definition: TGI's OpenAPI document, "StreamResponse". Special tokens (end of sequence) are not part of the text.
"""

from __future__ import annotations

from basetenkit.parsing.collector import CONTENT, Collector


def read_tgi(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one token's event, or a whole answer with details; False if the document is neither."""
    token, whole, details = doc.get("token"), doc.get("generated_text"), doc.get("details")
    if isinstance(token, dict):
        text = token.get("text")
        if token.get("special"):
            out.specials += 1
        elif isinstance(text, str) and text:
            out.emit(text, CONTENT, start, end)
        if isinstance(whole, str):
            out.finished = True
            if out.specials > 1:  # one is the end mark, of which the finish reason speaks
                out.warn("special_tokens", n=out.specials)
    elif isinstance(whole, str) and isinstance(details, dict):
        if whole:
            out.emit(whole, CONTENT, start, end)
        out.finished = True
    else:
        return False
    out.opened = True
    if isinstance(details, dict):
        out.set_finish_reason(details.get("finish_reason"))
        prefill = details.get("prefill")
        usage = {"completion_tokens": details.get("generated_tokens")}
        if isinstance(prefill, list) and prefill:
            usage["prompt_tokens"] = len(prefill)
        out.take_usage(usage)
    return True
