"""The head of an HTTP/1.1 response, corrected so that llhttp accepts it, as far as RFC 9112 allows.

llhttp is a parser for servers, which must refuse what an attacker might send. A client that measures must read what other
clients read: folded lines (section 5.2), a length given twice alike (6.3), Transfer-Encoding beside Content-Length (6.3: the
former wins), a coding that is not "chunked" at its end (6.3: the body ends with the connection) and lines that end in LF
alone (2.2). Ambiguous headers, such as two different lengths, are left unchanged and refused.
"""

from __future__ import annotations

import re

_END = re.compile(rb"\n\r?\n")
_BEGIN = b"HTTP/"
_ODD_LINE = re.compile(rb"(?<!\r)\n|\n[ \t]")
_FRAMING = re.compile(rb"\n(content-length|transfer-encoding)[ \t]*:([^\r\n]*)", re.IGNORECASE)
SHOWN = 40
_SPACE = b" \t"


def end_of_head(data: bytes | bytearray, start: int = 0) -> int:
    """The end of the first head in `data`, after its blank line; -1 if it is incomplete. Nothing ends before `start`."""
    at = 0
    while data[at : at + 1] in (b"\r", b"\n"):  # blank lines before a response are left out
        at += 1
    found = _END.search(data, max(at, start - 3))
    return found.end() if found else -1


def is_http(data: bytes | bytearray) -> bool:
    """Whether `data` may be the beginning of an HTTP response."""
    begin = bytes(data[: len(_BEGIN) + 64]).lstrip(b"\r\n")[: len(_BEGIN)]
    return _BEGIN.startswith(begin)


def shown(data: bytes | bytearray) -> str:
    """The beginning of what came, for a sentence."""
    return repr(bytes(data[:SHOWN]))


def mended(head: bytes) -> tuple[bytes, bool]:
    """(the head as llhttp takes it, whether its body comes in chunks). An ordinary head comes back as it is."""
    found = _FRAMING.findall(head)
    if not _ODD_LINE.search(head):
        if not found or (len(found) == 1 and found[0][0][:1] in b"cC" and b"," not in found[0][1]):
            return head, False
        if len(found) == 1 and found[0][1].strip(_SPACE) == b"chunked":
            return head, True
    lines = _unfolded(head)
    lengths = [i for i, line in enumerate(lines) if _name(line) == b"content-length"]
    codings = [i for i, line in enumerate(lines) if _name(line) == b"transfer-encoding"]
    dropped: set[int] = set()
    chunked = False
    if codings:
        names = b",".join(_value(lines[i]) for i in codings).split(b",")
        last = names[-1].partition(b";")[0].strip(_SPACE).lower()
        chunked = last == b"chunked"
        dropped.update(lengths)  # a coding wins over a length
        dropped.update(codings[1:] if chunked else codings)
        if chunked:
            lines[codings[0]] = b"Transfer-Encoding: chunked"
    elif lengths:
        values = {value.strip(_SPACE) for i in lengths for value in _value(lines[i]).split(b",")}
        if len(values) == 1:
            lines[lengths[0]] = b"Content-Length: " + values.pop()
            dropped.update(lengths[1:])
    return b"\r\n".join(line for i, line in enumerate(lines) if i not in dropped) + b"\r\n\r\n", chunked


def unfinished(head: bytes | bytearray) -> bytes:
    """What came of a head that is not whole, with the same forgiven; it stays without its end."""
    return b"\r\n".join(_unfolded(bytes(head)))


def headers_in(head: bytes) -> list[tuple[str, str]]:
    """The headers as they came, names in lower case; folded lines are joined by a space."""
    found = []
    for line in _unfolded(head)[1:]:
        name, _, value = line.partition(b":")
        found.append((name.decode("latin-1").lower(), value.strip(_SPACE).decode("latin-1")))
    return found


def _unfolded(head: bytes) -> list[bytes]:
    """The lines of a head without its blank line. A line that begins with a blank goes on the one before."""
    lines: list[bytes] = []
    for raw in head.lstrip(b"\r\n").split(b"\n"):
        line = raw.removesuffix(b"\r")
        if not line:
            continue
        if line[:1] in _SPACE and len(lines) > 1:
            lines[-1] = lines[-1].rstrip(_SPACE) + b" " + line.strip(_SPACE)
        else:
            lines.append(line)
    return lines


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def _value(line: bytes) -> bytes:
    return line.partition(b":")[2]
