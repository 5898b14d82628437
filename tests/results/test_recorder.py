"""Hand-made exchanges -> the exact values of their rows. Times are chosen so that each figure has one right value."""

from __future__ import annotations

import json
import threading
from array import array
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from basetenkit.config.loads import ClosedLoop, LevelKey
from basetenkit.config.plan import PlannedLevel
from basetenkit.core.types import Exchange, Outcome, Request
from basetenkit.parsing import parse_response
from basetenkit.results.recorder import Recorder, event_times
from basetenkit.results.row_notes import saved
from basetenkit.results.schema import CHUNK_SCHEMA, STORED

MS = 1_000_000
ORIGIN = 10_000 * MS
SENT = ORIGIN + 120 * MS
SSE = [("content-type", "text/event-stream")]
KEY = PlannedLevel(3, LevelKey("D(10,4)", ClosedLoop(8)), 1)
Read = tuple[float, float, bool, bytes]  # stamp and earliest in ms since the send, exact, what it brought


def said(content: str | None = None, **delta: Any) -> bytes:
    fields = delta if content is None else {"content": content, **delta}
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": fields}]}).encode() + b"\n\n"


def usage(**counts: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [], "usage": counts}).encode() + b"\n\n"


FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def exchange(reads: list[Read], request: Request | None = None, **kw: Any) -> Exchange:
    """What the engine would have left: `reads`, one after the other."""
    body, flat = b"", array("q")
    for stamp, earliest, exact, data in reads:
        body += data
        flat.extend([SENT + int(stamp * MS), SENT + int(earliest * MS), int(exact), len(body)])
    fields: dict[str, Any] = {
        "scheduled_ns": ORIGIN + 100 * MS,
        "start_ns": ORIGIN + 110 * MS,
        "sent_ns": SENT,
        "send_bound_ns": 2000,
        "uploaded_ns": SENT + 3 * MS,
        "end_ns": SENT + 500 * MS,
        "started_at_ns": 1_700_000_000_123_456_789,
        "status": 200,
        "headers": SSE,
        "clock": "kernel",
    }
    return Exchange(request or Request("r-1", b"{}", "D(10,4)"), body=body, reads=flat, **(fields | kw))


def words(text: str) -> int:
    return len(text.split())


def row_of(x: Exchange, stream: bool = True, **kw: Any) -> dict[str, Any]:
    table = Recorder(KEY, ORIGIN, words)
    parsed = parse_response(
        x.body, x.read_ends, status=x.status or 0, headers=x.headers, stream=stream, failure=x.failure, **kw
    )
    row = table.add(x, parsed)
    requests, _ = table.frames()
    stored = requests.row(0, named=True)
    kept = row | {"notes": [saved(note) for note in row["notes"]]}
    assert {k: v for k, v in kept.items() if k != "started_at"} == {
        k: v for k, v in stored.items() if k != "started_at"
    }
    return stored | {"notes": row["notes"]}


STREAM: list[Read] = [
    (10, 9, True, said(role="assistant", content="")),
    (50, 45, True, said("one")),
    (70, 66, False, said(" two") + said(" three")),
    (90, 81, True, said(" four")),
    (95, 94, True, FINISH + usage(prompt_tokens=11, completion_tokens=4) + DONE),
]


def test_a_streams_row_to_the_last_figure() -> None:
    row = row_of(exchange(STREAM))
    assert row["ttft_s"] == pytest.approx(0.050)
    assert row["first_content_s"] == row["ttft_s"]
    assert row["first_byte_s"] == pytest.approx(0.010)
    assert row["e2e_s"] == pytest.approx(0.090)  # the last token's, not the body's end
    assert row["tpot_s"] == pytest.approx((0.090 - 0.050) / 3)
    assert row["ttft_error_s"] == row["e2e_error_s"] == pytest.approx(2e-6)  # exact reads: the send's own bound
    assert row["output_chunks"] == row["output_tokens"] == 4
    assert (row["input_tokens"], row["token_source"]) == (11, "server")
    assert (row["text"], row["finish_reason"], row["wire_format"]) == ("one two three four", "stop", "sse")
    assert (row["outcome"], row["status"], row["clock"]) == ("ok", 200, "kernel")
    assert (row["error_message"], row["error_source"]) == (None, None)


def test_the_schedule_counts_from_the_levels_start() -> None:
    row = row_of(exchange(STREAM, dns_ns=4 * MS, connect_ns=2 * MS, tls_ns=7 * MS, rtt_ns=MS, retransmits=2))
    assert row["scheduled_s"] == pytest.approx(0.100)
    assert row["start_s"] == pytest.approx(0.110)
    assert row["sent_s"] == pytest.approx(0.120)
    assert row["end_s"] == pytest.approx(0.620)
    assert row["upload_s"] == pytest.approx(0.003)
    assert row["started_at"] == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert (row["dns_s"], row["connect_s"], row["tls_s"], row["rtt_s"]) == (0.004, 0.002, 0.007, 0.001)
    assert row["retransmits"] == 2


