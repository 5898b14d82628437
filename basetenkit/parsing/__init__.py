"""What came back. `parse` reads any response's bytes; the engine's own path, `response.parse_response`, is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from basetenkit.parsing.response import ParsedResponse, parse_response

__all__ = ["ParsedResponse", "parse", "parse_response"]

Chunk = bytes | str | tuple[float, bytes]


def parse(
    chunks: bytes | bytearray | str | Iterable[Chunk],
    *,
    status: int = 200,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    stream: bool = True,
    response_path: str | None = None,
    prompt: str | None = None,
) -> ParsedResponse:
    """Reads one response from its body, whole or as it came.

    `chunks`: bytes; or an iterable of bytes; or of (seconds, bytes), and then each event has its `arrival_s`, the seconds
    of the chunk that completed it. `stream` says whether a stream was asked for. TypeError where a chunk is neither.
    """
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers or ())
    body, ends, times = _join(chunks)
    parsed = parse_response(
        body, ends, status=status, headers=pairs, stream=stream, response_path=response_path, prompt=prompt
    )
    parsed.read_times = times
    return parsed


def _join(chunks: bytes | bytearray | str | Iterable[Chunk]) -> tuple[bytes, list[int], list[float]]:
    """(body, its length after each chunk, the seconds of each chunk): what of these was given."""
    if isinstance(chunks, (bytes, bytearray, memoryview)):
        return bytes(chunks), [], []
    if isinstance(chunks, str):
        return chunks.encode("utf-8", "replace"), [], []
    body, ends, times = bytearray(), [], []
    for chunk in chunks:
        if isinstance(chunk, tuple):
            times.append(float(chunk[0]))
            chunk = chunk[1]
        data = chunk.encode("utf-8", "replace") if isinstance(chunk, str) else chunk
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"a chunk is {type(data).__name__}; bytes or (seconds, bytes) is right")
        body += data
        ends.append(len(body))
    if times and len(times) != len(ends):
        raise TypeError("some chunks have a time and some have none; all or none is right")
    return bytes(body), ends, times
