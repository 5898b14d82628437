"""Every form in which servers report errors -> one sentence, its code, and its source.

A response with status 200 may report an error, and `{"error": null}` reports none: the forms are distinguished here, once, for
whole documents, for messages in the middle of a stream, and for the bodies of 4xx and 5xx.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from basetenkit.core.types import first_header
from basetenkit.parsing.lenient import clean, load_json

SNIPPET = 500  # characters of an error body that is no JSON
_MESSAGE_KEYS = ("message", "detail", "errors", "error_message", "error_description", "msg", "reason", "title")
_LEVELS = 3  # so often an error's text is opened that is itself a document of an error
_JSON = (b"{", b"[", b'"')  # how JSON begins that may be an error's
# An event stream up to its first data, or an error's own field if it contains JSON.
_EVENT = re.compile(
    rb"(?:(?::|event:|id:|retry:)[^\r\n]*[\r\n]+)*(?:(?:data:[ \t]*){1,2}|error[ \t]*:[ \t]*(?=\{))", re.IGNORECASE
)
_LOOK = 8192  # bytes of it that are looked at
_FAILED = frozenset({"error", "failed", "failure", "fail"})
# The gateway's own words for what went wrong; a body that carries one was written by it and not by the model.
GATEWAY_CODES = frozenset(
    {
        "timeout",
        "client_error",
        "model_unavailable",
        "model_not_ready",
        "model_does_not_exist",
        "rate_limited",
        "payload_too_large",
        "unauthorized",
        "internal_baseten_error",
    }
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a server reports as wrong: one sentence, and its code if it gave one.

    `is_bare`: only a finish reason names it, without a message; `is_cut`: and that says that the server stopped early, so
    the response is incomplete.
    """

    message: str
    code: str | None = None
    is_bare: bool = False
    is_cut: bool = False


def report_of(doc: object) -> Report | None:
    """The error that a body or message of a 2xx response reports, or None if it reports none."""
    if not isinstance(doc, dict):
        return None
    if doc.get("error"):
        return _opened(_from_error(doc))
    status = doc.get("status")
    failed = isinstance(status, str) and status.lower() in _FAILED
    if failed or doc.get("object") == "error" or doc.get("type") == "error" or doc.get("success") is False:
        text = _first_text(doc, ("message", "detail", "error_message", "data"))
        return _opened(Report(text or _dump(doc), _code(doc)))
    if doc.keys() <= {"detail", "message", "code", "error_code", "type"} and ("detail" in doc or "code" in doc):
        return report_in_body(doc)
    return None


def report_in_body(doc: object) -> Report:
    """As `report_of`, for a body that is known to be an error's: any form is read, and the last resort is the body itself."""
    return _opened(_in_body(doc))


def _in_body(doc: object) -> Report:
    if isinstance(doc, list) and doc and isinstance(doc[0], dict):
        doc = doc[0]
    if not isinstance(doc, dict):
        return Report(clip(_as_text(doc)) or _dump(doc))
    if doc.get("error"):
        return _from_error(doc)
    return Report(_first_text(doc, _MESSAGE_KEYS) or _dump(doc), _code(doc))


def _opened(report: Report, depth: int = 0) -> Report:
    """The report inside `report`, if its text is itself the JSON document of an error: a gateway wraps a model's own."""
    text = report.message.strip()
    if depth >= _LEVELS or text[:1] not in ("{", "[", '"') or text.endswith("…"):
        return report
    try:
        inner = load_json(text.encode("utf-8", "replace"))[0]
    except ValueError:
        return report
    if isinstance(inner, list) and len(inner) == 1:
        inner = inner[0]
    if isinstance(inner, str):
        return _opened(replace(report, message=clip(inner.strip()) or report.message), depth + 1)
    if not isinstance(inner, dict) or not (inner.get("error") or _first_text(inner, _MESSAGE_KEYS)):
        return report
    found = _in_body(inner)
    return _opened(replace(found, code=found.code or report.code), depth + 1)


