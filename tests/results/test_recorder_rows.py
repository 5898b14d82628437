"""Rows of responses that have no stream, no output, an error, or no end."""

from __future__ import annotations

import json

import pytest

from basetenkit.core.types import Failure, Outcome, Request
from basetenkit.results.recorder import first_byte_ns

from .test_recorder import DONE, MS, SENT, STREAM, Read, exchange, row_of, said, usage


def test_what_never_got_a_byte_has_no_wire_format() -> None:
    failure = Failure(Outcome.CONNECTION_ERROR, "nobody answers")
    assert row_of(exchange([], failure=failure, status=None, headers=[]))["wire_format"] is None


def test_output_is_counted_on_the_whole_text_at_once() -> None:
    row = row_of(exchange([(30, 29, True, said("wo")), (40, 39, True, said("rd")), (41, 40, True, DONE)]))
    assert (row["output_chunks"], row["output_tokens_client"]) == (2, 1)


def test_cached_tokens_are_kept_as_reported() -> None:
    counts = usage(prompt_tokens=30, completion_tokens=1, prompt_tokens_details={"cached_tokens": 16})
    assert row_of(exchange([(30, 29, True, said("x") + counts + DONE)]))["cached_tokens"] == 16


def test_what_was_not_streamed_has_no_first_token_and_ends_with_its_last_body_byte() -> None:
    body = json.dumps(
        {
            "choices": [{"message": {"content": "one two"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2},
        }
    ).encode()
    reads: list[Read] = [(40, 39, True, body[:10]), (80, 72, False, body[10:]), (99, 98, True, b"")]
    x = exchange(reads, headers=[("content-type", "application/json")])
    row = row_of(x, stream=False)
    assert row["outcome"] == "ok"
    assert (row["ttft_s"], row["ttft_error_s"], row["first_content_s"], row["tpot_s"]) == (None,) * 4
    assert row["first_byte_s"] == pytest.approx(0.040)
    assert row["e2e_s"] == pytest.approx(0.080)  # the read after it brought no body
    assert row["e2e_error_s"] == pytest.approx(0.008 + 2e-6)
    assert (row["output_tokens"], row["text"]) == (2, "one two")


def test_a_stream_that_came_as_one_document_has_no_first_token_either() -> None:
    body = b'{"choices":[{"message":{"content":"a b"},"finish_reason":"stop"}]}'
    row = row_of(exchange([(40, 39, True, body)], headers=[("content-type", "application/json")]))
    assert (row["outcome"], row["ttft_s"], row["tpot_s"]) == ("ok", None, None)
    assert row["e2e_s"] == pytest.approx(0.040)
    assert any(n.code == "not_streamed" for n in row["notes"])


def test_a_stream_without_any_output_has_no_last_token() -> None:
    filtered = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}\n\n'
    row = row_of(exchange([(40, 39, True, filtered + DONE)]))
    assert (row["outcome"], row["output_chunks"]) == ("ok", 0)
    assert (row["ttft_s"], row["e2e_s"], row["e2e_error_s"], row["tpot_s"]) == (None,) * 4
    assert row["first_byte_s"] == pytest.approx(0.040)


def test_a_text_stream_has_an_event_a_read() -> None:
    headers = [("content-type", "application/octet-stream")]
    row = row_of(exchange([(40, 39, True, b"one"), (60, 59, True, b" two")], headers=headers))
    assert (row["ttft_s"], row["e2e_s"]) == (pytest.approx(0.040), pytest.approx(0.060))
    assert (row["wire_format"], row["text"], row["output_chunks"]) == ("text", "one two", 2)
    assert any(n.code == "completion_unverified" for n in row["notes"])


def test_embeddings_have_a_dimension_and_no_output_tokens() -> None:
    body = json.dumps(
        {
            "data": [{"index": 0, "embedding": [0.5, 1.0, 2.0]}, {"index": 1, "embedding": [1.0, 1.0, 1.0]}],
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        }
    ).encode()
    request = Request("r", b"", "", batch_size=2, input_tokens_client=7)
    x = exchange([(40, 39, True, body)], request, headers=[("content-type", "application/json")])
    row = row_of(x, stream=False)
    assert (row["outcome"], row["wire_format"], row["embedding_dimension"], row["batch_size"]) == (
        "ok",
        "embedding",
        3,
        2,
    )
    assert (row["input_tokens"], row["output_tokens"], row["token_source"]) == (8, None, "server")
    assert (row["ttft_s"], row["tpot_s"]) == (None, None)
    assert row["e2e_s"] == pytest.approx(0.040)


def test_images_are_counted() -> None:
    row = row_of(exchange(STREAM, Request("r", b"", "", image_count=2, image_bytes=900, image_pixels=512)))
    assert (row["image_count"], row["image_bytes"], row["image_pixels"]) == (2, 900, 512)


CUT = Failure(Outcome.INCOMPLETE, "the connection was closed in the middle")


def test_a_stream_cut_off_keeps_its_first_token_and_has_no_end() -> None:
    row = row_of(exchange(STREAM[:3], failure=CUT))
    assert (row["outcome"], row["error_message"]) == ("incomplete", "the connection was closed in the middle")
    assert row["ttft_s"] == pytest.approx(0.050)
    assert (row["e2e_s"], row["e2e_error_s"], row["tpot_s"]) == (None, None, None)
    assert (row["end_s"], row["output_chunks"], row["text"]) == (pytest.approx(0.620), 3, "one two three")


def test_what_was_never_sent_has_no_times_but_those_of_its_schedule() -> None:
    refused = Failure(Outcome.CONNECTION_ERROR, "no connection to 127.0.0.1:9: refused")
    x = exchange([], status=None, sent_ns=None, uploaded_ns=None, started_at_ns=None, failure=refused, headers=[])
    row = row_of(x)
    assert row["outcome"] == "connection_error"
    times = ("sent_s", "upload_s", "ttft_s", "first_byte_s", "first_content_s", "tpot_s", "e2e_s", "ttft_error_s")
    assert {row[t] for t in times} == {None}
    assert (row["started_at"], row["clock"], row["status"]) == (None, None, None)
    assert (row["scheduled_s"], row["start_s"]) == (pytest.approx(0.100), pytest.approx(0.110))
    assert (row["output_tokens"], row["output_chunks"]) == (None, 0)


def test_an_http_errors_row_says_who_it_was_and_measures_no_latency() -> None:
    headers = [("content-type", "application/json"), ("x-baseten-request-id", "up-1")]
    x = exchange([(40, 39, True, b'{"error": "slow down"}')], status=429, headers=headers)
    row = row_of(x)
    assert (row["outcome"], row["status"], row["upstream_request_id"]) == ("http_error", 429, "up-1")
    assert "slow down" in row["error_message"]
    assert row["first_byte_s"] == pytest.approx(0.040)
    assert (row["ttft_s"], row["e2e_s"], row["tpot_s"], row["output_tokens"]) == (None,) * 4


def test_an_error_in_the_middle_of_a_stream_is_no_success() -> None:
    row = row_of(exchange([*STREAM[:2], (60, 59, True, b'data: {"error": {"message": "out of memory"}}\n\n')]))
    assert (row["outcome"], row["tpot_s"], row["e2e_s"]) == ("api_error", None, None)
    assert "out of memory" in row["error_message"]
    assert row["ttft_s"] == pytest.approx(0.050)


def test_the_first_body_byte_is_not_the_heads() -> None:
    assert first_byte_ns(exchange([(20, 19, True, b""), (40, 39, True, b"x")])) == SENT + 40 * MS
    assert first_byte_ns(exchange([(20, 19, True, b"")])) is None
    assert first_byte_ns(exchange([])) is None
