from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.core.types import Failure, Outcome


def typed(bench: bk.ResponseWorkbench, text: str) -> None:
    bench.bytes.draft = [bench.bytes.version, text]


def shown(bench: bk.ResponseWorkbench) -> str:
    return "".join(text for text, _ in bench.bytes.segments)


def test_without_anything_it_shows_an_example_in_every_view() -> None:
    bench = bk.ResponseWorkbench()
    assert bench.parsed.text == "Tea is ready."
    assert len(bench.strip.reads) == bench.step.value == 6
    assert "same_time" in bench.findings.value
    assert "first output: reasoning" in bench.why.value
    assert "def test_from_the_workbench" in bench.test.value
    assert repr(bench) == "<ResponseWorkbench: a small example, ok, 5 events>"


def test_a_draft_in_text_or_hex_is_parsed_and_can_be_undone() -> None:
    bench = bk.ResponseWorkbench(b'{"text": "one"}')
    typed(bench, '{"text": "two"}')
    assert (bench.parsed.text, bench.case.body) == ("two", b'{"text": "two"}')
    bench.mode.value = "hex"
    typed(bench, shown(bench).replace("74 77 6f", "73 69 78"))
    assert bench.parsed.text == "six"
    bench.reset.click()
    assert (bench.parsed.text, bench.reset.disabled) == ("one", True)


def test_a_draft_that_is_no_hex_is_told_and_changes_nothing() -> None:
    bench = bk.ResponseWorkbench(b'{"text": "one"}')
    bench.mode.value = "hex"
    typed(bench, "7b zz")
    assert bench.bytes.invalid
    assert "'z' is not a hex digit" in bench.bytes.where
    assert bench.case.body == b'{"text": "one"}'
    typed(bench, "7b 7d")
    assert (bench.bytes.invalid, bench.parsed.outcome) == (False, "empty")


def test_a_draft_of_a_page_that_has_gone_is_dropped() -> None:
    bench = bk.ResponseWorkbench(b'{"text": "one"}')
    before = bench.bytes.version
    bench.show(b'{"text": "other"}')
    bench.bytes.draft = [before, "late"]
    assert bench.parsed.text == "other"


def test_a_step_parses_what_had_come_by_then() -> None:
    bench = bk.ResponseWorkbench()
    bench.strip.step = 3
    assert (bench.step.value, bench.parsed.text, bench.parsed.reasoning) == (3, "Tea", "Kettle?")
    assert "If this were all" in bench.verdict.value
    assert [style.endswith("late") for _, style in bench.bytes.segments] == [False] * 3 + [True] * 5
    assert bench.moment.value == "read 3 of 6: 131.00 ms"
    bench.step.value = 0
    assert (bench.parsed.outcome, bench.moment.value) == ("empty", "nothing has come yet")


def test_settings_change_the_parse_and_a_wrong_one_is_told() -> None:
    bench = bk.ResponseWorkbench(b'{"a": {"b": "deep"}}')
    bench.response_path.value = "a.b"
    assert bench.parsed.text == "deep"
    bench.status.value = 500
    assert bench.parsed.outcome == "http_error"
    bench.max_tokens.value = "many"
    assert "is not a count" in bench.message.value
    assert bench.case.max_tokens is None
    bench.max_tokens.value, bench.headers.value = "5", "x-api-key: hidden"
    case = bench.case
    assert (case.max_tokens, case.headers) == (5, (("x-api-key", "***"),))


def test_what_is_pasted_takes_its_place() -> None:
    bench = bk.ResponseWorkbench()
    bench.paste.value = "HTTP/1.1 429 Slow\r\ncontent-type: application/json\r\n\r\n{}"
    bench.read.click()
    assert (bench.status.value, bench.parsed.outcome) == (429, "http_error")
    bench.form.value = "base64"
    bench.read.click()
    assert "not base64" in bench.message.value


def test_an_encoded_body_is_edited_as_what_it_decodes_to() -> None:
    packed = gzip.compress(b'{"text": "hi"}')
    bench = bk.ResponseWorkbench(bk.ParserCase(packed, (len(packed),), headers=(("content-encoding", "gzip"),)))
    assert shown(bench) == '{"text": "hi"}'
    typed(bench, '{"text": "ho"}')
    assert (bench.parsed.text, bench.case.headers) == ("ho", ())


def test_a_long_body_is_shown_and_edited_a_page_at_a_time() -> None:
    body = b"data: " + b'"x"\n\ndata: ' * 3000 + b"[DONE]\n\n"
    bench = bk.ResponseWorkbench(body)
    bench.on.click()
    assert shown(bench).encode() == body[8192:16384]
    typed(bench, "data: y\n\n")
    assert bench.case.body == body[:8192] + b"data: y\n\n" + body[16384:]


def test_the_caret_tells_its_byte_its_read_and_what_became_of_it() -> None:
    bench = bk.ResponseWorkbench()
    bench.bytes.caret = [70]
    assert bench.bytes.where == "byte 70, read 2 of 6: 104.00 ms, became 'Kettle?'"
    bench.mode.value = "hex"
    bench.bytes.caret = [70 * 3]
    assert bench.bytes.where.startswith("byte 70, ")


def test_the_case_is_saved_as_edited(tmp_path: Path) -> None:
    bench = bk.ResponseWorkbench(bk.ParserCase(b"abc", failure=Failure(Outcome.TIMEOUT, "too late")))
    typed(bench, "abcd")
    bench.path.value = str(tmp_path / "odd.json")
    bench.save.click()
    assert bk.ParserCase.load(tmp_path / "odd.json") == bench.case
    bench.path.value = str(tmp_path / "no" / "folder" / "odd.json")
    bench.save.click()
    assert "cannot be written" in bench.message.value


@pytest.mark.parametrize("capture", ["all", "errors"])
def test_a_run_offers_what_it_kept(capture: str) -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=2) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=endpoint,
            scenarios="D(5,6)",
            concurrency=1,
            max_requests=2,
            capture=capture,
        )
        run = bk.run_sync(config)
    bench = bk.ResponseWorkbench(run)
    if capture == "errors":
        assert "kept no raw bytes (capture=" in bench.message.value
        return
    row = run.requests.row(1, named=True)
    bench.request.value = row["request_id"]
    assert bench.parsed.text == row["text"]
    assert "or up to" in bench.moment.value
    bench.search.value = "no such"
    assert "no kept request matches" in bench.message.value
