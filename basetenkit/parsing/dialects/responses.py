"""OpenAI's Responses API, streamed or whole, as Baseten's Model APIs give it at /v1/responses.

Definition: OpenAI API reference, "Responses" and "Streaming events". Each event has its own `type`. Servers may leave out
deltas and send a part only when it, its item or the whole response is done: of those, only what no delta brought is new.
"""

from __future__ import annotations

from basetenkit.parsing.collector import CONTENT, REASONING, REFUSAL, TOOL_CALL, Collector
from basetenkit.parsing.failures import Report, report_in_body
from basetenkit.parsing.thinking import thinking_text

_LAST = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"}
)
# Under these keys an event that is done repeats its text; and an item of a tool call its input.
_DONE_KEYS = ("text", "refusal", "arguments", "input", "code", "transcript", "delta")
_INPUT_KEYS = ("arguments", "input", "code")
_NOWHERE = -1  # the index of an item whose events have none
_NO_TEXT = ("audio", "image")  # kinds of deltas that are data and no text


def read_responses(doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    """Takes in one event or one whole response; False if the document is neither."""
    kind = doc.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        _event(kind, doc, out, start, end)
    elif doc.get("object") == "response" and isinstance(doc.get("output"), list):
        _rest(doc["output"], out, start, end)
        _close(doc, out)
    else:
        return False
    out.opened = out.is_chat = True
    return True


def _event(kind: str, doc: dict[str, object], out: Collector, start: int, end: int) -> None:
    name, _, what = kind.removeprefix("response.").rpartition(".")
    if what == "delta":
        text = thinking_text(doc.get("delta"))
        if text and not _is_data(name):
            place = _place(name, doc)
            out.parts[place] = out.parts.get(place, "") + text
            out.emit(text, _kind_of(name), start, end)
    elif kind == "response.output_item.added":
        item = doc.get("item")
        if isinstance(item, dict) and isinstance(item.get("name"), str) and item["name"]:
            out.parts[("name", *_index(doc))] = item["name"]
            out.emit(item["name"], TOOL_CALL, start, end)
    elif kind == "response.output_item.done":
        _of_item(doc.get("item"), _index(doc), out, start, end)
    elif kind in _LAST:
        response = doc.get("response")
        response = response if isinstance(response, dict) else {}
        _rest(response.get("output"), out, start, end)
        _close(response, out)
        out.finished = True
    elif what == "done":
        _of_part(name, doc, out, start, end)


def _is_data(name: str) -> bool:
    return any(word in name for word in _NO_TEXT) and "transcript" not in name


def _kind_of(name: str) -> str:
    """The kind of an event's output, by its name: whatever is neither said, thought nor refused is a tool's input."""
    if "reasoning" in name:
        return REASONING
    if "refusal" in name:
        return REFUSAL
    return CONTENT if name in ("output_text", "text", "content_part") or "transcript" in name else TOOL_CALL


def _index(doc: dict[str, object]) -> tuple[object, ...]:
    index = doc.get("output_index")
    return (index if isinstance(index, int) else _NOWHERE,)


def _place(name: str, doc: dict[str, object]) -> tuple[object, ...]:
    is_summary = "summary" in name
    part = doc.get("summary_index") if is_summary else doc.get("content_index")
    return ("summary" if is_summary else _kind_of(name), *_index(doc), part if isinstance(part, int) else 0)


def _of_part(name: str, doc: dict[str, object], out: Collector, start: int, end: int) -> None:
    """An event that says that one part is done."""
    part = doc.get("part")
    if isinstance(part, dict):
        said = part.get("type")
        name = said if isinstance(said, str) else name
        name = "reasoning_summary" if name == "summary_text" else name
        doc = doc | part
    text = next((doc[key] for key in _DONE_KEYS if isinstance(doc.get(key), str)), "")
    if not _is_data(name):
        _emit(_new(_place(name, doc), text, out), _kind_of(name), out, start, end)


def _of_item(item: object, index: tuple[object, ...], out: Collector, start: int, end: int) -> None:
    """One output item as a whole, in the order of its parts."""
    if not isinstance(item, dict):
        return
    kind = item.get("type")
    if isinstance(kind, str) and kind.endswith("_call"):
        given = next((item[key] for key in _INPUT_KEYS if isinstance(item.get(key), str)), "")
        call = _new(("name", *index), item.get("name"), out) + _new((TOOL_CALL, *index, 0), given, out)
        _emit(call, TOOL_CALL, out, start, end)
    for key in ("summary", "content"):
        parts = item.get(key)
        for i, part in enumerate(parts if isinstance(parts, list) else []):
            if not isinstance(part, dict):
                continue
            said = REASONING if kind == "reasoning" else CONTENT
            place = (key if key == "summary" else said, *index, i)
            _emit(_new(place, part.get("text"), out), said, out, start, end)
            _emit(_new((REFUSAL, *index, i), part.get("refusal"), out), REFUSAL, out, start, end)


def _rest(items: object, out: Collector, start: int, end: int) -> None:
    for i, item in enumerate(items if isinstance(items, list) else []):
        _of_item(item, (i,), out, start, end)


def _emit(text: str, kind: str, out: Collector, start: int, end: int) -> None:
    if text:
        out.emit(text, kind, start, end)


def _new(place: tuple[object, ...], whole: object, out: Collector) -> str:
    """Of a part that is done, what nothing brought before: all of it, its end, or nothing."""
    had = out.parts.get(place, "")
    if not isinstance(whole, str) or not whole or (not had and _is_elsewhere(place, whole, out)):
        return ""
    out.parts[("known", *place)] = ""
    if not whole.startswith(had):
        return ""
    out.parts[place] = whole
    return whole[len(had) :]


def _is_elsewhere(place: tuple[object, ...], whole: str, out: Collector) -> bool:
    """True if deltas brought the text under another index: servers leave indices out, or count them otherwise when done."""
    for other, text in out.parts.items():
        if other[0] != place[0] or other == place or whole not in text:
            continue
        if other[1] == _NOWHERE:
            return True
        if ("known", *other) not in out.parts:
            out.parts[("known", *other)] = ""
            return True
    return False


def _close(response: dict[str, object], out: Collector) -> None:
    """Status, usage and error of a response that is over."""
    out.take_usage(response.get("usage"))
    status = response.get("status")
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    out.set_finish_reason(reason or status)
    if status == "failed" or response.get("error"):
        out.error = (
            report_in_body(response) if response.get("error") else Report("the response failed without a message")
        )
