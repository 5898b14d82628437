"""Parsing: the bytes of a response -> its text, events, tokens and outcome. `parse` reads any response's bytes; the engine's
own path, `response.parse_response`, is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from basetenkit.parsing.response import ParsedResponse, parse_response
from basetenkit.parsing.transcripts import take

__all__ = ["ParsedResponse", "parse", "parse_response"]

Chunk = bytes | str | tuple[float, bytes]


def parse(
    chunks: bytes | bytearray | str | Iterable[Chunk] | Mapping[str, object] | object,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    stream: bool = True,
    response_path: str | None = None,
    prompt: str | None = None,
) -> ParsedResponse:
    """Parses one response: its body as a whole or in chunks, or a saved form of it.

    `chunks`: bytes or text; an iterable of bytes; or an iterable of (seconds, bytes), which gives each event its `arrival_s`,
    the time of the chunk that completed it. It may also be the output of `curl -i` (which begins with `HTTP/1.1 200 OK`), a HAR
    entry (a dict), or an `httpx.Response`, whose times are used if it came through `TimedTransport`. These contain a status and
    headers; `status` (default 200) and each of `headers` replace them. `stream`: whether a stream was requested. TypeError if
    `chunks` is none of these; no bytes raise an error.
    """
    given = take(chunks, status, headers)
    parsed = parse_response(
        given.body,
        given.read_ends,
        status=200 if given.status is None else given.status,
        headers=given.headers or (),
        stream=stream,
        failure=given.failure,
        response_path=response_path,
        prompt=prompt,
    )
    parsed.read_times = given.times
    if given.decision:
        parsed.decisions.insert(0, given.decision)
    return parsed
