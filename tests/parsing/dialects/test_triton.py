"""Triton's generate and generate_stream."""

from __future__ import annotations

from basetenkit.parsing import parse
from basetenkit.parsing.dialects.triton import read_triton

from .helpers import events, read_all, refuses

SSE = {"content-type": "text/event-stream"}


def piece(text: str, end: bool = False) -> dict[str, object]:
    return {"model_name": "m", "model_version": "1", "sequence_end": end, "sequence_id": 0, "text_output": text}


def test_pieces() -> None:
    out = read_all(read_triton, piece("a"), piece(""), piece(" b"))
    assert events(out) == [("a", "content"), (" b", "content")]
    assert (out.is_endless, out.finished) == (True, False)
    assert read_all(read_triton, piece("a", True)).finished


def test_what_has_no_text_output_is_not_taken() -> None:
    assert refuses(read_triton, {"model_name": "m", "text": "a"})


def test_a_stream_without_an_end_mark_is_ok_and_unverified() -> None:
    body = "".join(
        f"data: {str(piece(t)).replace(chr(39), chr(34)).replace('False', 'false')}\n\n" for t in ("a", " b")
    ).encode()
    for path in (None, "text_output"):
        parsed = parse(body, headers=SSE, response_path=path)
        assert (parsed.outcome, parsed.text) == ("ok", "a b")
        assert any(w.startswith("completion_unverified") for w in parsed.warnings)
    assert parse(body[:-20], headers=SSE).outcome == "incomplete"
    assert parse(body + b'data: {"error":"the model died"}\n\n', headers=SSE).outcome == "api_error"
