"""The source of the workbench's response: a run's saved exchanges, a case, or pasted text."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

import polars as pl

from ...core.errors import ConfigError
from ...core.types import END, READ_WIDTH, Exchange
from ...parsing import ParsedResponse
from ...results.parser_case import ParserCase
from ...results.recorder import event_times
from ...runs import Run
from .bytes import from_hex

LISTED = 300  # requests in the picker at once: a longer list is searched, not scrolled
EXAMPLE = (
    (0.081, b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'),
    (0.104, b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"Kettle?"}}]}\n\n'),
    (0.131, b'data: {"choices":[{"index":0,"delta":{"content":"Tea"}}]}\n\n'),
    (0.143, b'data: {"choices":[{"index":0,"delta":{"content":" is"}}]}\n\n'),
    (
        0.240,
        b'data: {"choices":[{"index":0,"delta":{"content":" ready"}}]}\n\n'
        b'data: {"choices":[{"index":0,"delta":{"content":"."}}]}\n\n',
    ),
    (0.252, b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'),
)


@dataclass(frozen=True)
class ResponseSource:
    """A case with, where it came from an exchange, the proof of its times. `name` says where it is from."""

    case: ParserCase
    name: str
    exchange: Exchange | None = None

    def read_bounds(self) -> list[float | None]:
        """How much earlier than its time each read can have arrived, s; None if unknown."""
        if self.exchange is None:
            return [None] * len(self.case.read_ends)
        known = {end: error for _, error, end in self.exchange.arrivals}
        return [known.get(end) for end in self.exchange.reads[END::READ_WIDTH]]

    def event_bounds(self, parsed: ParsedResponse) -> list[float | None]:
        """The same for each output event of `parsed`, whose reads must be those of the exchange."""
        times = None if self.exchange is None else event_times(self.exchange, parsed)
        return [None] * len(parsed.event_texts) if times is None else [float(error) for error in times.error]


def source(given: object) -> ResponseSource:
    """The ResponseSource of a ParserCase, an Exchange, or whatever `bk.parse` takes. TypeError if it is none of these."""
    if given is None:
        case = ParserCase.from_parts(EXAMPLE, headers={"content-type": "text/event-stream"})
        return ResponseSource(case, "a small example")
    if isinstance(given, ParserCase):
        return ResponseSource(given, "a case")
    if isinstance(given, Exchange):
        return ResponseSource(ParserCase.from_exchange(given), given.request.request_id, given)
    return ResponseSource(ParserCase.from_parts(given), "the given object")


def from_run(run: Run, request_id: str) -> ResponseSource:
    """One exchange of a run, read as the run's endpoint is. KeyError if it was not kept."""
    exchange = run.exchange(request_id)
    return ResponseSource(ParserCase.from_exchange(exchange, run.config.endpoint), request_id, exchange)


def kept(run: Run) -> pl.DataFrame:
    """request_id, outcome, output_chunks of the exchanges that a run kept; those that failed first."""
    rows = run.requests.filter(pl.col("request_id").is_in(run.captured))
    return rows.sort(pl.col("outcome") == "ok", maintain_order=True).select("request_id", "outcome", "output_chunks")


def choices(frame: pl.DataFrame, wanted: str = "") -> list[tuple[str, str]]:
    """(label, request_id) of the first requests of `kept` whose id or outcome contains `wanted`."""
    found = frame.filter(pl.concat_str("request_id", pl.lit(" "), "outcome").str.contains(wanted.strip(), literal=True))
    return [(f"{i}   {outcome}, {n or 0} events", i) for i, outcome, n in found.head(LISTED).iter_rows()]


def pasted(text: str, form: str) -> ResponseSource:
    """The pasted text as bytes; it is "text", "hex" or "base64". ConfigError if it is not valid."""
    if form == "hex":
        return ResponseSource(ParserCase.from_parts(from_hex(text)), "pasted hex")
    if form == "base64":
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ConfigError(f"the pasted text is not base64: {error}") from None
        return ResponseSource(ParserCase.from_parts(data), "pasted base64")
    return ResponseSource(ParserCase.from_parts(text.lstrip("\r\n")), "pasted text")


def headers_in(text: str) -> tuple[tuple[str, str], ...]:
    """The headers of "Name: value" lines, values that look secret left out. ConfigError names a line that is not one."""
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name.strip()):
            raise ConfigError(
                f"headers, line {number}: {line[:60]!r} is not a header; e.g. content-type: text/event-stream"
            )
        pairs.append((name.strip(), value.strip()))
    return ParserCase.from_parts(b"", headers=pairs).headers


def headers_out(case: ParserCase) -> str:
    """The case's headers as `headers_in` reads them."""
    return "\n".join(f"{name}: {value}" for name, value in case.headers)
