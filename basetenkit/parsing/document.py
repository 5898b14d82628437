"""One whole document -> output: a response that was not streamed, in any wrapping.

Order: an error that it reports; the user's `response_path`; embeddings; the dialects; a custom model's own keys. If none fits,
nothing is guessed: the outcome is `malformed`, and the message names the document's keys and what to do.
"""

from __future__ import annotations

from basetenkit.parsing import dialects, path
from basetenkit.parsing.collector import CONTENT, Collector
from basetenkit.parsing.dialects import embeddings, openai
from basetenkit.parsing.dialects.baseten import find_text
from basetenkit.parsing.failures import Report, report_of
from basetenkit.parsing.lenient import load_json
from basetenkit.parsing.stream import close_stream, read_messages
from basetenkit.parsing.wire import framing, ndjson_messages, sse_messages

# Keys that describe a response and are not output: a document with no other keys is empty.
_ABOUT = frozenset({"id", "object", "created", "created_at", "model", "status", "usage", "time", "request_id", "error"})
_WRAPPERS = ("data", "output", "result", "response", "model_output")
_LEVELS = 2
_LOOKED_AT = 1000  # objects of an array that are looked at for an error


def read_document(doc: object, out: Collector, response_path: str | None, inputs: int | None) -> None:
    """Puts the document's output into `out`. Byte ranges are the whole body's: a document comes whole or not at all."""
    end = len(out.body)
    report = report_of(doc) or _listed(doc)
    if report is not None:
        out.error = report
        out.add_trace("the document reports an error", 0, end)
        _partial(doc, out, end)
    elif response_path:
        _at_path(doc, response_path, out, end)
    elif embeddings.read_embeddings(doc, out, inputs):
        out.dialect = "embeddings"
        out.add_trace("dialect: embeddings", 0, end)
    elif inputs is not None and doc is not None:
        out.broken = f"no embeddings are in the document{_keys(doc)}"
    elif isinstance(doc, str):
        _in_string(doc, out)
    else:
        _in_shape(doc, out, end)


def _listed(doc: object) -> Report | None:
    """The error that an array of objects reports in one of them, as Google's streams do."""
    items = doc[:_LOOKED_AT] if isinstance(doc, list) else []
    return next((report for item in items if (report := report_of(item)) is not None), None)


def _partial(doc: object, out: Collector, end: int) -> None:
    """A text beside an error is kept, as a stream's is."""
    found = find_text(doc.get("output") or doc.get("text") or "") if isinstance(doc, dict) else None
    if found is not None and found.text:
        out.emit(found.text, CONTENT, 0, end)


def _at_path(doc: object, response_path: str, out: Collector, end: int) -> None:
    if not path.read_path(doc, response_path, out, 0, end):
        found, _ = path.follow(doc, response_path)
        what = "leads to no text" if found else "leads nowhere"
        out.broken = f'response_path "{response_path}" {what} in the document{_keys(doc)}'


def _in_shape(doc: object, out: Collector, end: int) -> None:
    if doc is None:
        out.add_trace("the document is null", 0, end)
        return
    if isinstance(doc, list) and doc and all(isinstance(item, dict) and "candidates" in item for item in doc):
        for item in doc:  # a stream of Google's, as one array
            dialects.find(item, out, 0, end)
        return
    if isinstance(doc, list) and len(doc) > 1:
        out.warn("array", n=len(doc))
    if isinstance(doc, list) and doc and isinstance(doc[0], dict):
        doc = doc[0]
    if isinstance(doc, dict):
        _in_object(doc, out, end)
        return
    found = find_text(doc)
    if found is None:
        out.broken = "the array holds neither texts nor objects; name the text's place with response_path="
    elif found.text:
        out.notes.extend(n for n in found.notes if n not in out.notes)
        out.emit(found.text, CONTENT, 0, end)


def _in_object(doc: dict[str, object], out: Collector, end: int) -> None:
    for key in _WRAPPERS:
        inner = doc.get(key)
        if isinstance(inner, dict) and "choices" in inner and openai.read_openai(inner, out, 0, end):
            out.dialect = "OpenAI"
            out.warn("field", path=key)
            return
    if dialects.find(doc, out, 0, end) is None and not doc.keys() <= _ABOUT:
        out.broken = f"no text is under any known key of the document{_keys(doc)}"


def _keys(doc: object) -> str:
    if not isinstance(doc, dict):
        return f", which is {_kind(doc)}"
    names = ", ".join(str(key) for key in list(doc)[:12])
    example = path.likeliest(doc)
    advice = f'; name the text\'s place, e.g. response_path="{example}"' if example else ""
    return f", whose keys are: {names}{advice}"


def _kind(doc: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(doc), "null")


def _in_string(text: str, out: Collector) -> None:
    """A JSON string: plain text, a gathered stream, or a document encoded twice.

    What only looks like JSON stays text: it is unwrapped when a known shape is in it, and not otherwise.
    """
    end = len(out.body)
    inner = text.encode("utf-8", "replace")
    kind = framing(inner, "application/octet-stream").kind
    if kind in ("sse", "ndjson"):
        out.warn("gathered", what="Server-Sent Events" if kind == "sse" else "NDJSON")
        out.add_trace(f"a JSON string that holds a whole {kind} stream", 0, end)
        _gathered(inner, kind, out)
        return
    doc, levels = _unwrapped(text)
    if isinstance(doc, dict) or (isinstance(doc, list) and doc and isinstance(doc[0], dict)):
        trial = Collector(out.body)
        read_document(doc, trial, None, None)
        if trial.error is not None or trial.texts or (not trial.broken and trial.opened):
            out.add_trace(f"a document encoded {levels + 1} times", 0, end)
            _adopt(trial, out)
            out.warn("unwrapped", levels=levels)
            return
    if text:
        out.emit(text, CONTENT, 0, end)


def _unwrapped(text: str) -> tuple[object, int]:
    for level in range(1, _LEVELS + 1):
        if text.lstrip()[:1] not in ("{", "[", '"'):
            return None, 0
        try:
            value, _ = load_json(text.encode("utf-8", "replace"))
        except ValueError:
            return None, 0
        if not isinstance(value, str):
            return value, level
        text = value
    return None, 0


def _gathered(inner: bytes, kind: str, out: Collector) -> None:
    trial = Collector(inner)
    read_messages(sse_messages(inner, strays=True) if kind == "sse" else ndjson_messages(inner), trial, None, kind)
    close_stream(trial, kind)
    trial.trace = [f"in the string: {line}" for line in trial.trace]  # their offsets are those of its text
    trial.starts, trial.ends = [0] * len(trial.texts), [len(out.body)] * len(trial.texts)
    _adopt(trial, out)


def _adopt(trial: Collector, out: Collector) -> None:
    """Takes over all that was found in an inner document; its offsets are the outer body's."""
    notes, trace = [*out.notes, *trial.notes], [*out.trace, *trial.trace]
    for name in Collector.__slots__:
        if name not in ("body", "streamed", "wire_format"):
            setattr(out, name, getattr(trial, name))
    out.notes, out.trace = notes, trace
