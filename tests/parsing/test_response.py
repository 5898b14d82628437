"""The whole road: outcomes, times, byte ranges, explain, and `parse`."""

from __future__ import annotations

import gzip
from array import array

import pytest

from basetenkit.core.types import Failure, Outcome, OutputEvent
from basetenkit.parsing import parse, parse_response

from .cases import load

SSE = [("Content-Type", "text/event-stream")]
A = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
B = b'data: {"choices":[{"delta":{"content":"b","reasoning":"t"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


def test_byte_ranges_and_reads() -> None:
    body = bytearray(b": hi\n\n" + A + B + DONE)
    first, second = 6 + len(A), 6 + len(A) + len(B)
    # Reads: one that brought only the head, one that ends with A, one within B, one with the rest.
    parsed = parse_response(body, array("q", [0, first, first + 5, len(body)]), headers=SSE)
    assert (parsed.event_starts, parsed.event_ends) == ([6, first, first], [first, second, second])
    assert parsed.event_reads == [1, 3, 3]
    assert parsed.event_closes == [True, False, False]
    assert parsed.event_kinds == ["content", "reasoning", "content"]
    assert body[parsed.event_starts[0] : parsed.event_ends[0]] == A
    assert (parsed.text, parsed.reasoning) == ("ab", "t")


def test_reads_that_repeat_an_end_give_the_first() -> None:
    parsed = parse_response(A + DONE, [0, len(A), len(A), len(A + DONE)], headers=SSE)
    assert (parsed.event_reads, parsed.event_closes) == ([1], [True])


def test_without_reads_nothing_is_told_of_times() -> None:
    parsed = parse_response(A + DONE, headers=SSE)
    assert (parsed.event_reads, parsed.event_closes) == ([-1], [False])
    assert parsed.events == [OutputEvent("a", "content", 0, len(A), None, None)]


def test_an_encoded_body_closes_nothing() -> None:
    body = gzip.compress(A + DONE)
    parsed = parse_response(body, [len(body)], headers=[*SSE, ("content-encoding", "gzip")])
    assert (parsed.text, parsed.event_reads, parsed.event_closes) == ("a", [0], [False])
    assert parsed.event_ends == [len(A)]


def test_arrival_is_that_of_the_chunk_with_the_last_byte() -> None:
    body = A + B + DONE
    chunks = [(0.1, body[:20]), (0.2, b""), (0.3, body[20 : len(A) + 4]), (0.7, body[len(A) + 4 :])]
    parsed = parse(chunks, headers={"content-type": "text/event-stream"})
    assert [(e.text, e.arrival_s) for e in parsed.events] == [("a", 0.3), ("t", 0.7), ("b", 0.7)]
    assert [e.arrival_s for e in parse([A, DONE]).events] == [None]
    assert parse(iter([A, DONE])).event_reads == [0]


def test_events_of_one_read_are_noted() -> None:
    same = [w for w in parse([A + A + A, A + DONE]).warnings if w.startswith("same_time")]
    assert same == ["same_time: 3 output events arrived in one read: the gaps between them are not known"]
    assert not [w for w in parse([A, A, DONE]).warnings if w.startswith("same_time")]


def test_any_prefix_of_a_stream_gives_the_events_that_were_whole_by_then() -> None:
    body = A + B + A + DONE
    whole = parse_response(body, headers=SSE)
    for n in range(len(body)):
        part = parse_response(body[:n], headers=SSE, failure=Failure(Outcome.CANCELLED, "replay"))
        expected = [i for i, end in enumerate(whole.event_ends) if end <= n]
        # The last one may be there early: its blank line adds nothing to it.
        assert part.event_texts[: len(expected)] == whole.event_texts[: len(expected)]
        assert len(part.event_texts) - len(expected) in (0, 1, 2)
        assert whole.text.startswith(part.text)


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.CANCELLED, Outcome.INCOMPLETE, Outcome.MALFORMED])
def test_the_transports_verdict_stands_and_what_came_is_kept(outcome: Outcome) -> None:
    parsed = parse_response(A + DONE, headers=SSE, failure=Failure(outcome, "why"))
    assert (parsed.outcome, parsed.error_message, parsed.text) == (outcome, "why", "a")


def test_a_failure_before_any_status() -> None:
    parsed = parse_response(b"", status=0, failure=Failure(Outcome.CONNECTION_ERROR, "refused"))
    assert (parsed.outcome, parsed.error_message, parsed.event_texts) == (Outcome.CONNECTION_ERROR, "refused", [])


@pytest.mark.parametrize("name", ["X-Baseten-Request-Id", "x-request-id", "Request-Id"])
def test_the_servers_own_id_of_the_request(name: str) -> None:
    assert parse(b"", headers={name: "abc"}).upstream_request_id == "abc"
    assert parse(b"", headers=[("x-request-id", "b"), ("x-baseten-request-id", "a")]).upstream_request_id == "a"
    assert parse(b"").upstream_request_id is None


def test_a_bad_status_is_never_output() -> None:
    parsed = parse(A + DONE, status=503)
    assert (parsed.outcome, parsed.text, parsed.events) == (Outcome.HTTP_ERROR, "", [])


def test_counts_of_several_choices_have_several_times_the_room() -> None:
    body = (
        b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
        b'data: {"choices":[{"index":1,"delta":{"content":"a"}}],"usage":{"completion_tokens":15}}\n\n'
    )
    assert parse_response(body + DONE, headers=SSE, max_tokens=10).completion_tokens == 15
    assert parse_response(body + DONE, headers=SSE, max_tokens=5).completion_tokens is None


def test_explain_tells_the_decisions_in_order() -> None:
    lines = load("15_error_mid_stream").parse().explain().splitlines()
    assert [line.partition(".")[0] for line in lines] == [str(n) for n in range(1, len(lines) + 1)]
    assert "framing: sse" in lines[0]
    assert "b'data: {" in lines[0]
    assert "dialect: OpenAI" in lines[1]
    assert "reports an error" in lines[2]
    assert lines[-1].endswith("outcome: api_error, out of memory")


def test_chunks_of_text_and_what_is_no_chunk() -> None:
    assert parse("hé").text == "hé"
    assert parse(["h", "é"]).event_texts == ["h", "é"]
    with pytest.raises(TypeError, match="a chunk is int"):
        parse([1, 2])
    with pytest.raises(TypeError, match="all or none"):
        parse([(0.1, b"a"), b"b"])
