"""Exchange + ParsedResponse + tokenizer -> one row: the schema is in `columns`.

A value that was not measured is null. Times are Float64 seconds, and their names end in `_s`: those of the schedule since the
level's start, those of the response since the send.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..config.plan import PlannedLevel
from ..core.interrupts import uninterrupted
from ..core.notes import Note, note
from ..core.types import EARLIEST, END, EXACT, READ_WIDTH, STAMP, Exchange, Kind, NewRow, Outcome, first_header
from ..parsing.response import ParsedResponse
from .pace import TokenCounts, pace
from .row_notes import packed, unpacked
from .schema import CHUNK_SCHEMA, STORED
from .token_notes import token_notes

Number = TypeVar("Number", int, float)
Figure = TypeVar("Figure", bound=np.generic)

COUNTED_CHARACTERS = (
    1 << 20
)  # a longer text is not a model's answer, and counting it would delay all others for seconds


@dataclass(slots=True)
class EventTimes:
    """Arrival and bound of each output event, float64 seconds since the send; both have one entry an event."""

    arrival: NDArray[np.float64]
    error: NDArray[np.float64]


def event_times(exchange: Exchange, parsed: ParsedResponse) -> EventTimes | None:
    """When the byte that completed each output event came, and the proven error of that; None without events or a send.

    An event came at its read's stamp, and at most (stamp - earliest) before it; exactly then where the event's bytes end
    the read. The send happened somewhere within `send_bound_ns`, which is part of every bound.
    """
    if exchange.sent_ns is None or not parsed.event_reads or parsed.event_reads[0] < 0:
        return None
    reads = np.frombuffer(exchange.reads, np.int64).reshape(-1, READ_WIDTH)[parsed.event_reads]
    stamp = reads[:, STAMP]
    exact = (reads[:, EXACT] != 0) & np.asarray(parsed.event_closes, bool)
    width = np.where(exact, 0, np.maximum(stamp - reads[:, EARLIEST], 0)) + exchange.send_bound_ns
    return EventTimes((stamp - exchange.sent_ns) / 1e9, width / 1e9)


def first_byte_ns(exchange: Exchange) -> int | None:
    """When the first byte of the body came, ns; None if none did."""
    reads = exchange.reads
    for i in range(0, len(reads), READ_WIDTH):
        if reads[i + END]:
            return reads[i + STAMP]
    return None


def length_ahead(exchange: Exchange) -> bool:
    """Whether the head told the body's length: then all of it was there before its first byte was sent, and when its parts
    came tells of the network alone."""
    return first_header(exchange.headers, "content-length") is not None


def text_offsets(parsed: ParsedResponse) -> tuple[list[int], list[int]]:
    """(start, end) of each event within the row's `text`, in characters; -1 for events that are not content."""
    if parsed.event_kinds.count(Kind.CONTENT) == len(parsed.event_kinds):
        ends = list(accumulate(map(len, parsed.event_texts)))
        return [0, *ends[:-1]], ends
    starts, ends, at = [], [], 0
    for text, kind in zip(parsed.event_texts, parsed.event_kinds, strict=True):
        if kind == Kind.CONTENT:
            starts.append(at)
            at += len(text)
            ends.append(at)
        else:
            starts.append(-1)
            ends.append(-1)
    return starts, ends


