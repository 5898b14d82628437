from __future__ import annotations

import json

import pytest

import basetenkit as bk
from basetenkit.notebook.workbench import panels as panels
from basetenkit.notebook.workbench.source import source

EVIL = "<img src=x onerror=alert(1)></script><script>alert(1)</script>"


def hostile() -> bk.ParserCase:
    """The payload in every place of a response that is shown: text, name of an event, usage, finish reason, path."""
    delta = {"choices": [{"index": 0, "delta": {"content": EVIL, "reasoning_content": EVIL}}]}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": EVIL}], "usage": {EVIL: EVIL, "prompt_tokens": EVIL}}
    parts = [f"event: {EVIL}\ndata: {json.dumps(x)}\n\n".encode() for x in (delta, last)]
    return bk.ParserCase.from_parts([(0.1, parts[0]), (0.2, parts[1] + b"data: " + EVIL.encode())])


def test_every_panel_escapes_every_word_of_a_server() -> None:
    failed = bk.ParserCase(json.dumps({"error": {"message": EVIL, "code": EVIL}}).encode(), status=500)
    for case in (hostile(), failed):
        parsed = case.parse()
        shown = [
            panels.verdict(parsed, True),
            panels.output(parsed),
            panels.events(parsed, [None] * len(parsed.event_texts)),
            panels.messages(case),
            panels.explanation(parsed),
            panels.findings(parsed),
            panels.pre(case.to_test("x")),
        ]
        assert sum("&lt;img" in page for page in shown) >= 4
        for page in shown:
            assert "<img" not in page
            assert "<script" not in page.lower()


def test_an_event_is_told_with_its_time_bound_gap_read_and_bytes() -> None:
    parsed = source(None).case.parse()
    rows = panels.events(parsed, [0.00002] * 5).split("<tbody")[1].split("<tr>")[1:]
    assert len(rows) == 5
    for part in ("reasoning", "&#34;Kettle?&#34;", "104.0", "0.020", "62 to 135"):
        assert part in rows[0]
    assert "109.0" not in rows[-1]
    assert ">0.0<" in rows[-1], "it came with the event before"


def test_the_verdict_says_what_it_is_before_the_end_and_what_the_server_counted() -> None:
    usage = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":1}}'
    said = panels.verdict(bk.parse(usage, stream=False), so_far=False)
    assert "finish reason stop · input 7 tokens · output 1 tokens" in said
    assert panels.verdict(bk.parse(b""), so_far=True).startswith(
        '<div class="bk-verdict">If this were all: <b class="bk-failed">empty'
    )


@pytest.mark.parametrize(
    ("timed", "unit", "at"), [(True, "ms since the send", 81.0), (False, "bytes of the body", 62.0)]
)
def test_reads_run_along_time_or_along_the_body(timed: bool, unit: str, at: float) -> None:
    taken = source(None)
    chunks = [
        (t, taken.case.body[s:e])
        for t, s, e in zip(taken.case.times, (0, *taken.case.read_ends), taken.case.read_ends, strict=False)
    ]
    given = source(chunks if timed else [data for _, data in chunks])
    reads, said = panels.reads(given, given.case, {1: "reasoning"})
    assert (said, reads[0]["at"], reads[1]["kind"]) == (unit, at, "reasoning")
    assert reads[0]["said"] == ("read 1 of 6: 81.00 ms, 62 bytes" if timed else "read 1 of 6, 62 bytes")


def test_a_bound_is_told_in_words() -> None:
    case = source(None).case
    assert panels.describe(case, 1, 0.0000421) == "read 2 of 6: 104.00 ms, or up to 0.042 ms earlier"
