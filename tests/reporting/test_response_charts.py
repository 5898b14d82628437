"""One response's frames and its strip: what they hold, for every case of the parser, and that it is drawn."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import polars as pl
import pytest

from basetenkit.parsing import parse
from basetenkit.reporting.altair_renderer import describe, render
from basetenkit.reporting.response_charts import TICKS, events_frame, events_strip, messages_frame, timing_frame
from basetenkit.results.parser_case import ParserCase

from ..parsing.cases import CASES

SSE = {"content-type": "text/event-stream"}
ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
THINK = b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n'
A = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
B = b'event: chunk\ndata: {"choices":[{"delta":{"content":" <b>\\n"},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
READS = [(0.05, ROLE), (0.1, THINK), (0.15, A + A[:20]), (0.4, A[20:] + B), (0.45, DONE)]


def case() -> ParserCase:
    return ParserCase.from_parts(READS, headers=SSE)


def ticks(chart: Any) -> pl.DataFrame:
    (found,) = [v for v in chart.to_dict()["datasets"].values() if "said" in v[0]]
    return pl.DataFrame(found, infer_schema_length=None)


# -- frames ------------------------------------------------------------------------------------------------------------


def test_a_message_has_its_bytes_its_time_and_its_events() -> None:
    frame = messages_frame(case())
    body = case().body
    assert frame["name"].to_list() == [None, None, None, None, "chunk", None]
    assert frame["arrival_s"].to_list() == [0.05, 0.1, 0.15, 0.4, 0.4, 0.45]
    assert frame["events"].to_list() == [0, 1, 1, 1, 1, 0]
    assert frame["data"][5] == "[DONE]"
    assert b"".join(body[row["start"] : row["end"]] for row in frame.iter_rows(named=True)) == body
    assert frame["whole"].all()


def test_a_message_that_is_cut_off_is_not_whole() -> None:
    frame = messages_frame(ParserCase.from_parts(A + A[:20], headers=SSE))
    assert frame["whole"].to_list() == [True, False]


@pytest.mark.parametrize(
    ("given", "headers", "starts"),
    [
        (b'{"output": "x"}', {"content-type": "application/json"}, [0]),
        ([b"to ", b"be ", b"or"], {"content-type": "text/plain"}, [0, 3, 6]),
        (b'{"output": "x"}\n{"output": "y"}\n', {"content-type": "application/x-ndjson"}, [0, 16]),
        (b"<html></html>", {"content-type": "text/html"}, [0]),
        (b"", SSE, []),
    ],
)
def test_messages_of_other_framings(given: Any, headers: dict[str, str], starts: list[int]) -> None:
    frame = messages_frame(ParserCase.from_parts(given, headers=headers))
    assert frame["start"].to_list() == starts


def test_messages_of_a_compressed_body_are_decoded() -> None:
    body = gzip.compress(A + DONE)
    frame = messages_frame(ParserCase.from_parts([(0.5, body)], headers=SSE | {"content-encoding": "gzip"}))
    assert frame["end"].to_list() == [len(A), len(A) + len(DONE)]
    assert frame["arrival_s"].to_list() == [0.5, 0.5]


@pytest.mark.parametrize("old", CASES, ids=lambda old: old.name)
def test_every_case_has_its_frames(old: Any) -> None:
    kept = ParserCase(old.body, tuple(old.chunk_ends), headers=tuple(old.about["headers"].items()),
                      status=old.about.get("status", 200), **old.about.get("args", {}))  # fmt: skip
    parsed = kept.parse()
    messages, events = messages_frame(kept), events_frame(parsed)
    assert events["text"].to_list() == parsed.event_texts
    assert messages["events"].sum() == len(parsed.event_texts)
    assert messages["end"].is_sorted()
    assert messages["arrival_s"].null_count() == messages.height
    assert timing_frame(parsed)["seconds"].null_count() == 5


def test_an_event_has_its_time_its_gap_and_its_read() -> None:
    frame = events_frame(case().parse())
    assert frame["kind"].to_list() == ["reasoning", "content", "content", "content"]
    assert frame["arrival_s"].to_list() == [0.1, 0.15, 0.4, 0.4]
    assert frame["gap_s"].to_list() == pytest.approx([None, 0.05, 0.25, 0.0])
    assert frame["read"].to_list() == [1, 2, 3, 3]
    bare = events_frame(parse(A + DONE, headers=SSE))
    assert (bare["arrival_s"].to_list(), bare["read"].to_list()) == ([None], [None])


def test_the_timing_is_of_reads_that_brought_output() -> None:
    seconds = dict(timing_frame(case().parse()).iter_rows())
    assert seconds == pytest.approx(
        {
            "first output": 0.1,
            "first content": 0.15,
            "last output": 0.4,
            "median gap between reads with output": 0.15,
            "longest gap between reads with output": 0.25,
        }
    )


def test_what_was_not_measured_is_null() -> None:
    for body in (A + DONE, b"", b'{"error": "no"}'):
        assert timing_frame(parse(body))["seconds"].to_list() == [None] * 5
    one = dict(timing_frame(parse([(0.2, A + A), (0.3, DONE)], headers=SSE)).iter_rows())
    assert one["first output"] == one["last output"] == 0.2
    assert one["longest gap between reads with output"] is None


# -- the strip ---------------------------------------------------------------------------------------------------------


def test_a_tick_stands_at_its_events_arrival() -> None:
    chart = events_strip(case().parse())
    found = ticks(chart)
    assert found["at"].to_list() == pytest.approx([100.0, 150.0, 400.0])
    assert found["events"].to_list() == [1, 1, 2]
    assert found["said"].to_list() == ['"hm"', '"a"', '"a"']
    assert "Arrival, ms" in json.dumps(chart.to_dict())
    assert describe(chart.to_dict()) == (
        "Chart: Output events. 4 events, completed by 3 reads, from 100.0 to 400.0 ms, 3 ticks where some came together"
    )


def test_without_times_it_runs_along_the_bytes() -> None:
    chart = events_strip(parse(A + B + DONE, headers=SSE))
    assert ticks(chart)["at"].to_list() == [len(A), len(A) + len(B)]
    assert ticks(chart)["said"].to_list() == ['"a"', '" <b>\\n"']
    assert "it came without times" in json.dumps(chart.to_dict())
    assert describe(chart.to_dict()) == "Chart: Output events. 2 events"


@pytest.mark.parametrize(
    "given",
    [
        READS,
        A + B + DONE,
        [(0.5, A)],
        [(25.0, A), (30.0, B)],
        [(1.0, A * 3)],
        b"",
        b'{"error": "out of memory"}',
        [(0.1, b'data: {"text": "\\u0000,\\"\\n\\u001b[31m<script>"}\n\n'), (0.2, DONE)],
    ],
)
def test_it_is_drawn(given: Any) -> None:
    bundle, size = render(events_strip(parse(given)).to_dict())
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert size["image/png"]["width"] > 100
    assert bundle["text/plain"] not in ("Chart", "Chart: ")


def test_a_response_without_output_says_why() -> None:
    spec = json.dumps(events_strip(parse(b'{"error": "out of memory"}')).to_dict())
    assert "The response (api_error) has no output event: out of memory" in spec


def test_a_long_response_makes_a_small_chart() -> None:
    n = 20_000
    parsed = parse([(i * 0.001, A) for i in range(n)], headers=SSE)
    chart = events_strip(parsed)
    found = ticks(chart)
    assert found["events"].sum() == n
    assert 300 <= found.height <= TICKS + 1
    assert (found["at"].min(), found["index"].min()) == (0.0, 0)
    assert len(json.dumps(chart.to_dict())) < 80_000
    assert base64.b64decode(render(chart.to_dict())[0]["image/png"]).startswith(b"\x89PNG")
