"""Body bytes -> messages, each with its byte range.

The framing (SSE, NDJSON, one JSON document, plain text) is decided once, from the content type and the first bytes,
because content types can be wrong: Baseten's own model server sends Server-Sent Events as application/octet-stream. The
decision is never changed, so no byte is parsed in two ways.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from basetenkit.parsing.failures import is_html
from basetenkit.parsing.lenient import document_ends, is_cut_off
from basetenkit.parsing.sse import (
    BOM,
    ERROR_FIELD,
    FIELD_NAMES,
    STRAY,
    Message,
    by_lines,
    is_framed,
    sse_messages,
    unframed,
)

__all__ = [
    "BOM", "STRAY", "Framing", "Message", "framing", "is_framed", "ndjson_messages", "sse_messages", "text_events", "unframed",
]  # fmt: skip

_FIELD = re.compile(rb"(?:data|event|id|retry)(?::|[\r\n]|\Z)|:")
_BEGIN = rb"(?:\A(?:\xef\xbb\xbf)?|(?<=[\r\n]))"  # of a line, whatever ends the one before
_ANY_FIELD = re.compile(_BEGIN + rb"(?:(?:data|event|id|retry):|:|[ \t]*(?i:error)[ \t]*:)")
_SURE_DATA = re.compile(_BEGIN + rb"data:[ \t]*(?:data:[ \t]*)?(?:\{|\[DONE\])")
_FRAMED_MOST = 3  # so often the first message is unframed to see what it is
_BETWEEN = b" \t\r\n\0\x1e"  # characters allowed between two documents in a row
_BLANK_LINE = re.compile(rb"\n\n|\r\r|\r\n\r\n")
_NDJSON_TYPES = ("ndjson", "jsonl", "jsonlines", "json-seq", "stream+json")


class Framing(NamedTuple):
    """How a body is cut into messages, the reason, for people, and whether JSON that cannot be read may yet be text."""

    kind: str  # "sse" | "ndjson" | "json" | "text" | "html"
    why: str
    is_declared: bool = True


def framing(body: bytes, content_type: str | None) -> Framing:
    """Decides the framing of a decoded body."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    said = f"content type {kind}" if kind else "no content type"
    head = body[:4096].removeprefix(BOM).lstrip()
    first = head[:1]
    if kind == "text/event-stream" and not (first in (b"{", b"[", b"<") and not _ANY_FIELD.search(body)):
        if _ANY_FIELD.search(body) or _FIELD.match(head) or any(name.startswith(head) for name in FIELD_NAMES):
            return Framing("sse", said)
        return Framing("text", f"{said}, but no line of the body is one of Server-Sent Events")
    if kind == "text/html" or (kind != "application/octet-stream" and is_html(head)):
        return Framing("html", f"{said} and the first bytes are a web page's" if is_html(head) else said)
    if _is_sse(body):
        return Framing("sse", f"{said}, but the first bytes are a Server-Sent Event")
    if _has_report(body, head):
        return Framing("sse", f"{said}, but it holds an error report among lines of Server-Sent Events")
    if any(name in kind for name in _NDJSON_TYPES):
        return Framing("ndjson", said)
    declared = kind == "application/json" or kind.endswith("+json") or kind == "text/event-stream"
    return _json_or_text(body, head, kind, said, declared)


def _has_report(body: bytes, head: bytes) -> bool:
    """True if the body begins with an error that is not an event: in its own field, or bare before events."""
    if ERROR_FIELD.match(head):
        return _is_report(body) or _SURE_DATA.search(body) is not None
    if head[:1] != b"{" or not _SURE_DATA.search(body):
        return False
    start, end, closed = next(document_ends(body), (0, 0, False))
    return closed and _is_json(body[start:end]) and _SURE_DATA.match(body[end:].lstrip()) is not None


def _is_report(block: bytes) -> bool:
    """True if `block` begins with an error field whose value is a JSON object, or with the JSON of an error."""
    name, data, _, _, whole = next(by_lines(block.removeprefix(BOM).lstrip(), 0, True), (None, b"", 0, 0, True))
    if name == "error":
        return data[:1] == b"{" and (_is_json(data) or (not whole and is_cut_off(data)))
    return name is STRAY and b'"error"' in data[:4096] and _is_object(data)


def _json_or_text(body: bytes, head: bytes, kind: str, said: str, declared: bool) -> Framing:
    if head[:1] in (b"{", b"["):
        if _is_divided(body):
            return Framing("ndjson", f"{said}, and NUL bytes divide JSON documents")
        if _is_ndjson(body):
            return Framing("ndjson", f"{said}, and each of the first lines is a JSON document")
        if declared or not kind or _is_document(body):
            # A body without a type that is JSON is read as JSON.
            sure = declared or (not kind and (_is_json(body.strip()) or is_cut_off(body)))
            return Framing("json", f"{said}, and the body begins like JSON", sure)
    elif declared or (not kind and _is_json(body.strip(), numbers=True)):
        return Framing("json", said if declared else f"{said}, and the body is JSON")
    return Framing("text", f"{said}, and the body is neither JSON nor begins with an event")


