"""ParserCase: one captured response as a small file that people can read and send, and that always parses to the same result.

A response that reads wrongly somewhere is worth most as its exact bytes. A case keeps them with all else that the parser
received (status, headers, the end of each read, the request's options) and nothing else: no request body, no URL, no
value of a header that may be a secret. `to_test` turns it into a regression test.

The file is JSON. A body of valid UTF-8 is saved as its lines, any other as base64. Loading it executes nothing.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..config.coercions import as_path
from ..core.errors import ConfigError, StoreError
from ..core.secrets import looks_secret, redact_url
from ..core.tables import html_table
from ..core.types import END, READ_WIDTH, STAMP, Exchange, Failure, JsonObject, Outcome
from ..parsing import ParsedResponse, parse_response
from ..parsing.transcripts import take
from .store import write_whole

if TYPE_CHECKING:
    from ..config.endpoint import Endpoint

SCHEMA_VERSION = 1
_SHOWN = 300  # characters of the text that a notebook shows
_WIDE = 100  # bytes of the body in one line of a test


@dataclass(frozen=True, repr=False)
class ParserCase:
    """One captured response: the input of the parser.

    `read_ends`: length of `body` after each read; `times`: the time of each read in s since the send, empty if unknown.
    `inputs` and `max_tokens`: values of the request; `failure`: the failure that the transport reported, if any; `origin`: the
    source of the response, for `explain`, if it was not given as bytes.
    """

    body: bytes
    read_ends: tuple[int, ...] = ()
    times: tuple[float, ...] = ()
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    stream: bool = True
    response_path: str | None = None
    prompt: str | None = None
    inputs: int | None = None
    max_tokens: int | None = None
    failure: Failure | None = None
    origin: str = ""

    @classmethod
    def from_exchange(cls, exchange: Exchange, endpoint: Endpoint | None = None) -> Self:
        """The case of an exchange, e.g. of `run.exchange(request_id)`. Without an `endpoint`, the request shows whether a
        stream was requested, and there is no response_path."""
        request, reads = exchange.request, exchange.reads
        sent = exchange.sent_ns
        times = () if sent is None else tuple((stamp - sent) / 1e9 for stamp in reads[STAMP::READ_WIDTH])
        return cls(
            bytes(exchange.body),
            tuple(reads[END::READ_WIDTH]),
            times,
            exchange.status or 0,
            _without_secrets(exchange.headers),
            _asked_for_stream(request.body) if endpoint is None else endpoint.stream and request.batch_size is None,
            None if endpoint is None else endpoint.response_path,
            request.prompt,
            request.batch_size,
            request.output_tokens_target,
            exchange.failure,
        )

    @classmethod
    def from_parts(
        cls,
        chunks: Any,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        stream: bool = True,
        response_path: str | None = None,
        prompt: str | None = None,
    ) -> Self:
        """The case of anything that `bk.parse` takes, with the same arguments and errors."""
        given = take(chunks, status, headers)
        return cls(
            given.body,
            tuple(given.read_ends),
            tuple(given.times),
            200 if given.status is None else given.status,
            _without_secrets(given.headers or ()),
            stream,
            response_path,
            prompt,
            failure=given.failure,
            origin=given.decision,
        )

    def parse(self) -> ParsedResponse:
        """Parses the case with the current parser."""
        parsed = parse_response(
            self.body,
            self.read_ends,
            status=self.status,
            headers=self.headers,
            stream=self.stream,
            failure=self.failure,
            response_path=self.response_path,
            prompt=self.prompt,
            inputs=self.inputs,
            max_tokens=self.max_tokens,
        )
        parsed.read_times = self.times
        if self.origin:
            parsed.decisions.insert(0, self.origin)
        return parsed

    def save(self, path: str | Path) -> None:
        """Writes the case as JSON, with the prompt as readable text. StoreError if it cannot be written."""
        document: JsonObject = {"basetenkit_parser_case": SCHEMA_VERSION}
        document |= {name: getattr(self, name) for name in _SCALARS}
        document["failure"] = None if self.failure is None else [self.failure.outcome.value, self.failure.message]
        document |= {name: getattr(self, name) for name in ("origin", "headers", "read_ends", "times")}
        document |= _body_out(self.body)
        try:
            write_whole(as_path(path, "ParserCase.save"), _readable_json(document).encode(), durable=True)
        except OSError as error:
            raise StoreError(f"the case {path} cannot be written: {error.strerror or error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The case in a file. StoreError if it is not a case, is damaged, or has a newer schema."""
        file = as_path(path, "ParserCase.load")
        try:
            document = json.loads(file.read_bytes())
        except OSError as error:
            raise StoreError(f"the case {path} cannot be read: {error.strerror or error}") from None
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path} is not a parser case: it is not JSON ({error})") from None
        schema = document.get("basetenkit_parser_case") if isinstance(document, dict) else None
        if type(schema) is not int:
            raise StoreError(f"{path} is not a parser case: it has no basetenkit_parser_case with a schema version")
        if schema > SCHEMA_VERSION:
            raise StoreError(f"{path} is of schema {schema}, newer than this version reads ({SCHEMA_VERSION})")
        try:
            return cls(**_fields_in(document))
        except _DamagedError as error:
            raise StoreError(f"the parser case {path} is damaged: {error}") from None

    def to_test(self, name: str) -> str:
        """Python source of a test file: its function test_NAME builds the bytes and compares outcome, text and events with the
        current result. ConfigError if `name` has no letter or digit for the name of a function."""
        function = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_").removeprefix("test_")
        if not function:
            raise ConfigError(f"name {name!r} has no letter or digit; e.g. to_test('usage in the last message')")
        parts = re.findall(rb"[^\n]*\n+|[^\n]+", self.body)
        pieces = [part[i : i + _WIDE] for part in parts for i in range(0, len(part), _WIDE)]
        parsed = self.parse()
        events = zip(parsed.event_texts, parsed.event_kinds, parsed.event_starts, parsed.event_ends, strict=True)
        lines = [
            "from basetenkit.parsing import parse_response",
            *(["from basetenkit.core.types import Failure, Outcome"] if self.failure else []),
            *("", "", f"def test_{function}() -> None:"),
            *("    body = (", *(f"        {piece!r}" for piece in pieces or [b""]), "    )"),
            *("    parsed = parse_response(", "        body,", f"        {list(self.read_ends)},"),
            *(f"        {argument}," for argument in self._arguments()),
            *("    )", f"    assert parsed.outcome == {parsed.outcome.value!r}, parsed.explain()"),
            f"    assert parsed.text == {parsed.text!r}",
            "    said = zip(parsed.event_texts, parsed.event_kinds, parsed.event_starts, parsed.event_ends, strict=True)",
            *("    assert list(said) == [", *(f"        {event!r}," for event in events), "    ]"),
            f"    assert parsed.event_reads == {parsed.event_reads}",
        ]
        return "\n".join(lines) + "\n"

    def _arguments(self) -> list[str]:
        """The source of each keyword argument of parse_response that is not at its default."""
        told: JsonObject = {name: getattr(self, name) for name in _SCALARS}
        told["headers"] = list(self.headers)
        defaults = {"status": 200, "stream": True, "headers": []}
        lines = [f"{name}={value!r}" for name, value in told.items() if value != defaults.get(name)]
        if self.failure is not None:
            lines.append(f"failure=Failure(Outcome.{self.failure.outcome.name}, {self.failure.message!r})")
        return lines

    def __repr__(self) -> str:
        return f"<ParserCase: {self.parse().outcome.value}, {len(self.body)} bytes in {len(self.read_ends)} read(s)>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        parsed = self.parse()
        text = parsed.text if len(parsed.text) <= _SHOWN else parsed.text[: _SHOWN - 1] + "…"
        rows = [
            ("outcome", parsed.outcome.value + (f": {parsed.error_message}" if parsed.error_message else "")),
            ("text", repr(text)),  # so that blanks and line ends are seen
            ("events", f"{len(parsed.event_texts)}, in {len(self.body)} bytes and {len(self.read_ends)} read(s)"),
            *(("warning", warning) for warning in parsed.warnings),
        ]
        return html_table([{"parser case": what, "reads as": said} for what, said in rows])._repr_mimebundle_()


