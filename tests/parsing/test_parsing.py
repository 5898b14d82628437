"""Every case file, whole, byte by byte and split at random: the result is the same, because splitting cannot matter."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from basetenkit.core.types import Outcome
from basetenkit.parsing import ParsedResponse, parse, parse_response

from ..examples import examples
from .cases import CASES, FOLDER, Case, codes, differences

SPLIT = [case for case in CASES if not case.depends_on_reads and len(case.body) < 4000]
SPLIT_FIELDS = [
    f.name
    for f in fields(ParsedResponse)
    if f.name not in {"event_reads", "event_closes", "notes", "decisions", "read_times", "counts"}
]


def what(parsed: ParsedResponse) -> dict[str, Any]:
    """All of a result that must not depend on how the bytes were split."""
    said = {name: getattr(parsed, name) for name in SPLIT_FIELDS} | {"codes": codes(parsed), "counts": parsed.counts}
    said["embeddings"] = repr(parsed.embeddings)  # NaN is not equal to itself
    if parsed.wire_format == "text":
        said = {k: v for k, v in said.items() if not k.startswith("event_")}
    return said


def test_there_is_a_case_for_each_row_of_the_table() -> None:
    rows = {case.name[:2] for case in CASES if case.name[:2].isdigit()}
    assert rows == {f"{n:02d}" for n in range(1, 46)}
    assert {p.stem for p in FOLDER.glob("*.body")} == {case.name for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_whole(case: Case) -> None:
    parsed = case.parse(case.chunk_ends)
    assert case.expect["outcome"] == parsed.outcome, parsed.explain()
    assert differences(parsed, case.expect) == [], parsed.explain()
    assert parsed.error_message is None or parsed.outcome is not Outcome.OK
    assert parsed.error_message or parsed.outcome is Outcome.OK


@pytest.mark.parametrize("case", SPLIT, ids=lambda case: case.name)
def test_case_byte_by_byte(case: Case) -> None:
    parsed = case.parse(range(1, len(case.body) + 1))
    assert what(parsed) == what(case.parse())
    if not case.about["headers"].get("content-encoding"):
        # A read ends after each byte, so each event is completed by the read of its last byte, exactly there.
        assert [i + 1 for i in parsed.event_reads] == parsed.event_ends
        assert all(parsed.event_closes)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=st.sampled_from(SPLIT), data=st.data())
def test_case_split_at_random(case: Case, data: st.DataObject) -> None:
    length = len(case.body)
    ends = [*sorted(data.draw(st.lists(st.integers(0, length), max_size=12))), length]
    parsed = case.parse(ends)
    assert what(parsed) == what(case.parse())
    for read, end, closes in zip(parsed.event_reads, parsed.event_ends, parsed.event_closes, strict=True):
        if not case.about["headers"].get("content-encoding"):
            assert ends[read] >= end
            assert read == 0 or ends[read - 1] < end
            assert closes == (ends[read] == end)


FRAGMENTS = st.sampled_from(
    [
        b"data: ", b"data:", b"event: error\n", b": ping\n", b"\n", b"\n\n", b"\r\n\r\n", b"\r", b"[DONE]", b"{", b"}", b"[",
        b"]", b'"', b'{"choices":', b'[{"delta":', b'{"content":"a"}', b'"index":1,', b"}]}", b"null", b"NaN", b"\\ud83d",
        b'{"error":{"message":["x"]}}', b'{"text":"a"}', b'{"usage":{"completion_tokens":"x"}}', b"\xff", b"\xf0\x9f",
        b"\xef\xbb\xbf", b'{"data":[{"embedding":', b"1e999", b'{"output":[[', b'{"type":"content_block_delta","delta":1}',
        b'{"type":"response.failed","response":{"error":1}}', b'{"message":{"content":1},"done":true}',
        b'{"token":{"text":1},"details":[]}', b'{"text":1,"meta_info":{"finish_reason":{}}}', b"<html>", b"\x00", b"9" * 400,
    ]
)  # fmt: skip
BODIES = st.one_of(st.binary(max_size=200), st.lists(FRAGMENTS, max_size=14).map(b"".join))
TYPES = st.sampled_from(
    ["", "text/event-stream", "application/json", "application/x-ndjson", "text/plain", "text/html"]
)


# Objects with any known key holding anything: what a server puts where something else belongs.
KEYS = [
    "choices", "delta", "message", "content", "text", "reasoning", "tool_calls", "function", "name", "arguments",
    "refusal", "finish_reason", "usage", "index", "error", "status", "detail", "loc", "msg", "code", "type", "object",
    "output", "response", "data", "embedding", "embeddings", "model_output", "outputs", "token", "generated_text",
    "details", "meta_info", "done", "prompt_tokens", "completion_tokens", "input_tokens", "cache_read_input_tokens",
    "item", "part", "prompt_tokens_details", "summary", "content_block", "stop_reason", "incomplete_details",
    "thinking", "predictions", "result", "stop", "special",
]  # fmt: skip
TYPE_VALUES = [
    "error", "message", "message_start", "message_delta", "content_block_delta", "content_block_start", "text_delta",
    "text", "tool_use", "thinking", "response", "response.completed", "response.output_item.added",
    "response.output_text.delta", "function_call", "reasoning",
]  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.just(2**70), st.floats(), st.just("\ud83d"), st.sampled_from(["", "a"]),
    st.sampled_from(TYPE_VALUES),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=24,
)


@settings(max_examples=examples(350), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(docs=st.lists(VALUES, min_size=1, max_size=4), inputs=st.sampled_from([None, None, 1, 2]), sse=st.booleans())
def test_no_documents_raise(docs: list[Any], inputs: int | None, sse: bool) -> None:
    texts = [json.dumps(doc) for doc in docs]
    body = "".join(f"data: {text}\n\n" for text in texts) if sse else "\n".join(texts)
    for status in (200, 400):
        parsed = parse_response(body.encode(), status=status, inputs=inputs, max_tokens=2, prompt="a")
        assert (parsed.outcome is Outcome.OK) == (parsed.error_message is None)
        assert "".join([*parsed.event_texts, *parsed.warnings, parsed.error_message or "", parsed.explain()]).encode()


@pytest.mark.parametrize("key", KEYS)
def test_no_depth_exhausts_the_stack(key: str) -> None:
    for opening, closing in (("{K", "}"), ("[{K", "}]"), ('{"type":"message",K[', "]}")):
        for depth in (300, 900):
            body = (opening.replace("K", f'"{key}":') * depth + "1" + closing * depth).encode()
            for status in (200, 500):
                parsed = parse_response(body, status=status, headers=[("content-type", "application/json")], inputs=1)
                assert parsed.outcome is not Outcome.OK or parsed.text or parsed.embeddings


@settings(max_examples=examples(1200), deadline=None)
@given(
    body=BODIES,
    kind=TYPES,
    status=st.sampled_from([200, 200, 200, 307, 429, 500]),
    stream=st.booleans(),
    encoding=st.sampled_from(["", "", "", "gzip", "deflate", "br", "zstd", "gzip, deflate"]),
    path=st.sampled_from([None, None, "a.0.b", "choices.0", "text"]),
)
def test_no_bytes_raise(body: bytes, kind: str, status: int, stream: bool, encoding: str, path: str | None) -> None:
    headers = {"content-type": kind} | ({"content-encoding": encoding} if encoding else {})
    chunks = [(i * 0.5, body[i : i + 7]) for i in range(0, len(body), 7)]
    parsed = parse(chunks, status=status, headers=headers, stream=stream, response_path=path, prompt="a")
    assert parsed.outcome in set(Outcome) - {Outcome.TIMEOUT, Outcome.CONNECTION_ERROR, Outcome.CANCELLED}
    assert (parsed.outcome is Outcome.OK) == (parsed.error_message is None)
    assert (parsed.outcome is Outcome.HTTP_ERROR) == (status != 200)
    assert parsed.event_ends == sorted(parsed.event_ends)
    assert all(text or parsed.outcome is not Outcome.OK or len(parsed.event_texts) > 1 for text in parsed.event_texts)
    assert all(event.arrival_s is not None for event in parsed.events)
    said = [parsed.text, parsed.reasoning, parsed.refusal, parsed.error_message or "", parsed.finish_reason or ""]
    assert "".join(said + parsed.event_texts + parsed.warnings).encode()
