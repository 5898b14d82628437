"""Framing: how each body is recognised, and the byte range of every message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basetenkit.parsing.wire import framing, ndjson_messages, sse_messages, text_events

SSE = b'data: {"a":1}\n\n'


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (SSE, "text/event-stream", "sse"),
        (SSE, "text/event-stream; charset=utf-8", "sse"),
        (SSE, "application/octet-stream", "sse"),
        (SSE, "application/json", "sse"),
        (SSE, None, "sse"),
        (b"data: [DONE]\n\n", "text/plain", "sse"),
        (b"id: 1\nevent: x\ndata: words\n\n", "text/plain", "sse"),
        (b"data: words\n\n", "text/plain", "text"),
        (b"data: words\n\n", "text/event-stream", "sse"),
        (b"", "text/event-stream", "sse"),
        (b"da", "text/event-stream", "sse"),
        (b"words", "text/event-stream", "text"),
        (b'{"error":"x"}', "text/event-stream", "json"),
        (b'{"text":"x"}', "application/json; charset=utf-8", "json"),
        (b'{"text":"x"}', "application/problem+json", "json"),
        (b'{"text":"x"}', "application/octet-stream", "json"),
        (b'{"text":"x"} and', "application/octet-stream", "text"),
        (b'{"a":1}\n{"b":2}\n', "application/octet-stream", "ndjson"),
        (b'{"a":1}\n{"b"', "application/octet-stream", "ndjson"),
        (b'{"a":1}\n', "application/x-ndjson", "ndjson"),
        (b'{"a":1}\n', "application/jsonl", "ndjson"),
        (b"[1, 2]", "text/plain", "text"),
        (b"[1, 2]", None, "json"),
        (b'"x"', None, "json"),
        (b'"x" and', None, "text"),
        (b"words", "application/json", "json"),
        (b"words", None, "text"),
        (b"<!DOCTYPE html><p>", "text/plain", "html"),
        (b"<html>", "application/octet-stream", "text"),
        (b"whatever", "text/html", "html"),
    ],
)
def test_framing(body: bytes, kind: str | None, expected: str) -> None:
    assert framing(body, kind).kind == expected


def test_the_end_of_a_message_is_after_its_blank_line() -> None:
    body = b": hi\n\ndata: 1\n\nevent: e\ndata: 2\ndata: 3\n\ndata: 4"
    assert list(sse_messages(body)) == [
        (None, b"1", 6, 15, True),
        ("e", b"2\n3", 15, 41, True),
        (None, b"4", 41, 48, False),
    ]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_any_line_end(end: str) -> None:
    body = f"data: 1{end}{end}id: 7{end}data:2{end}{end}retry: 1{end}{end}data{end}data{end}{end}".encode()
    messages = list(sse_messages(body))
    assert [data for _, data, _, _, _ in messages] == [b"1", b"2", b"\n"]
    assert messages[0][3] == len(f"data: 1{end}{end}")
    assert messages[-1][3] == len(body)


def test_surplus_blank_lines_and_a_byte_order_mark() -> None:
    body = b"\xef\xbb\xbfdata: 1\n\n\n\n\ndata: 2\n\n"
    assert [(data, start, end) for _, data, start, end, _ in sse_messages(body)] == [(b"1", 3, 12), (b"2", 15, 24)]


@given(
    st.lists(st.sampled_from([b"data: x", b"data:y", b"\n", b"\n\n", b": c", b"event: e", b"data", b"z"]), max_size=20)
)
def test_the_fast_way_and_the_line_by_line_way_agree(parts: list[bytes]) -> None:
    # A carriage return at the very end sends the same body the other way, and changes no message that was complete.
    body = b"".join(parts)
    fast = [(name, data, end) for name, data, _, end, whole in sse_messages(body) if whole]
    slow = [
        (name, data, end) for name, data, _, end, whole in sse_messages(body + b":\r") if whole and end <= len(body)
    ]
    assert fast == slow
    assert all(0 <= start < end <= len(body) for _, _, start, end, _ in sse_messages(body))


def test_lines_of_ndjson() -> None:
    body = b'{"a":1}\r\n\n\x1e{"b":[2]}\n{"c":3'
    assert list(ndjson_messages(body)) == [
        (None, b'{"a":1}', 0, 9, True),
        (None, b'{"b":[2]}', 10, 21, True),
        (None, b'{"c":3', 21, 27, False),
    ]


def test_documents_by_their_brackets() -> None:
    assert [m[1:4] for m in ndjson_messages(b'{"a":"}{"} {"b":\n2}')] == [
        (b'{"a":"}{"}', 0, 10),
        (b'{"b":\n2}', 11, 19),
    ]
    assert [m[1] for m in ndjson_messages(b'{\n"a":1\n}\n{\n"b":2\n}')] == [b'{\n"a":1\n}', b'{\n"b":2\n}']


def test_each_read_of_a_text_stream_is_an_event() -> None:
    body = "aé🙂".encode()
    assert list(text_events(body, [1, 2, 3, 5, 7], False)) == [("a", 0, 1), ("é", 1, 3), ("🙂", 3, 7)]
    assert list(text_events(body, [2, 4, 7], False)) == [("a", 0, 2), ("é", 1, 4), ("🙂", 3, 7)]
    assert list(text_events(body, [], False)) == [("aé🙂", 0, 7)]


def test_half_a_character_at_the_end() -> None:
    body = "é".encode()[:1]
    assert list(text_events(b"a" + body, [1, 2], True)) == [("a", 0, 1)]
    assert list(text_events(b"a" + body, [1, 2], False)) == [("a\ufffd", 0, 2)]
    assert list(text_events(body, [1], False)) == [("\ufffd", 0, 1)]


@given(st.text(max_size=40), st.lists(st.integers(0, 160), max_size=10))
def test_text_is_the_exact_sum_of_its_events(text: str, cuts: list[int]) -> None:
    body = text.encode()
    ends = [*sorted(min(cut, len(body)) for cut in cuts), len(body)]
    events = list(text_events(body, ends, False))
    assert "".join(t for t, _, _ in events) == text.removeprefix("\ufeff")
    assert all(t for t, _, _ in events)
    assert all(end in ends for _, _, end in events)


@pytest.mark.parametrize("shift", range(-4, 4))
def test_blank_lines_across_an_edge_of_what_is_split_at_a_time_change_nothing(shift: int) -> None:
    first = b"data: " + b"x" * ((1 << 20) - len(b"data: ") + shift)
    body = first + b"\n\n\n" + b"data: y\n\n"
    assert list(sse_messages(body)) == [
        (None, first[6:], 0, len(first) + 2, True),
        (None, b"y", len(first) + 3, len(body), True),
    ]
