"""Saved responses in many forms -> a body with its status, headers and times, the input of `parse_response`.

To find out how a response was parsed, people have the output of `curl -iN`, a HAR entry saved by a browser, or an
`httpx.Response`. Each of them has more than the body: the status, which may make it an error, and the content type, which
determines how it is split. All but the engine's own bytes have already been decoded by the tool that saved them, while their
headers still name the encoding: so each form defines here which decoding remains.

Bytes never raise an error. A Python object that is none of these forms is a mistake in the call: TypeError, in one sentence.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from basetenkit.core.types import Failure, Outcome, first_header

Pairs = list[tuple[str, str]]

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: [^\r\n]*)?(?:\r?\n|\Z)")
_HEADER_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*?)[ \t]*(?:\r?\n|\Z)")
_FOLDED_LINE = re.compile(rb"[ \t]+([^\r\n]*?)[ \t]*(?:\r?\n|\Z)")
_BLANK = re.compile(rb"\r?\n|\Z")
_LENGTH = re.compile(r"[0-9]{1,18}")
_MAGIC = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_RIGHT = "expected bytes, text, an iterable of bytes or (seconds, bytes), a HAR entry or an httpx.Response"


@dataclass(frozen=True, slots=True)
class CapturedResponse:
    """A response as it was handed in. `read_ends`: length of the body after each read; `times`: the seconds of each.

    `status` and `headers` are None if it did not say; `decision` tells, for `explain`, what it was taken for.
    """

    body: bytes
    read_ends: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    status: int | None = None
    headers: Pairs | None = None
    failure: Failure | None = None
    decision: str = ""


def take(
    given: object, status: int | None = None, headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None
) -> CapturedResponse:
    """The parts of `given`. `status` and each of `headers` override its own. TypeError if it is not a response."""
    found = _recognise(given)
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers or ())
    names = {name.lower() for name, _ in pairs}
    kept = [(name, value) for name, value in found.headers or () if name.lower() not in names]
    said = 200 if found.status is None else found.status
    return replace(found, status=said if status is None else status, headers=[*pairs, *kept])


def _recognise(given: object) -> CapturedResponse:
    if isinstance(given, str):
        data = given.encode("utf-8", "replace")
        return _from_curl(data, was_text=True) or CapturedResponse(data)
    if isinstance(given, (bytes, bytearray, memoryview)):
        data = bytes(given)
        return _from_curl(data, was_text=False) or CapturedResponse(data)
    if isinstance(given, Mapping):
        return _from_har(given)
    if hasattr(given, "status_code") and hasattr(given, "headers"):
        return _from_client(cast("ClientResponse", given))
    if not isinstance(given, Iterable):
        raise TypeError(f"no response can be read from {type(given).__name__}; {_RIGHT}")
    return _from_chunks(given)


def _from_chunks(chunks: Iterable[object]) -> CapturedResponse:
    body, ends, times = bytearray(), [], []
    for chunk in chunks:
        if isinstance(chunk, tuple):
            if len(chunk) != 2:
                raise TypeError(f"a chunk is a tuple of {len(chunk)}; expected (seconds, bytes)")
            times.append(_seconds(chunk[0]))
            chunk = chunk[1]
        data = chunk.encode("utf-8", "replace") if isinstance(chunk, str) else chunk
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"a chunk is {type(data).__name__}; expected bytes or (seconds, bytes)")
        body += data
        ends.append(len(body))
    if times and len(times) != len(ends):
        raise TypeError("some chunks have a time and some have none; give all or none a time")
    return CapturedResponse(bytes(body), ends, times)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"a chunk's time is {type(value).__name__}; expected seconds, as a number")
    return float(value)


# -- curl --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    headers: Pairs
    line: str
    end: int  # where what follows it begins

    def is_interim(self) -> bool:
        """True if another head may follow: curl -i prints those of 100-continue, redirects, logins and proxies too."""
        said = {name.lower() for name, _ in self.headers}
        is_tunnel = self.status == 200 and not said & {"content-type", "content-length", "transfer-encoding"}
        return self.status < 200 or 300 <= self.status < 400 or self.status in (401, 407) or is_tunnel


def _from_curl(data: bytes, was_text: bool) -> CapturedResponse | None:
    """A transcript of `curl -i`; None if `data` does not begin with a whole head that has headers."""
    head = _head(data, 0)
    if head is None:
        return None
    heads = [head]
    while heads[-1].is_interim() and (following := _head(data, heads[-1].end)) is not None:
        heads.append(following)
    last = heads[-1]
    if not last.headers:
        return None
    before = f", the last of {len(heads)} heads" if len(heads) > 1 else ""
    said = f"input: a curl transcript, {last.line} with {len(last.headers)} header(s){before}; offsets are in its body"
    body = data[last.end :]
    body, headers, failure, more = _undo_copying(body, last.headers, was_text)
    shown = f"  [bytes 0-{last.end}: {last.line.encode()[:60]!r}...]"  # no header: it may be a cookie
    return CapturedResponse(body, status=last.status, headers=headers, failure=failure, decision=said + more + shown)


def _head(data: bytes, at: int) -> _Head | None:
    """The head that begins at `at`, up to its blank line or the end of the data."""
    first = _STATUS_LINE.match(data, at)
    if first is None:
        return None
    at, headers = first.end(), []
    while (line := _HEADER_LINE.match(data, at)) is not None:
        name, value = (part.decode("utf-8", "replace") for part in line.groups())
        at = line.end()
        while (more := _FOLDED_LINE.match(data, at)) is not None:
            value, at = f"{value} {more[1].decode('utf-8', 'replace')}", more.end()
        headers.append((name, value))
    blank = _BLANK.match(data, at)
    if blank is None:
        return None
    return _Head(int(first[1]), headers, first[0].decode("ascii", "replace").strip(), blank.end())


def _undo_copying(body: bytes, headers: Pairs, was_text: bool) -> tuple[bytes, Pairs, Failure | None, str]:
    """(body, headers, failure, decision): the encoding that curl has undone; bytes beyond or short of the length."""
    encoding = (first_header(headers, "content-encoding") or "").strip().lower()
    if encoding:
        if was_text or _is_decoded(body, encoding):
            return body, _without(headers, "content-encoding"), None, f"; {encoding} was undone before it was kept"
        return body, headers, None, ""
    length = first_header(headers, "content-length") or ""
    # Text has been through an editor or a terminal, which change line ends: its length proves nothing.
    if was_text or not _LENGTH.fullmatch(length) or int(length) == len(body):
        return body, headers, None, ""
    if int(length) < len(body):
        extra = f"; {len(body) - int(length)} byte(s) after the Content-Length were left out"
        return body[: int(length)], headers, None, extra
    sentence = f"the head announces {length} bytes of body, and {len(body)} came"
    return body, headers, Failure(Outcome.INCOMPLETE, sentence), ""


def _is_decoded(body: bytes, encoding: str) -> bool:
    """Whether a body that its head calls encoded is plain after all (`curl --compressed`)."""
    last = encoding.rpartition(",")[2].strip()
    if last in _MAGIC:
        return not body.startswith(_MAGIC[last])
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body)
    except UnicodeDecodeError:
        return False
    return True


def _without(headers: Pairs, name: str) -> Pairs:
    return [(key, value) for key, value in headers if key.lower() != name]


# -- HAR ---------------------------------------------------------------------------------------------------------------


def _from_har(entry: Mapping[str, object]) -> CapturedResponse:
    """An entry of an HTTP Archive (HAR 1.2, "response" and "content"), or a whole archive of one entry."""
    entry = _only_entry(entry)
    response = entry.get("response")
    if not isinstance(response, Mapping):
        raise TypeError(f'a dict without "response" is not a HAR entry (its keys: {_names(entry)}); {_RIGHT}')
    status, headers = response.get("status"), response.get("headers", [])
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"the HAR entry's response.status is {status!r}; expected a number such as 200")
    try:
        pairs = [(str(h["name"]), str(h["value"])) for h in headers]
    except (TypeError, KeyError):
        raise TypeError("the HAR entry's response.headers are not a list of {name, value}") from None
    body = _har_body(response.get("content"))
    failure = None
    if status == 0:
        why = str(response.get("_error") or response.get("statusText") or "no reason is given")
        failure = Failure(Outcome.CONNECTION_ERROR, f"the HAR entry has no response: {why}")
    # HAR keeps a body as the page saw it: "content.text" is decoded, whatever the headers say.
    said = f"input: a HAR entry, status {status} with {len(pairs)} header(s) and {len(body)} bytes of decoded body"
    plain = _without(pairs, "content-encoding")
    return CapturedResponse(body, status=status, headers=plain, failure=failure, decision=said)


def _only_entry(archive: Mapping[str, object]) -> Mapping[str, object]:
    log = archive.get("log")
    entries = log.get("entries") if isinstance(log, Mapping) else None
    if not isinstance(entries, list):
        return archive
    if len(entries) != 1 or not isinstance(entries[0], Mapping):
        raise TypeError(f'a HAR archive of {len(entries)} entries; give one of them, har["log"]["entries"][0]')
    return entries[0]


def _har_body(content: object) -> bytes:
    if not isinstance(content, Mapping):
        raise TypeError("the HAR entry has no response.content; expected {text, encoding}")
    text = content.get("text")
    if text is None:
        if content.get("size"):
            raise TypeError(f"the HAR entry has none of its {content['size']} bytes; save the HAR with content")
        return b""
    if not isinstance(text, str):
        raise TypeError(f"the HAR entry's response.content.text is {type(text).__name__}; expected a string")
    if content.get("encoding") != "base64":
        return text.encode("utf-8", "replace")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise TypeError("the HAR entry's response.content.text is marked as base64 but is not base64") from None


def _names(entry: Mapping[str, object]) -> str:
    return ", ".join(str(key) for key in list(entry)[:8]) or "none"


# -- httpx and its like ------------------------------------------------------------------------------------------------


class Headers(Protocol):
    """Headers by name; those of httpx have `multi_items` too."""

    def items(self) -> Iterable[tuple[object, object]]: ...


class ClientResponse(Protocol):
    """A response of httpx, or of a library whose responses have these attributes."""

    status_code: object
    headers: Headers

    @property
    def content(self) -> object: ...

    def read(self) -> object: ...


def _from_client(response: ClientResponse) -> CapturedResponse:
    """A response of httpx or of a library alike, known by its attributes. What its client raises on reading goes on."""
    name, status = type(response).__name__, response.status_code
    if not isinstance(status, int):
        raise TypeError(f"the status_code of this {name} is {type(status).__name__}; expected a number such as 200")
    try:
        body = response.content
    except RuntimeError:  # httpx's ResponseNotRead: a streamed response of which nothing was fetched yet
        body = _fetch(response, name)
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(f"the content of this {name} is {type(body).__name__}; expected bytes")
    body, pairs = bytes(body), _pairs_of(response.headers)
    given = CapturedResponse(body, status=int(status), headers=_without(pairs, "content-encoding"))
    arrivals = (getattr(response, "extensions", None) or {}).get("arrivals") or []
    said = f"input: {name}, status {int(status)} with {len(pairs)} header(s)"
    if not arrivals:
        return replace(given, decision=f"{said}, without times")
    ends, times = [int(a[2]) for a in arrivals], [float(a[0]) for a in arrivals]
    if ends != sorted(ends) or ends[-1] != len(body) or first_header(pairs, "content-encoding"):
        return replace(given, decision=f"{said}; its arrivals do not fit this body, so there are no times")
    return replace(given, read_ends=ends, times=times, decision=f"{said} and {len(ends)} arrivals")


def _fetch(response: ClientResponse, name: str) -> object:
    try:
        return response.read()
    except RuntimeError:
        raise TypeError(f"this {name} was not read to its end; `await response.aread()` first") from None


def _pairs_of(headers: Headers) -> Pairs:
    """All headers; httpx joins those of one name in items() and keeps them apart in multi_items()."""
    items = headers.multi_items() if hasattr(headers, "multi_items") else headers.items()
    return [(str(name), str(value)) for name, value in items]
