"""OpenAI's chat completions and completions, streamed or whole: vLLM, SGLang, llama.cpp, TensorRT-LLM, Baseten's own.

One reader serves both ways, since a streamed `delta` and a whole `message` have the same keys. Definition: OpenAI API
reference, "The chat completion object", "The chat completion chunk object", "The completion object".
"""

from __future__ import annotations

from basetenkit.parsing.collector import CONTENT, REASONING, REFUSAL, TOOL_CALL, Collector
from basetenkit.parsing.endings import failure_in
from basetenkit.parsing.failures import report_of
from basetenkit.parsing.thinking import details_in, reasoning_in


def read_openai(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one document with `choices`; False if it is none. Frames without new output make no event."""
    if "choices" not in doc:
        return False
    choices = doc["choices"]
    usage = doc.get("usage")
    if usage is not None:
        out.take_usage(usage)
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict):
                _choice(choice, out, start, end)
    return True


def _choice(choice: dict[str, object], out: Collector, start: int, end: int) -> None:
    index = choice.get("index") or 0
    if index.__class__ is not int:
        index = 0
    out.opened = True
    delta = choice.get("delta")
    if delta is None:
        delta = choice.get("message")
    if delta.__class__ is dict:
        out.is_chat = True
        content = delta.get("content")
        # The common frame has content and at most a role; only others are searched for rarer keys.
        if content.__class__ is str and content and not index and len(delta) <= 1:
            out.emit(content, CONTENT, start, end)
        else:
            _delta(delta, out, start, end, index)
    else:
        if thought := reasoning_in(choice):
            _said(thought, REASONING, out, start, end, index)
        text = delta if isinstance(delta, str) else choice.get("text")
        if isinstance(text, str) and text:
            _said(text, CONTENT, out, start, end, index)
    reason = choice.get("finish_reason")
    if reason is not None:
        if not index or out.finish_reason is None:
            out.set_finish_reason(reason)
        out.take_usage(choice.get("usage"))
    if "error" in choice or choice.get("native_finish_reason") is not None or (index and reason is not None):
        _failure(choice, out)


def _failure(choice: dict[str, object], out: Collector) -> None:
    """A failure in one choice: its error, or a reason that names one, also that of the server behind a gateway."""
    out.take_failure(report_of({"error": choice.get("error")}))
    out.take_failure(failure_in(choice.get("finish_reason")))
    out.take_failure(failure_in(choice.get("native_finish_reason")))


def _said(text: str, kind: str, out: Collector, start: int, end: int, index: int) -> None:
    if index:
        out.emit_other(index, text, kind, start, end)
    else:
        out.emit(text, kind, start, end)


def _delta(delta: dict[str, object], out: Collector, start: int, end: int, index: int) -> None:
    """A delta or message with any of its keys; reasoning comes before what it leads to."""
    thought = reasoning_in(delta)
    if not thought and (thought := details_in(delta)) and not index:
        out.details.append(len(out.texts))
    if thought:
        _said(thought, REASONING, out, start, end, index)
    content = delta.get("content")
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        content = _parts(content, out, start, end, index)
    if isinstance(content, str) and content:
        _said(content, CONTENT, out, start, end, index)
    refusal = delta.get("refusal")
    if isinstance(refusal, str) and refusal:
        _said(refusal, REFUSAL, out, start, end, index)
    calls = delta.get("tool_calls") or delta.get("function_call")
    if calls:
        text = _call_text(calls)
        if text:
            _said(text, TOOL_CALL, out, start, end, index)
    if "usage" in delta:
        out.take_usage(delta["usage"])
    if delta.get("error"):
        out.take_failure(report_of(delta))


def _parts(parts: list[object], out: Collector, start: int, end: int, index: int) -> str:
    """The text of a list of content parts, joined; refusals and thoughts among them become events of their own."""
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            text = part.get("text")
            thought = reasoning_in(part)
            if part.get("type") in ("thinking", "reasoning") and isinstance(text, str):
                thought, text = thought or text, None
            if isinstance(text, str):
                texts.append(text)
            if thought:
                _said(thought, REASONING, out, start, end, index)
            if isinstance(part.get("refusal"), str) and part["refusal"]:
                _said(part["refusal"], REFUSAL, out, start, end, index)
    return "".join(texts)


def _call_text(calls: object) -> str:
    """Names and arguments of tool calls in this frame; "" if it has neither."""
    texts = []
    for call in calls if isinstance(calls, list) else [calls]:
        if not isinstance(call, dict):
            continue
        function = call.get("function", call)
        if isinstance(function, dict):
            for key in ("name", "arguments"):
                value = function.get(key)
                if isinstance(value, str) and value:
                    texts.append(value)
    return "".join(texts)