def _is_sse(body: bytes) -> bool:
    """True if the body begins with an event whose data is JSON or [DONE], or with a named event."""
    at, begun = 0, False
    for _ in range(64):  # comments and empty blocks before the first event with data
        at = _skip_blank(body, at)
        if at < len(body) and begun and not _FIELD.match(body, at):
            return _is_report(body[at:])
        if at >= len(body) or not _FIELD.match(body, at):
            return False
        message, at = _block(body, at)
        begun = True
        if message is None:
            if at >= len(body):
                return at > 1 and body.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))  # nothing but comments so far
            continue
        name, data, _, _, whole = message
        data = data.strip()
        for _ in range(_FRAMED_MOST):
            inner = next(unframed(data), None)
            data = data if inner is None else inner[1].strip()
        return bool(name) or data == b"[DONE]" or _is_json(data) or (not whole and data[:1] in (b"{", b"["))
    return True


def _skip_blank(body: bytes, at: int) -> int:
    if at == 0 and body.startswith(BOM):
        at = len(BOM)
    while at < len(body) and body[at] in b" \t\r\n":
        at += 1
    return at


def _block(body: bytes, at: int) -> tuple[Message | None, int]:
    """The message of the block of lines at `at` (None if it has no data), and where the next one begins."""
    found = _BLANK_LINE.search(body, at)
    end = found.end() if found else len(body)
    message = next(by_lines(body[at:end], 0), None)
    return message, end


def _is_json(data: bytes, numbers: bool = False) -> bool:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return numbers or isinstance(value, (dict, list, str)) or value is None


def _is_ndjson(body: bytes) -> bool:
    """True if the first line is a JSON object by itself, and the second too unless the body ends in it."""
    lines = body[: 8 * 1024 * 1024].removeprefix(BOM).lstrip().split(b"\n", 2)
    if len(lines) < 2 or not lines[1].strip() or not _is_object(lines[0]):
        return False
    return _is_object(lines[1]) or (len(lines) == 2 and lines[1].lstrip()[:1] == b"{")


def _is_divided(body: bytes) -> bool:
    """True if a NUL byte follows the first document, as vLLM's first server divides what it streams."""
    if b"\0" not in body:
        return False
    first = next(document_ends(body), None)
    return first is not None and first[2] and body[first[1] :].lstrip()[:1] == b"\0"


def _is_object(line: bytes) -> bool:
    line = line.strip()
    return line[:1] == b"{" and _is_json(line)


def _is_document(body: bytes) -> bool:
    """True if a body that says it is text is one JSON object, or objects in a row with nothing between them."""
    body = body.removeprefix(BOM).strip()
    if body[:1] == b"{":
        ends = document_ends(body)
        at = 0
        for start, end, closed in ends:
            if body[at:start].strip() or not closed:
                return False
            at = end
        return at == len(body)
    return body[:2] == b"[{" and _is_json(body)


def ndjson_messages(body: bytes) -> Iterator[Message]:
    """The lines of an NDJSON body; if a line is not a document, the documents by their brackets."""
    at = len(BOM) if body.startswith(BOM) else 0
    if not _lines_are_documents(body, at):
        yield from _by_brackets(body, at)
        return
    while at < len(body):
        newline = body.find(b"\n", at)
        end = newline + 1 if newline >= 0 else len(body)
        line = body[at:end].strip(b" \t\r\n\x1e")  # RFC 7464 puts a record separator before each document
        if line:
            yield None, line, at, end, newline >= 0
        at = end


def _lines_are_documents(body: bytes, at: int) -> bool:
    """True unless the first line holds only a part of a document, or several."""
    while at < len(body):
        newline = body.find(b"\n", at)
        line = body[at : newline if newline >= 0 else len(body)].strip(b" \t\r\x1e")
        if line:
            spans = document_ends(line)
            first, second = next(spans, None), next(spans, None)
            return first is None or (first[2] and second is None) or (newline < 0 and second is None)
        if newline < 0:
            return True
        at = newline + 1
    return True


def _by_brackets(body: bytes, at: int) -> Iterator[Message]:
    """The documents in a row; text between two of them that is not a document is an unreadable message."""
    for start, end, closed in document_ends(body, at):
        if body[at:start].strip(_BETWEEN):
            yield None, body[at:start], at, start, True
        yield None, body[start:end], start, end, closed
        at = end
    if body[at:].strip(_BETWEEN):
        yield None, body[at:], at, len(body), True


def text_events(body: bytes, read_ends: Sequence[int], cut: bool) -> Iterator[tuple[str, int, int]]:
    """(text, start, end) for each read of a plain-text stream: the characters that the read completed.

    A read that completes none belongs to the next. At the end of the body half a character is dropped where the body is
    known to be cut off, and replaced where it is not.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    start = at = len(BOM) if body.startswith(BOM) else 0
    held: tuple[str, int, int] | None = None
    for end in read_ends or (len(body),):
        if end <= at:
            continue
        text = decoder.decode(body[at:end])
        at = end
        if text:
            if held is not None:
                yield held
            held = (text, start, end)
            start = end - len(decoder.getstate()[0])
    rest = "" if cut else decoder.decode(b"", True)
    if held is not None and rest:
        held = (held[0] + rest, held[1], len(body))
    if held is not None:
        yield held
    elif rest:
        yield rest, start, len(body)