def _from_error(doc: dict[str, object]) -> Report:
    error = doc["error"]
    if isinstance(error, dict):
        message = _first_text(error, ("message", "msg", "detail", "error", "reason")) or _dump(error)
        return Report(_placed(message, error.get("loc")), _code(error) or _code(doc))
    message = _as_text(error) or _dump(doc)
    more = doc.get("detail") or doc.get("message")
    if isinstance(more, str) and more and more != message:
        message = f"{message}: {more}"
    return Report(clip(message), _code(doc))


def _first_text(doc: dict[str, object], keys: Sequence[str]) -> str:
    for key in keys:
        text = _as_text(doc.get(key))
        if text:
            return clip(text)
    return ""


def _as_text(value: object) -> str:
    """A readable sentence from a string, from FastAPI's list of {loc, msg}, or from an object with a message."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(text for text in (_item(v) for v in value[:5]) if text)
    if isinstance(value, dict):
        return _item(value)
    return ""


def _item(value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    message = next((value[k] for k in ("message", "msg", "detail", "error") if isinstance(value.get(k), str)), "")
    return _placed(message, value.get("loc")) if message else ""


def _placed(message: str, loc: object) -> str:
    if isinstance(loc, list) and loc:
        steps = [str(step) for step in loc[:10] if isinstance(step, (str, int))]
        return clip(f"{'.'.join(steps)}: {message}")
    return clip(message)


def _code(doc: dict[str, object]) -> str | None:
    for key in ("error_code", "code", "status_code", "error_type", "err_type", "type"):
        value = doc.get(key)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value not in ("", "error"):
            return clean(str(value))[:100]
    return None


def _dump(value: object) -> str:
    try:
        return clip(orjson.dumps(value, default=str).decode())
    except (TypeError, ValueError):
        return "an error without a message"


def clip(text: str) -> str:
    """At most 500 characters of `text`, fit to be written anywhere."""
    text = clean(text)
    return text if len(text) <= SNIPPET else text[: SNIPPET - 1] + "…"


def is_html(body: bytes) -> bool:
    """True if the body is a web page."""
    return re.match(rb"\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html)[\s>]", body[:2048], re.I | re.S) is not None


def snippet(body: bytes) -> str:
    """The readable beginning of a body that is no JSON; tags are taken out of a web page."""
    text = body[:_LOOK].decode("utf-8", "replace")
    if is_html(body) or re.match(r"\s*<", text):
        text = re.sub(r"<(script|style)\b[^<]*</\1>", " ", text, flags=re.I)
        text = re.sub(r"<[^<>]*>", " ", text)
    return clip(" ".join(text.split()))


def http_report(status: int, body: bytes) -> Report:
    """What a response with a status outside 200-299 says: from JSON, from an SSE message, or the text of its page."""
    data = body.strip()
    head = _EVENT.match(data)
    if head:
        rest = data[head.end() :]
        data = rest if rest[:1] in _JSON and not rest.startswith(b"[DONE]") else rest.splitlines()[0] if rest else b""
    for part in (data, data.partition(b"\n")[0]):
        if part[:1] in _JSON:
            try:
                return report_in_body(load_json(part.strip())[0])
            except ValueError:
                pass  # an error body that is broken itself is shown as the text it is
    text = snippet(data)
    said = f"HTTP {status}: {text}" if text else f"HTTP {status} with an empty body"
    return Report(said, f"http_{status}")


def asking_to_wait(report: Report, retry_after: str | None) -> Report:
    """The same with the wait that the server asks for, in its own words: seconds, or a date (RFC 9110, 10.2.3)."""
    asked = clean(retry_after or "").strip()[:40]
    if not asked:
        return report
    unit = " s" if asked.isdecimal() else ""
    return replace(report, message=f"{report.message} (Retry-After: {asked}{unit})")


def source_of(headers: Sequence[tuple[str, str]], report: Report, body: bytes, status: int) -> str:
    """ "model", "gateway" or "unknown": who reported the error.

    Baseten's model server marks its errors with x-baseten-error-source; what comes without the mark is the gateway's if it
    carries one of the gateway's codes or is a proxy's web page. An error inside a 2xx was written by the model.
    """
    if first_header(headers, "x-baseten-error-source") or 200 <= status < 300:
        return "model"
    if report.code in GATEWAY_CODES or is_html(body):
        return "gateway"
    return "unknown"
