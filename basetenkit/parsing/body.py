"""A decoded body -> what is in the Collector: by its framing, as a stream, a document or plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from basetenkit.core.types import first_header
from basetenkit.parsing.collector import CONTENT, Collector
from basetenkit.parsing.document import read_document
from basetenkit.parsing.failures import snippet
from basetenkit.parsing.lenient import MAX_DOCUMENT, bad_bytes, document_ends, has_duplicate_keys, is_cut_off, load_json
from basetenkit.parsing.stream import close_stream, read_messages
from basetenkit.parsing.wire import BOM, Message, framing, ndjson_messages, sse_messages, text_events

_BETWEEN = b" \t\r\n\0\x1e"
_SPACE = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True, slots=True)
class ParseContext:
    """The parts of the request that parsing depends on. `is_cut`: the transport says that bytes are missing."""

    stream: bool = True
    is_cut: bool = False
    response_path: str | None = None
    inputs: int | None = None


def read_body(
    out: Collector, read_ends: Sequence[int], headers: Sequence[tuple[str, str]], asked: ParseContext
) -> None:
    """Reads a 2xx response's decoded body into `out`."""
    how = framing(out.body, first_header(headers, "content-type"))
    out.add_trace(f"framing: {how.kind}, for {how.why}")
    out.wire_format = "text" if how.kind == "html" else how.kind
    out.streamed = asked.stream and how.kind in ("sse", "ndjson", "text") and bool(out.body)
    if out.body.startswith(BOM):
        out.warn("bom")
    if how.kind == "html":
        out.broken = f"a web page came instead of a model's answer: {snippet(out.body)}"
    elif how.kind == "sse":
        _read_stream(sse_messages(out.body, strays=True), out, asked, how.kind)
    elif how.kind == "ndjson":
        _read_stream(ndjson_messages(out.body), out, asked, how.kind)
    elif how.kind == "text":
        _read_text(out, read_ends, headers, asked)
    else:
        before = list(out.notes)
        _read_json(out, asked)
        if out.broken and not asked.response_path and not how.is_declared and not out.dialect:
            out.notes = before
            _read_as_text(out, read_ends, headers, asked)
    if out.embeddings is not None or out.dialect == "embeddings":
        out.wire_format = "embedding"
    elif asked.stream and not out.streamed and out.texts and not asked.is_cut:
        out.warn("not_streamed")


def _read_stream(messages: Iterable[Message], out: Collector, asked: ParseContext, kind: str) -> None:
    read_messages(messages, out, asked.response_path, kind)
    close_stream(out, kind)


def _read_as_text(
    out: Collector, read_ends: Sequence[int], headers: Sequence[tuple[str, str]], asked: ParseContext
) -> None:
    """A body that is declared as text, looks like JSON and has no known key: a model that was asked to write JSON."""
    out.add_trace("no known key is in it, and no JSON was declared: read as the text it is")
    out.broken, out.wire_format, out.streamed = None, "text", asked.stream
    _read_text(out, read_ends, headers, asked)


def _read_text(
    out: Collector, read_ends: Sequence[int], headers: Sequence[tuple[str, str]], asked: ParseContext
) -> None:
    # A length told ahead means that all was there before the first byte was sent.
    out.streamed = out.streamed and first_header(headers, "content-length") is None
    if len(out.body) > MAX_DOCUMENT:
        out.broken = f"the text is longer than {MAX_DOCUMENT} bytes"
        return
    for text, start, end in text_events(out.body, read_ends if out.streamed else (), asked.is_cut):
        out.emit(text, CONTENT, start, end)
    bad = bad_bytes(out.body)
    if bad and not asked.is_cut:
        out.warn("decode_errors", n=bad)
    if out.streamed and out.texts and not asked.is_cut:
        out.warn("completion_unverified")


def _read_json(out: Collector, asked: ParseContext) -> None:
    data = out.body.removeprefix(BOM).strip()
    if not data:
        return
    if len(data) > MAX_DOCUMENT:
        out.broken = f"the document is longer than {MAX_DOCUMENT} bytes"
        return
    try:
        doc, why = load_json(data)
    except ValueError as error:
        _read_odd_json(out, data, error, asked)
        return
    if why:
        out.warn("lenient_json", why=", ".join(why))
    bad = bad_bytes(data) if why else 0
    if bad:
        out.warn("decode_errors", n=bad)
    read_document(doc, out, asked.response_path, asked.inputs)
    if out.embeddings is None and has_duplicate_keys(data):
        out.warn("duplicate_keys")


def _read_odd_json(out: Collector, data: bytes, error: ValueError, asked: ParseContext) -> None:
    """No single document: several in a row, one with text behind it, one cut off, or no JSON at all."""
    spans: Iterator[tuple[int, int, bool]] = islice(document_ends(out.body), 2)
    first, second = next(spans, None), next(spans, None)
    begins = first is not None and not out.body[: first[0]].strip(_SPACE)
    between = out.body[first[1] : second[0]] if first is not None and second is not None else b""
    if first is not None and second is not None and begins and between.strip(_BETWEEN):
        rest = snippet(out.body[first[1] :])[:80]
        out.broken = f"the body is not JSON: after the document that ends at byte {first[1]} comes {rest}"
    elif first is not None and second is not None and begins:
        out.wire_format, out.streamed = "ndjson", asked.stream
        out.add_trace("several documents in a row: read as NDJSON")
        _read_stream(ndjson_messages(out.body), out, asked, "ndjson")
    elif first is not None and first[2] and begins:
        _read_first(out, first, error, asked)
    elif is_cut_off(data):
        out.cut = f"the JSON document is cut off after {len(out.body)} bytes"
    else:
        out.broken = f"the body is not JSON, though its content type says so: {snippet(data)[:200]}"


def _read_first(out: Collector, span: tuple[int, int, bool], error: ValueError, asked: ParseContext) -> None:
    start, end, _ = span
    try:
        doc, _ = load_json(out.body[start:end])
    except ValueError:
        out.broken = f"the body is not JSON, though it begins like it: {error}"
        return
    if out.body[end:].strip(_SPACE):
        out.warn("trailing_text")
    read_document(doc, out, asked.response_path, asked.inputs)
