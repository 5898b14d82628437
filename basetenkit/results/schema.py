"""The columns of `run.requests` and `run.chunks`: type and meaning of each, defined only here.

A value that was not measured is null. Names that end in `_s` are Float64 seconds on one monotonic clock.
"""

from __future__ import annotations

import polars as pl

from ..config.loads import OpenLoop

NOTES = pl.List(pl.Struct({"code": pl.String(), "fields": pl.String()}))

COLUMNS: dict[str, tuple[pl.DataType, str]] = {
    "request_id": (pl.String(), "the request's own id, unique in a run; sent as x-baseten-customer-request-id"),
    "scenario": (pl.String(), "the traffic scenario, in its canonical form"),
    "load": (pl.String(), "'concurrency' (closed loop) or 'request_rate' (open loop)"),
    "level": (pl.Float64(), "requests in flight, or requests per second"),
    "repeat": (pl.Int32(), "which repeat of the level, from 0"),
    "phase": (
        pl.String(),
        "'preflight', 'warmup', 'ramp' (before the load has settled), 'measured', or 'cooldown' (keeps the load constant until "
        "every measured request has ended); figures use 'measured' only",
    ),
    "number": (
        pl.Int64(),
        "position of the request in its level and repeat, from 0; the same for each attempt",
    ),
    "attempt": (pl.Int64(), "number of this attempt, from 1; only failed warm-up requests are sent again"),
    "conversation_id": (
        pl.String(),
        "the request's conversation: the request_id of its first turn",
    ),
    "turn": (pl.Int64(), "number of the turn in its conversation, from 1"),
    "message_count": (
        pl.Int64(),
        "messages in the request, including the last one; null outside conversations",
    ),
    "in_window": (pl.Boolean(), "whether the figures use the row: measured, and not left out by the window"),
    "started_at": (
        pl.Datetime("us", "UTC"),
        "when it was sent, by the wall clock; for people only, no figure uses it",
    ),
    "scheduled_s": (
        pl.Float64(),
        "when the request was due, since the level's start; in a closed loop, when its user was free",
    ),
    "start_s": (
        pl.Float64(),
        "when the client started it, since the level's start; start_s - scheduled_s is the client's lag, and connecting takes "
        "place between start_s and sent_s",
    ),
    "sent_s": (pl.Float64(), "when its first byte was written, since the level's start"),
    "end_s": (pl.Float64(), "when it ended in any way, since the level's start"),
    "upload_s": (pl.Float64(), "from the send until the request's last byte was written"),
    "ttft_s": (
        pl.Float64(),
        "from the send to the first non-empty content, reasoning, refusal or tool-call delta; null if not streamed, or if a "
        "header gave the length of the stream",
    ),
    "first_byte_s": (pl.Float64(), "from the send to the first body byte"),
    "first_content_s": (
        pl.Float64(),
        "from the send to the first non-empty content delta; later than ttft_s if reasoning came first",
    ),
    "tpot_s": (
        pl.Float64(),
        "time per output token: (e2e_s - ttft_s) / the text's tokens that came after the first message; hidden reasoning and "
        "other choices do not count; null if no token came after the first message",
    ),
    "e2e_s": (
        pl.Float64(),
        "from the send to the arrival of the last output token; if not streamed, to the end of the body",
    ),
    "ttft_error_s": (
        pl.Float64(),
        "proven bound: the token came at ttft_s, or at most this much earlier",
    ),
    "e2e_error_s": (pl.Float64(), "the same bound for e2e_s"),
    "clock": (pl.String(), "'kernel' if the operating system timestamped the bytes, else 'user'"),
    "dns_s": (
        pl.Float64(),
        "DNS look-up for the connection that it opened; null on a reused one; never part of ttft_s",
    ),
    "connect_s": (
        pl.Float64(),
        "TCP connect of the connection that it opened; null on a reused one; never part of ttft_s",
    ),
    "tls_s": (
        pl.Float64(),
        "TLS handshake of the connection that it opened; null on a reused one; never part of ttft_s",
    ),
    "rtt_s": (
        pl.Float64(),
        "the connection's smoothed round trip when the response ended (TCP_INFO); null if the system does not report it",
    ),
    "retransmits": (pl.Int64(), "segments that this machine sent again on the connection (TCP_INFO)"),
    "input_tokens": (
        pl.Int64(),
        "input tokens that figures use: the server's count if it is plausible, else the tokenizer's",
    ),
    "output_tokens": (
        pl.Int64(),
        "output tokens that figures use: the server's count if it is plausible, else the tokenizer's",
    ),
    "token_source": (
        pl.String(),
        "'server' or 'tokenizer': the source of output_tokens (for embeddings, of input_tokens)",
    ),
    "input_tokens_target": (pl.Int64(), "input tokens that the scenario requested"),
    "output_tokens_target": (pl.Int64(), "output tokens that the scenario requested; sent as max_tokens"),
    "input_tokens_server": (
        pl.Int64(),
        "input tokens that the server reported; null if it reported none, or an implausible number",
    ),
    "output_tokens_server": (
        pl.Int64(),
        "output tokens that the server reported; null if it reported none, or an implausible number",
    ),
    "reasoning_tokens": (pl.Int64(), "reasoning tokens that the server reported; part of its output count"),
    "cached_tokens": (pl.Int64(), "input tokens from the server's cache, as the server reported them"),
    "input_tokens_client": (pl.Int64(), "the prompt's tokens by the tokenizer, without the server's chat template"),
    "output_tokens_client": (pl.Int64(), "the output's tokens by the tokenizer, counted on the whole text at once"),
    "output_chunks": (pl.Int64(), "output events that arrived"),
    "batch_size": (pl.Int64(), "inputs in the request (embeddings)"),
    "embedding_dimension": (pl.Int64(), "numbers in each vector of the response"),
    "image_count": (pl.Int64(), "images in the request"),
    "image_bytes": (pl.Int64(), "bytes of those images as encoded, before base64"),
    "image_pixels": (pl.Int64(), "pixels of those images"),
    "outcome": (
        pl.String(),
        "ok, http_error, api_error, incomplete, empty, malformed, timeout, connection_error or cancelled",
    ),
    "status": (pl.Int64(), "the HTTP status; null if no response head came"),
    "error_message": (pl.String(), "one sentence; null if the outcome is ok"),
    "error_cause": (
        pl.String(),
        "why a request was not sent, if known: 'own_limit' (of this machine), 'unresolved', 'refused', "
        "'tls_certificate' or 'tls_handshake'",
    ),
    "error_source": (pl.String(), "'model', 'gateway' or 'unknown'"),
    "upstream_request_id": (pl.String(), "the id that the server gave the request"),
    "wire_format": (pl.String(), "'sse', 'ndjson', 'json', 'text' or 'embedding'"),
    "finish_reason": (pl.String(), "the finish reason that the server reported"),
    "host": (pl.String(), "the machine that sent it; null without a cluster"),
    "worker": (pl.String(), "the address of the Dask worker that sent it; null without a cluster"),
    "text": (pl.String(), "the whole output text"),
    "notes": (
        NOTES,
        "notes on this response: each has a code, and its figures as a JSON object",
    ),
    "warnings": (pl.List(pl.String()), "the same notes in words, each as 'code: sentence'"),
}