def test_each_row_has_the_columns_of_its_level() -> None:
    row = row_of(exchange(STREAM, Request("r-9", b"", "", phase="warmup")))
    assert (row["request_id"], row["phase"], row["in_window"]) == ("r-9", "warmup", None)
    assert (row["scenario"], row["load"], row["level"], row["repeat"]) == ("D(10,4)", "concurrency", 8.0, 1)


def test_a_table_may_learn_its_origin_late_and_hands_it_on() -> None:
    table = Recorder(KEY, 0, words)
    table.start(ORIGIN)
    x = exchange(STREAM)
    parsed = parse_response(x.body, x.read_ends, headers=SSE)
    assert table.add(x, parsed)["sent_s"] == table.successor().add(x, parsed)["sent_s"] == pytest.approx(0.120)


def test_an_inexact_read_widens_the_bound_by_how_early_it_may_have_been() -> None:
    reads: list[Read] = [(50, 42, False, said("one")), (90, 81, False, said(" two") + DONE)]
    row = row_of(exchange(reads))
    assert row["ttft_s"] == pytest.approx(0.050)
    assert row["ttft_error_s"] == pytest.approx(0.008 + 2e-6)
    assert row["e2e_error_s"] == pytest.approx(0.009 + 2e-6)


def test_an_event_merged_with_what_follows_is_not_exact_though_its_read_is() -> None:
    row = row_of(exchange([(50, 42, True, said("one")), (90, 81, True, said(" two") + DONE)]))
    assert row["ttft_error_s"] == pytest.approx(2e-6)
    assert row["e2e_error_s"] == pytest.approx(0.009 + 2e-6)


def test_an_event_cut_in_two_came_with_its_last_byte() -> None:
    one = said("one")
    row = row_of(exchange([(40, 39, True, one[:9]), (60, 55, True, one[9:]), (61, 60, True, DONE)]))
    assert row["first_byte_s"] == pytest.approx(0.040)
    assert row["ttft_s"] == row["e2e_s"] == pytest.approx(0.060)


def test_no_error_is_negative_where_a_stamp_lies_before_its_earliest() -> None:
    x = exchange([(50, 53, False, said("one") + DONE)])
    assert row_of(x)["ttft_error_s"] == pytest.approx(2e-6)
    times = event_times(x, parse_response(x.body, x.read_ends, headers=SSE))
    assert times is not None
    assert times.error.min() >= 0


def test_reasoning_starts_the_clock_and_content_has_its_own_figure() -> None:
    reads: list[Read] = [
        (30, 29, True, said(reasoning_content="hm")),
        (50, 49, True, said("yes")),
        (
            51,
            50,
            True,
            usage(prompt_tokens=3, completion_tokens=9, completion_tokens_details={"reasoning_tokens": 7}) + DONE,
        ),
    ]
    row = row_of(exchange(reads))
    assert (row["ttft_s"], row["first_content_s"]) == (pytest.approx(0.030), pytest.approx(0.050))
    assert (row["output_tokens"], row["reasoning_tokens"]) == (9, 7)
    assert (row["text"], row["output_chunks"]) == ("yes", 2)
    assert row["output_tokens_client"] == 2  # reasoning is counted too


def test_a_tool_call_alone_is_output_without_content() -> None:
    call = [{"index": 0, "id": "c", "function": {"name": "look up", "arguments": "{}"}}]
    row = row_of(exchange([(30, 29, True, said(tool_calls=call)), (31, 30, True, FINISH + DONE)]))
    assert row["outcome"] == "ok"
    assert row["ttft_s"] == pytest.approx(0.030)
    assert row["first_content_s"] is None


@pytest.mark.parametrize("tokens", [1, 0, None])
def test_below_two_tokens_there_is_no_time_per_token(tokens: int | None) -> None:
    counts = DONE if tokens is None else usage(prompt_tokens=3, completion_tokens=tokens) + DONE
    row = row_of(exchange([(30, 29, True, said("yes")), (31, 30, True, counts)]))
    assert row["e2e_s"] == pytest.approx(0.030)
    assert row["tpot_s"] is None


def test_tokens_of_one_chunk_have_no_time_per_token() -> None:
    row = row_of(exchange([(30, 29, True, said("a b c d")), (31, 30, True, DONE)]))
    assert (row["output_tokens"], row["tpot_s"]) == (4, None)


def test_tokens_are_the_servers_where_it_reported_them_and_else_the_tokenizers() -> None:
    request = Request("r", b"", "", input_tokens_target=10, output_tokens_target=4, input_tokens_client=12)
    by_server = row_of(exchange(STREAM, request))
    by_client = row_of(exchange([*STREAM[:-1], (95, 94, True, FINISH + DONE)], request))
    for row in (by_server, by_client):
        assert (row["input_tokens_target"], row["output_tokens_target"]) == (10, 4)
        assert (row["input_tokens_client"], row["output_tokens_client"]) == (12, 4)
    assert (by_server["input_tokens"], by_server["output_tokens"], by_server["token_source"]) == (11, 4, "server")
    assert (by_client["input_tokens"], by_client["output_tokens"], by_client["token_source"]) == (12, 4, "tokenizer")
    assert (by_client["input_tokens_server"], by_client["output_tokens_server"]) == (None, None)


