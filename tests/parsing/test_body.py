"""A body by its framing."""

from __future__ import annotations

import pytest

from basetenkit.parsing import body as module
from basetenkit.parsing.body import ParseContext, read_body
from basetenkit.parsing.collector import Collector


def read(body: bytes, kind: str = "", asked: ParseContext | None = None, **headers: str) -> Collector:
    out = Collector(body)
    pairs = [("Content-Type", kind), *((key.replace("_", "-"), value) for key, value in headers.items())]
    read_body(out, [len(body)], pairs, asked or ParseContext())
    return out


@pytest.mark.parametrize(
    ("body", "kind", "wire_format", "streamed"),
    [
        (b"data: [DONE]\n\n", "text/event-stream", "sse", True),
        (b'{"text":"a"}\n', "application/x-ndjson", "ndjson", True),
        (b'{"text":"a"}', "application/json", "json", False),
        (b'{"text":"a"}{"text":"b"}', "application/json", "ndjson", True),
        (b'{"name":"a"}', "application/octet-stream", "text", True),
        (b"words", "text/plain", "text", True),
        (b"<html>", "text/html", "text", False),
        (b"[[1.0]]", "application/json", "embedding", False),
        (b"", "text/event-stream", "sse", False),
    ],
)
def test_format(body: bytes, kind: str, wire_format: str, streamed: bool) -> None:
    out = read(body, kind)
    assert (out.wire_format, out.streamed) == (wire_format, streamed)
    assert not read(body, kind, ParseContext(stream=False)).streamed


def test_a_text_whose_length_was_told_ahead_is_no_stream() -> None:
    out = read(b"words", "text/plain", content_length="5")
    assert (out.streamed, out.notes[0].code) == (False, "not_streamed")


def test_a_text_that_was_cut_needs_no_other_warning() -> None:
    assert read("café".encode()[:-1], "text/plain", ParseContext(is_cut=True)).notes == []


def test_json_that_was_declared_is_held_for_json() -> None:
    assert "not JSON" in (read(b"words", "application/json").broken or "")
    assert "name" in (read(b'{"name":"a"}', "application/json").broken or "")
    assert read(b'{"name":"a"}', "text/plain").texts == ['{"name":"a"}']
    assert "nowhere" in (
        read(b'{"name":"a"}', "text/plain", ParseContext(response_path="x")).broken or "no JSON document"
    )


def test_a_document_that_is_cut_off_is_incomplete() -> None:
    assert "cut off after 9 bytes" in (read(b'{"text":"', "application/json").cut or "")


def test_what_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DOCUMENT", 10)
    assert "longer than 10" in (read(b'{"text":"abc"}', "application/json").broken or "")
    assert "longer than 10" in (read(b"words words words", "text/plain").broken or "")