CHUNK_COLUMNS: dict[str, tuple[pl.DataType, str]] = {
    "request_id": (pl.String(), "the row that the chunk belongs to"),
    "index": (pl.Int32(), "number of the output event, from 0"),
    "arrival_s": (pl.Float64(), "latest time at which the byte that completed the event came, since the send"),
    "error_s": (pl.Float64(), "proven bound: it came at arrival_s, or at most this much earlier"),
    "tokens": (pl.Int32(), "tokens of the event's text by the tokenizer; null unless counted"),
    "text_start": (pl.Int32(), "where its text starts in the row's text, in characters (content events)"),
    "text_end": (pl.Int32(), "where its text ends in the row's text, in characters (content events)"),
}

SCHEMA = {name: kind for name, (kind, _) in COLUMNS.items()}
STORED = {name: kind for name, kind in SCHEMA.items() if name != "warnings"}  # those are made of `notes`
CHUNK_SCHEMA = {name: kind for name, (kind, _) in CHUNK_COLUMNS.items()}

LEVEL = ["scenario", "load", "level"]  # what figures are of
UNIT = [*LEVEL, "repeat"]
OPEN_LOOP = pl.col("load") == OpenLoop.kind  # rows of open loops


def is_open_loop(rows: pl.DataFrame) -> bool:
    """Whether the rows of one level are of an open loop; False without rows."""
    return bool(rows.height) and rows["load"][0] == OpenLoop.kind