@uninterrupted
def lost_rows(
    level: PlannedLevel, requests: Sequence[tuple[str, int, str]], message: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows, no chunks) of requests that were sent and whose sender is gone: only their id, number and phase are known."""
    outcome = {"outcome": Outcome.CANCELLED.value, "error_message": message}
    known: list[dict[str, object]] = [
        {"request_id": i, "number": n, "phase": phase, "attempt": 1, **level.columns, **outcome, "notes": []}
        for i, n, phase in requests
    ]
    return pl.DataFrame(known, schema=STORED), pl.DataFrame(schema=CHUNK_SCHEMA)


def _settled(parsed: ParsedResponse, row: dict[str, object]) -> list[Note]:
    """The response's notes, once it is known whether the text's own count confirms a count above the limit."""
    if parsed.counts.above is None or row["output_tokens_server"] is None:
        return parsed.notes
    counted = {"counted": row["output_tokens_client"]}
    return [Note(n.code, {**n.fields, **counted}) if n.code == "over_max_tokens" else n for n in parsed.notes]


@dataclass(frozen=True, slots=True)
class Record:
    """One exchange as a row and its chunks, before they are in a table."""

    row: NewRow
    times: EventTimes | None
    starts: Sequence[int]
    ends: Sequence[int]


class Recorder:
    """Rows and chunks as they come, in columns, until they are made into frames. Nothing here is tracked by the garbage
    collector one by one: strings and numbers in lists, times in arrays."""

    def __init__(self, level: PlannedLevel, origin_ns: int, count: Callable[[str], int]) -> None:
        self.level, self._origin_ns, self._count = level, origin_ns, count
        self._own = level.columns
        self._columns: dict[str, list[object]] = {name: [] for name in STORED}
        self._lists = list(self._columns.values())
        self._chunk_counts: list[int] = []
        self._arrival, self._error = array("d"), array("d")
        self._starts, self._ends = array("i"), array("i")

    def __len__(self) -> int:
        return len(self._chunk_counts)

    def start(self, origin_ns: int) -> None:
        """Sets the level's start, from which the schedule's times count."""
        self._origin_ns = origin_ns

    def successor(self) -> Recorder:
        """An empty table of the same level."""
        return Recorder(self.level, self._origin_ns, self._count)

    @property
    def chunk_count(self) -> int:
        return len(self._arrival)

    def add(self, exchange: Exchange, parsed: ParsedResponse) -> NewRow:
        """Appends one row and its chunks; returns the row."""
        return self.append(self.read(exchange, parsed))

    def read(self, exchange: Exchange, parsed: ParsedResponse) -> Record:
        """What `append` takes. Changes nothing, so it may be done on another thread."""
        times = event_times(exchange, parsed) if parsed.streamed and not length_ahead(exchange) else None
        offsets = text_offsets(parsed) if times is not None else ((), ())
        return Record(self._row(exchange, parsed, times), times, *offsets)

    def append(self, reading: Record) -> NewRow:
        """Appends one row and its chunks; returns the row."""
        row, times = reading.row, reading.times
        if times is not None:
            self._arrival.frombytes(times.arrival.tobytes())
            self._error.frombytes(times.error.tobytes())
            self._starts.extend(reading.starts)
            self._ends.extend(reading.ends)
        for column, value in zip(self._lists, row.values(), strict=True):
            column.append(value)
        self._columns["notes"][-1] = packed(row["notes"])
        self._chunk_counts.append(len(times.arrival) if times is not None else 0)
        return row

    def _row(self, exchange: Exchange, parsed: ParsedResponse, times: EventTimes | None) -> dict[str, object]:
        request = exchange.request
        row: NewRow = dict.fromkeys(STORED)
        row.update(self._own)
        row["request_id"], row["phase"] = request.request_id, request.phase
        row["number"], row["attempt"] = request.number, request.attempt
        row["conversation_id"], row["turn"] = request.conversation_id, request.turn
        self._schedule(row, exchange)
        self._latency(row, exchange, parsed, times)
        self._tokens(row, exchange, parsed)
        row["batch_size"], row["image_count"] = request.batch_size, request.image_count
        row["message_count"] = request.message_count
        row["image_bytes"], row["image_pixels"] = request.image_bytes, request.image_pixels
        if parsed.embeddings and parsed.embeddings[0] is not None:
            row["embedding_dimension"] = len(parsed.embeddings[0])
        row["outcome"], row["status"] = parsed.outcome.value, exchange.status
        row["error_message"], row["error_source"] = parsed.error_message, parsed.error_source
        row["error_cause"] = exchange.failure.cause if exchange.failure is not None else None
        row["upstream_request_id"], row["wire_format"] = parsed.upstream_request_id, parsed.wire_format
        row["finish_reason"], row["text"] = parsed.finish_reason, parsed.text
        known = any(n.code in ("echo", "over_max_tokens", "several_choices") for n in parsed.notes)
        row["notes"] = parsed.notes
        notes = token_notes(row, streamed=parsed.streamed, reasoning=bool(parsed.reasoning), known=known)
        disorder = [note("out_of_order")] if exchange.out_of_order else []
        disorder += [note("redirected", n=exchange.redirects)] if exchange.redirects else []
        disorder += [note("sent_again", n=exchange.resent + 1)] if exchange.resent else []
        row["notes"] = _settled(parsed, row) + notes + disorder + self._pace(row, exchange, parsed, times)
        return row

    def _pace(self, row: NewRow, x: Exchange, parsed: ParsedResponse, times: EventTimes | None) -> list[Note]:
        """Sets the row's TPOT; gives the notes on how the tokens came."""
        if parsed.outcome is not Outcome.OK:
            return []
        if times is None:
            return [note("length_ahead")] if parsed.streamed and parsed.event_texts and length_ahead(x) else []
        counts = TokenCounts(row["output_tokens_server"], row["output_tokens_client"])
        found = pace(parsed, times.arrival, times.error, counts, self._count)
        row["tpot_s"] = found.tpot_s
        return list(found.notes)

    def _schedule(self, row: dict[str, object], x: Exchange) -> None:
        origin = self._origin_ns
        row["started_at"] = None if x.started_at_ns is None else x.started_at_ns // 1000
        row["scheduled_s"], row["start_s"] = (x.scheduled_ns - origin) / 1e9, (x.start_ns - origin) / 1e9
        row["sent_s"] = None if x.sent_ns is None else (x.sent_ns - origin) / 1e9
        row["end_s"] = None if x.end_ns is None else (x.end_ns - origin) / 1e9
        if x.sent_ns is not None and x.uploaded_ns is not None:
            row["upload_s"] = (x.uploaded_ns - x.sent_ns) / 1e9
        row["clock"] = None if x.sent_ns is None else x.clock
        for name, ns in (("dns_s", x.dns_ns), ("connect_s", x.connect_ns), ("tls_s", x.tls_ns), ("rtt_s", x.rtt_ns)):
            row[name] = None if ns is None else ns / 1e9
        row["retransmits"] = x.retransmits

    def _latency(self, row: dict[str, object], x: Exchange, parsed: ParsedResponse, times: EventTimes | None) -> None:
        if x.sent_ns is None:
            return
        first = first_byte_ns(x)
        row["first_byte_s"] = None if first is None else (first - x.sent_ns) / 1e9
        if times is not None:
            row["ttft_s"], row["ttft_error_s"] = float(times.arrival[0]), float(times.error[0])
            if Kind.CONTENT in parsed.event_kinds:
                row["first_content_s"] = float(times.arrival[parsed.event_kinds.index(Kind.CONTENT)])
        if parsed.outcome is not Outcome.OK:
            return
        if times is not None:
            row["e2e_s"], row["e2e_error_s"] = float(times.arrival[-1]), float(times.error[-1])
        elif len(x.reads) and (not parsed.streamed or length_ahead(x)):
            row["e2e_s"], row["e2e_error_s"] = self._end_of_body(x)

    @staticmethod
    def _end_of_body(x: Exchange) -> tuple[float, float]:
        """(send to the read that brought the body's last byte, its bound), s: the E2E of a response that was not streamed."""
        reads, i = x.reads, len(x.reads) - READ_WIDTH
        while i > 0 and reads[i - READ_WIDTH + END] == reads[i + END]:
            i -= READ_WIDTH
        width = 0 if reads[i + EXACT] else max(reads[i + STAMP] - reads[i + EARLIEST], 0)
        return (reads[i + STAMP] - (x.sent_ns or 0)) / 1e9, (width + x.send_bound_ns) / 1e9

    def _tokens(self, row: NewRow, x: Exchange, parsed: ParsedResponse) -> None:
        request = x.request
        row["input_tokens_target"], row["output_tokens_target"] = (
            request.input_tokens_target,
            request.output_tokens_target,
        )
        row["input_tokens_client"] = request.input_tokens_client
        row["input_tokens_server"], row["output_tokens_server"] = parsed.prompt_tokens, parsed.completion_tokens
        row["reasoning_tokens"], row["cached_tokens"] = parsed.reasoning_tokens, parsed.cached_tokens
        row["output_chunks"] = len(parsed.event_texts)
        if parsed.event_texts:
            row["output_tokens_client"] = self._count_output(parsed)
        row["input_tokens"] = parsed.prompt_tokens if parsed.prompt_tokens is not None else request.input_tokens_client
        if parsed.counts.is_confirmed_by(row["output_tokens_client"]):
            row["output_tokens_server"] = parsed.counts.above
        server = row["output_tokens_server"] if parsed.embeddings is None else None
        row["output_tokens"] = server if server is not None else row["output_tokens_client"]
        known = parsed.prompt_tokens if parsed.embeddings is not None else server
        if row["output_tokens"] is not None or row["input_tokens"] is not None:
            row["token_source"] = "server" if known is not None else "tokenizer"

    def _count_output(self, parsed: ParsedResponse) -> int | None:
        """Tokens of all text, each kind's text counted as a whole; None if it is longer than COUNTED_CHARACTERS."""
        if sum(map(len, parsed.event_texts)) > COUNTED_CHARACTERS:
            return None
        said: dict[str, list[str]] = {}
        for kind, text in zip(parsed.event_kinds, parsed.event_texts, strict=True):
            said.setdefault(kind, []).append(text)
        return sum(self._count("".join(texts)) for texts in said.values())

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(requests, chunks) added so far. Safe while another thread adds: an incomplete row is left out."""
        n = min(len(self._chunk_counts), *(len(c) for c in self._lists))
        columns: NewRow = {name: column[:n] for name, column in self._columns.items()}
        columns["notes"] = unpacked(columns["notes"])
        requests = pl.DataFrame(columns, schema=STORED, strict=False)
        counts = np.asarray(self._chunk_counts[:n], np.int64)
        total = int(counts.sum())
        ids = pl.Series("request_id", np.repeat(np.arange(n), counts))
        offsets = np.repeat(np.cumsum(counts) - counts, counts)

        def number(values: array[Number], kind: type[Figure]) -> NDArray[Figure]:
            return np.frombuffer(values[:total], kind)  # a copy: the engine's thread goes on appending

        chunks = pl.DataFrame(
            {
                "request_id": requests["request_id"].gather(ids) if total else pl.Series([], dtype=pl.String),
                "index": (np.arange(total) - offsets).astype(np.int32),
                "arrival_s": number(self._arrival, np.float64),
                "error_s": number(self._error, np.float64),
                "tokens": pl.repeat(None, total, dtype=pl.Int32, eager=True),
                "text_start": number(self._starts, np.int32),
                "text_end": number(self._ends, np.int32),
            },
            schema=CHUNK_SCHEMA,
        )
        missing = [pl.when(pl.col(c) >= 0).then(pl.col(c)).alias(c) for c in ("text_start", "text_end")]
        return requests, chunks.with_columns(missing)