_TYPES: dict[str, tuple[type, ...]] = {
    "status": (int,),
    "stream": (bool,),
    "response_path": (str, type(None)),
    "prompt": (str, type(None)),
    "inputs": (int, type(None)),
    "max_tokens": (int, type(None)),
}
_SCALARS = tuple(_TYPES)


class _DamagedError(ValueError):
    """An error in the file of a case."""


def _without_secrets(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, _safe(name, value)) for name, value in headers)


def _safe(name: str, value: str) -> str:
    if looks_secret(name):
        return "***"
    if "://" not in value:
        return value
    try:
        return redact_url(value)
    except ValueError:  # no URL after all: it may hold anything
        return "***"


def _asked_for_stream(request_body: bytes) -> bool:
    """Whether a request's payload asks for a stream; True, as `bk.parse` has it, if it does not say."""
    try:
        payload = json.loads(request_body)
    except ValueError:
        return True
    return not isinstance(payload, dict) or payload.get("stream", True) is not False


def _body_out(body: bytes) -> JsonObject:
    try:
        return {"body": body.decode().split("\n")}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def _readable_json(document: JsonObject) -> str:
    """JSON with one line per field; the body and the headers have one line per item."""
    parts = []
    for name, value in document.items():
        shown = _json(value)
        if name in ("body", "headers") and value:
            shown = "[\n  " + ",\n  ".join(_json(item) for item in value) + "\n ]"
        parts.append(f" {_json(name)}: {shown}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate in a prompt: only escapes can hold it
        return json.dumps(value)
    return text


def _fields_in(document: Mapping[str, object]) -> JsonObject:
    """The arguments of ParserCase that the document holds; _DamagedError says which of them is not as it must be."""
    fields: JsonObject = {}
    for name, types in (_TYPES | {"origin": (str,)}).items():
        value = document.get(name, {"status": 200, "stream": True, "origin": ""}.get(name))
        if type(value) not in types:
            raise _DamagedError(f"{name} is {type(value).__name__}; expected {types[0].__name__}")
        fields[name] = value
    fields["headers"] = _pairs_in(document.get("headers", []))
    fields["failure"] = _failure_in(document.get("failure"))
    fields["body"] = _body_in(document)
    ends, times = (_numbers_in(document, name) for name in ("read_ends", "times"))
    if any(type(end) is not int for end in ends) or ends != sorted(ends) or (ends and ends[0] < 0):
        raise _DamagedError("read_ends are not ascending byte counts")
    if times and len(times) != len(ends):
        raise _DamagedError(f"there are {len(times)} times for {len(ends)} read_ends")
    return fields | {"read_ends": tuple(ends), "times": tuple(float(t) for t in times)}


def _numbers_in(document: Mapping[str, object], name: str) -> list[float]:
    values = document.get(name, [])
    if not isinstance(values, list) or any(type(value) not in (int, float) for value in values):
        raise _DamagedError(f"{name} is not a list of numbers")
    return values


def _pairs_in(pairs: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(pairs, list):
        raise _DamagedError("headers is not a list of [name, value]")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise _DamagedError("headers is not a list of [name, value]")
    return tuple((name, value) for name, value in pairs)


def _failure_in(said: object) -> Failure | None:
    if said is None:
        return None
    if not isinstance(said, list) or len(said) != 2:
        raise _DamagedError("failure is not [outcome, sentence]")
    outcome, message = said
    try:
        return Failure(Outcome(outcome), str(message))
    except (TypeError, ValueError):
        raise _DamagedError("failure is not [outcome, sentence]") from None


def _body_in(document: Mapping[str, object]) -> bytes:
    lines, encoded = document.get("body"), document.get("body_base64")
    if isinstance(lines, list) and all(isinstance(line, str) for line in lines) and encoded is None:
        try:
            return "\n".join(lines).encode()
        except UnicodeEncodeError:
            raise _DamagedError("the body holds half a character, which no bytes stand for") from None
    if not isinstance(encoded, str) or lines is not None:
        raise _DamagedError("it needs either body, a list of lines, or body_base64")
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise _DamagedError("body_base64 is not base64") from None
