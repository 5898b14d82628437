"""Server-Sent Events: body bytes -> messages, each with its byte range.

The rules are those of the WHATWG HTML standard, section 9.2.6 (event stream interpretation), with two differences. An event that
the end of the body cuts off is given too, marked as not whole, because many servers leave out its blank line. And lines that the
standard drops are given if they are asked for, because servers report failures in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

BOM = b"\xef\xbb\xbf"
# (event name, data, start, end, whole): a message; `end` is after the byte that completes it; `whole` is False if the
# end of the body cut it off. A plain tuple, for one is made for every token.
Message = tuple[str | None, bytes, int, int, bool]

# The name of a message made of lines of an event stream that are no field and no comment. No server can send it.
STRAY = "\0stray"

# One split of a body of many megabytes would hold the interpreter, and with it the engine's loop, for all its length.
_SLICE = 1 << 20

FIELD_NAMES = (b"data", b"event", b"id", b"retry")
# Servers report a failure under their own field, spelled with or without blanks.
ERROR_FIELD = re.compile(rb"[ \t]*error[ \t]*:[ \t]*", re.IGNORECASE)
_FRAMED_AGAIN = re.compile(rb"\s*(?:data|event|id|retry|error)[ \t]*:")
_LINE_END = re.compile(rb"\r\n|\r|\n")


def sse_messages(body: bytes, strays: bool = False) -> Iterator[Message]:
    """The events of a Server-Sent Events body that have data, in order. Nothing raises; comments are left out.

    `strays`: lines that are no field and no comment are given, too, a message for those of each block, named STRAY; and those
    under a field "error", named "error". The standard drops both.
    """
    if b"\r" in body:
        yield from by_lines(body, len(BOM) if body.startswith(BOM) else 0, strays)
        return
    at, rest = len(BOM) if body.startswith(BOM) else 0, b""
    for begin in range(at, len(body), _SLICE):
        parts = (rest + body[begin : begin + _SLICE]).split(b"\n\n")
        rest = parts.pop()
        for part in parts:
            end = at + len(part) + 2
            # The common event by far, one data line, is cut here without looking at lines.
            if part.startswith(b"data: ") and part.find(b"\n", 6) < 0:
                yield None, part[6:], at, end, True
            else:
                for name, data, start, _, _ in by_lines(part + b"\n\n", 0, strays):
                    yield name, data, at + start, end, True
            at = end
    if rest:
        for name, data, start, _, _ in by_lines(rest, 0, strays):
            yield name, data, at + start, len(body), False


def is_framed(data: bytes) -> bool:
    """True if a message's data begins with its own field."""
    return _FRAMED_AGAIN.match(data) is not None


def unframed(data: bytes) -> Iterator[Message]:
    """The messages in the data of a message that was framed twice; none if its value begins with no field."""
    if is_framed(data):
        for message in by_lines(data.strip() + b"\n\n", 0, True):
            if message[0] is not STRAY:
                yield message


def by_lines(body: bytes, at: int, strays: bool = False) -> Iterator[Message]:
    """The same for any line ends, line by line."""
    data: list[bytes] = []
    stray: list[bytes] = []
    name: str | None = None
    begin = at
    for match in _LINE_END.finditer(body, at):
        line = body[at : match.start()]
        at = match.end()
        if line:
            name = _field(line, data, name, stray)
            continue
        if stray and strays:
            yield _stray(stray, begin, at, True)
        if data:
            yield name, b"\n".join(data), begin, at, True
        data, stray, name, begin = [], [], None, at
    if at < len(body):
        last = body[at:]
        # The end of the body may have cut off the name of a field.
        if last in FIELD_NAMES or not any(known.startswith(last) for known in FIELD_NAMES):
            name = _field(last, data, name, stray)
    if stray and strays:
        yield _stray(stray, begin, len(body), False)
    if data:
        yield name, b"\n".join(data), begin, len(body), False


def _field(line: bytes, data: list[bytes], name: str | None, stray: list[bytes]) -> str | None:
    """Takes in one line; gives the event's name so far."""
    key, colon, value = line.partition(b":")
    if colon and value[:1] == b" ":
        value = value[1:]
    if key == b"data":
        data.append(value)
    elif key == b"event":
        return value.decode("utf-8", "replace")
    elif key and key not in FIELD_NAMES:
        stray.append(line)
    return name


def _stray(lines: list[bytes], start: int, end: int, whole: bool) -> Message:
    """The message of a block's lines that are no field: an error from the first line under that field on, else STRAY."""
    for i, line in enumerate(lines):
        field = ERROR_FIELD.match(line)
        if field:
            rest = [ERROR_FIELD.sub(b"", more, count=1) for more in lines[i + 1 :]]
            return "error", b"\n".join([line[field.end() :], *rest]), start, end, whole
    return STRAY, b"\n".join(lines), start, end, whole
