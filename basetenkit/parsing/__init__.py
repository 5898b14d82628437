"""What came back. `parse` reads any response's bytes; the engine's own path, `response.parse_response`, is the same."""

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
    """Reads one response from its body, whole or as it came, or from what somebody kept of it.

    `chunks`: bytes or text; or an iterable of bytes; or of (seconds, bytes), and then each event has its `arrival_s`, the
    seconds of the chunk that completed it. Also what `curl -i` printed (it begins with `HTTP/1.1 200 OK`), a HAR entry
    (a dict), and an `httpx.Response`, whose times are used where it came by `TimedTransport`; these have a status and
    headers of their own, over which `status` (else 200) and each of `headers` win. `stream` says whether a stream was
    asked for. TypeError where `chunks` is none of these; no bytes raise.
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