@pytest.mark.parametrize(
    ("reported", "output", "source", "verdict"),
    [(6, 6, "server", "used, because the text counts 6"), (60, 6, "tokenizer", "not used")],
)
def test_a_count_above_the_limit_is_believed_if_the_text_confirms_it(
    reported: int, output: int, source: str, verdict: str
) -> None:
    body = said("a b c d e f") + FINISH + usage(prompt_tokens=3, completion_tokens=reported) + DONE
    row = row_of(exchange([(20, 19, True, body)]), max_tokens=4)
    assert (row["output_tokens"], row["token_source"]) == (output, source)
    assert row["output_tokens_server"] == (reported if source == "server" else None)
    notes = [str(n) for n in row["notes"] if n.code in ("over_max_tokens", "tokens_no_usage")]
    assert notes == [f"over_max_tokens: the server reported {reported} tokens, more than the limit of 4; {verdict}"]


def test_chunks_have_their_arrival_bound_and_place_in_the_text() -> None:
    table = Recorder(KEY, ORIGIN, words)
    reasoned: list[Read] = [
        (30, 25, True, said(reasoning_content="hm")),
        (50, 41, False, said("één") + said(" 😀")),
        (51, 50, True, DONE),
    ]
    streams: list[list[Read]] = [STREAM, [], reasoned]
    for i, reads in enumerate(streams):
        x = exchange(reads, Request(f"r-{i}", b"", ""))
        table.add(x, parse_response(x.body, x.read_ends, headers=SSE))
    requests, chunks = table.frames()
    assert dict(requests.schema) == STORED
    assert dict(chunks.schema) == CHUNK_SCHEMA
    assert table.chunk_count == chunks.height == 7
    assert len(table) == requests.height == 3
    own = chunks.filter(pl.col("request_id") == "r-2")
    assert own["index"].to_list() == [0, 1, 2]
    assert own["arrival_s"].to_list() == pytest.approx([0.030, 0.050, 0.050])
    assert own["error_s"].to_list() == pytest.approx([2e-6, 0.009 + 2e-6, 0.009 + 2e-6])
    assert own["text_start"].to_list() == [None, 0, 3]
    assert own["text_end"].to_list() == [None, 3, 5]
    assert requests["text"][2] == "één 😀"
    assert chunks["tokens"].null_count() == 7


def test_an_empty_table_gives_empty_frames_of_the_same_schema() -> None:
    requests, chunks = Recorder(KEY, ORIGIN, words).frames()
    assert (requests.height, chunks.height) == (0, 0)
    assert (dict(requests.schema), dict(chunks.schema)) == (STORED, CHUNK_SCHEMA)


@pytest.mark.parametrize(
    "body",
    [
        said("\ud83d alone"),
        b'data: {"choices":[{"delta":{"content":"x\\ud800"},"finish_reason":"\\udfff"}]}\n\n',
        b'data: {"error": {"message": "\\ud83d"}}\n\n',
        said("nul \x00 and \x1b[31m"),
        said("x") + usage(prompt_tokens=2**70, completion_tokens=-3),
        said("x") + usage(prompt_tokens="many", completion_tokens=1.5),
        b"\xff\xfe\x00data",
        b'{"choices": ' + b"[" * 5000,
    ],
    ids=[
        "surrogate",
        "surrogate escaped",
        "surrogate in an error",
        "control characters",
        "counts too large",
        "counts no numbers",
        "no UTF-8",
        "deep",
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_whatever_a_server_sends_the_row_fits_its_frame(body: bytes, status: int) -> None:
    x = exchange([(40, 39, True, body), (41, 40, True, DONE)], status=status)
    row = row_of(x)
    assert row["outcome"] in {o.value for o in Outcome}
    assert row["output_tokens"] is None or 0 <= row["output_tokens"] < 2**31


def test_frames_are_whole_while_another_thread_adds() -> None:
    table = Recorder(KEY, ORIGIN, words)
    x = exchange(STREAM)
    parsed = parse_response(x.body, x.read_ends, headers=SSE)
    total, failed = 3000, []

    def add() -> None:
        try:
            for _ in range(total):
                table.add(x, parsed)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=add)
    thread.start()
    seen = [0]
    while thread.is_alive():
        requests, chunks = table.frames()
        assert chunks.height == 4 * requests.height
        assert requests["text"].null_count() == 0
        seen.append(requests.height)
    thread.join()
    assert not failed
    assert seen == sorted(seen)
    requests, chunks = table.frames()
    assert (requests.height, chunks.height) == (total, 4 * total)


def test_a_row_says_where_segments_came_out_of_order() -> None:
    x = exchange([(50.0, 20.0, False, said("a") + FINISH)])
    assert not [n for n in row_of(x)["notes"] if n.code == "out_of_order"]
    x.out_of_order = True
    assert [n for n in row_of(x)["notes"] if str(n).startswith("out_of_order: segments of this connection")]
