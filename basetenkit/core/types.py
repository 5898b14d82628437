"""The nouns that every package uses: a Request is sent, an Exchange is what came of it, OutputEvents are what the
model's output in it, an Outcome is how it ended, an Estimate is a figure with its interval.

Times inside the engine are integers: nanoseconds on CLOCK_MONOTONIC. They become seconds, relative to the send or to the
level's start, where a row is made.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

# One read of a socket leaves four numbers in `Exchange.reads`, flat, so that the garbage collector has nothing to track:
#   STAMP  the latest the bytes can have arrived (ns)     EARLIEST  the earliest (ns)
#   EXACT  1 if the timestamp is exact for an event that ends at this read's end, else 0
#   END    the length of the (still encoded) body after this read
STAMP, EARLIEST, EXACT, END = range(4)
READ_WIDTH = 4

# A JSON object: a document that was read or is to be written. What its values are is looked at where they are used.
JsonObject: TypeAlias = dict[str, Any]
# A row of a frame by its columns' names, as `DataFrame.iter_rows(named=True)` gives it: the frame's schema has the types.
Row: TypeAlias = Mapping[str, Any]
# The same while it is made, a column at a time.
NewRow: TypeAlias = dict[str, Any]


class Outcome(StrEnum):
    """How a request ended. Every request sent has exactly one."""

    OK = "ok"
    HTTP_ERROR = "http_error"
    API_ERROR = "api_error"
    INCOMPLETE = "incomplete"
    EMPTY = "empty"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    CONNECTION_ERROR = "connection_error"
    CANCELLED = "cancelled"


class Cause(StrEnum):
    """What kept a request from being sent, as far as it changes what to do about it."""

    OWN_LIMIT = "own_limit"  # of this machine: ports, files, memory
    UNRESOLVED = "unresolved"  # the host's name
    REFUSED = "refused"  # nobody listens there
    TLS_CERTIFICATE = "tls_certificate"
    TLS_HANDSHAKE = "tls_handshake"


class Kind(StrEnum):
    """What an output event carries."""

    CONTENT = "content"
    REASONING = "reasoning"
    REFUSAL = "refusal"
    TOOL_CALL = "tool_call"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, built whole before the engine needs it.

    `body` is the payload as it goes on the wire; `prompt` is the text in it (None if there is no single one); the
    `*_target` are what the scenario asked for, `input_tokens_client` what the tokenizer counts in the text.
    """

    request_id: str
    body: bytes
    scenario: str
    prompt: str | None = None
    input_tokens_target: int | None = None
    output_tokens_target: int | None = None
    input_tokens_client: int | None = None
    batch_size: int | None = None
    image_count: int | None = None
    image_bytes: int | None = None
    image_pixels: int | None = None
    phase: str = "measured"
    number: int | None = None  # within its level, from 0
    attempt: int = 1
    conversation_id: str | None = None
    turn: int | None = None
    opening: bool = False  # one that a steady level begins with
    message_count: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an exchange has no whole response: the outcome it forces, one readable sentence, and its cause if that is known."""

    outcome: Outcome
    message: str
    cause: Cause | None = None


@dataclass(slots=True, eq=False)
class Exchange:
    """One request and all that came back: raw bytes with their arrival times, before anybody read a meaning into them.

    `scheduled_ns`: when it was due; `start_ns`: taken up; `sent_ns`: just before its first byte was written;
    `send_bound_ns`: how long that write took (the send happened somewhere inside); `uploaded_ns`: its last byte handed
    over; `end_ns`: over. None if that point was not reached. `reads` is described at the top of this module.
    """

    request: Request
    scheduled_ns: int = 0
    start_ns: int = 0
    sent_ns: int | None = None
    send_bound_ns: int = 0
    uploaded_ns: int | None = None
    end_ns: int | None = None
    started_at_ns: int | None = None  # wall clock (CLOCK_REALTIME) of the send, for people; no figure comes from it
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray | bytes = b""
    reads: array[int] = field(default_factory=lambda: array("q"))
    failure: Failure | None = None
    clock: str = "user"
    out_of_order: bool = False
    redirects: int = 0
    not_taken: bool = False  # the peer's system never acknowledged the whole request
    resent: int = 0  # times it met the end of a kept connection and went out again
    dns_ns: int | None = None
    connect_ns: int | None = None
    tls_ns: int | None = None
    rtt_ns: int | None = None
    retransmits: int | None = None

    @property
    def read_ends(self) -> array[int]:
        """Length of the body after each read, in bytes; ascending."""
        return self.reads[END::READ_WIDTH]

    @property
    def arrivals(self) -> list[tuple[float, float, int]]:
        """(arrival in s since the send, proven error in s, end offset in the body) of each read that brought body bytes."""
        if self.sent_ns is None:
            return []
        out, before, r = [], 0, self.reads
        for i in range(0, len(r), READ_WIDTH):
            if r[i + END] > before:
                before = r[i + END]
                low = r[i + STAMP] if r[i + EXACT] else r[i + EARLIEST]
                error = max(r[i + STAMP] - low, 0) + self.send_bound_ns
                out.append(((r[i + STAMP] - self.sent_ns) / 1e9, error / 1e9, before))
        return out


@dataclass(frozen=True, slots=True)
class OutputEvent:
    """One output chunk. `start` and `end` are its message's byte range in the decoded body; `arrival_s` is when the byte
    that completed it came (seconds since the send), None if the bytes came without times."""

    text: str
    kind: str
    start: int
    end: int
    arrival_s: float | None = None
    error_s: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95% interval. `high` is None if there are too few requests to bound it (print ">= low"); all three are
    None if there is nothing to estimate from. `n` is the effective sample size, `how` the method."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: float | None = None
    how: str = ""


def first_header(headers: Sequence[tuple[str, str]], name: str) -> str | None:
    """The first value of header `name` (lower case) or None."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None
