"""The embedded endpoint's HTTP: bytes -> a request, a reply -> bytes. Pure, so that what it accepts can be tested by the byte.

Only what clients of language models send: requests with a content length. Anything else is a `BadRequest` that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from .reply import Reply

_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    404: b"Not Found",
    405: b"Method Not Allowed",
    411: b"Length Required",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


class BadRequest(Exception):
    """Bytes that are no request which the endpoint reads; the connection must be closed after `status` is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Asked:
    """One whole request. `size`: its bytes, head and body; `headers` under lower-case names; `last`: the
    connection is closed after its reply, because the client asks for it or speaks HTTP/1.0."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    size: int
    version: str = "HTTP/1.1"

    @property
    def last(self) -> bool:
        asked = {token.strip().lower() for token in self.headers.get("connection", "").split(",")}
        return self.old or "close" in asked

    @property
    def old(self) -> bool:
        """Whether the client uses HTTP/1.0: it reads no chunks, and a body without a length ends with the connection."""
        return self.version == "HTTP/1.0"


def take_request(inbox: bytes) -> Asked | None:
    """The first request in `inbox`; None if it is not whole yet. BadRequest if it can never be one."""
    end = inbox.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = inbox[:end].decode("latin-1").split("\r\n")
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    if "transfer-encoding" in headers:
        raise BadRequest(411, "the request needs a content-length; chunked requests are not read")
    length = headers.get("content-length") or "0"
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(400, f"the content-length is {length!r}; it must be a whole number")
    size = end + 4 + int(length)
    if len(inbox) < size:
        return None
    method, rest, version = [*first.split(" "), "", ""][:3]
    try:
        url = urlsplit(rest)
    except ValueError:
        raise BadRequest(400, "the request's target is not a path") from None
    return Asked(method, url.path, parse_qs(url.query), headers, inbox[end + 4 : size], size, version)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def head(reply: Reply, last: bool = False, old: bool = False) -> bytes:
    """The status line and headers, and for a whole document its body. `last`: the connection is closed after it; `old`: for
    a client of HTTP/1.0."""
    lines = [
        b"HTTP/1.1 %d %s" % (reply.status, _REASONS.get(reply.status, b"Error")),
        b"content-type: " + reply.content_type.encode(),
    ]
    lines += [f"{k}: {v}".encode() for k, v in reply.headers]
    lines += [b"connection: close"] if last else []
    if reply.chunked:
        lines += [] if old else [b"transfer-encoding: chunked"]
        return b"\r\n".join((*lines, b"", b""))
    body = b"".join(p.data for p in reply.pieces)
    return b"\r\n".join((*lines, b"content-length: %d" % len(body), b"", body))
