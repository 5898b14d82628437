"""A case parses as the response it was taken from, after a save and a load, and as the test it writes."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from array import array
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import basetenkit as bk
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.core.types import Exchange, Failure, Outcome, Request
from basetenkit.parsing import ParsedResponse
from basetenkit.results.interpret import interpret
from basetenkit.results.parser_case import ParserCase

from ..examples import examples
from ..parsing.cases import CASES

A = 'data: {"choices":[{"delta":{"content":"hé"}}]}\n\n'.encode()
B = b'data: {"choices":[{"delta":{"content":" <b>"},"finish_reason":"stop"}]}\n\n'
SSE = A + B + b"data: [DONE]\n\n"
HEADERS = {"content-type": "text/event-stream", "x-request-id": "r7"}
FIELDS = [f.name for f in fields(ParsedResponse)]


def said(parsed: ParsedResponse) -> dict[str, Any]:
    """All fields of a response, comparable: NaN in embeddings is not equal to itself."""
    return {name: repr(getattr(parsed, name)) for name in FIELDS if name != "read_times"} | {
        "times": list(parsed.read_times)
    }


def exchange(body: bytes = SSE, **more: Any) -> Exchange:
    """Two reads of a body, and one before them that brought only the head."""
    sent, cut = 1_000_000_000, min(len(A), len(body))
    reads = array("q")
    for at, end in ((5, 0), (105, cut), (305, len(body))):
        reads.extend([sent + at * 1_000_000, sent + at * 1_000_000 - 10, 0, end])
    request = Request("r1", b'{"stream": true}', "D(1,1)", prompt="hi", output_tokens_target=9)
    given: dict[str, Any] = {"request": request, "reads": reads, "body": bytearray(body), "sent_ns": sent}
    return Exchange(**(given | {"status": 200, "headers": list(HEADERS.items())} | more))


def endpoint(**more: Any) -> bk.Endpoint:
    return bk.Endpoint(url="http://127.0.0.1:9/x", model="m", **more)


# -- from an exchange --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"failure": Failure(Outcome.TIMEOUT, "no byte came for 2 s")},
        {"status": None, "body": b"", "failure": Failure(Outcome.CONNECTION_ERROR, "refused")},
        {"status": 429, "body": b'{"error": "slow"}'},
        {"headers": [("content-type", "application/octet-stream")], "body": b"to\xc3k " * 9},
        {"request": Request("e", b"{}", "E(1)", batch_size=2), "body": b'{"data":[{"embedding":[NaN]}]}'},
    ],
)
def test_a_case_of_an_exchange_parses_as_the_engine_did(more: dict[str, Any], tmp_path: Path) -> None:
    kept = exchange(**more)
    case = ParserCase.from_exchange(kept, endpoint())
    case.save(tmp_path / "case.json")
    again = ParserCase.load(tmp_path / "case.json")
    assert again == case
    live = interpret(kept, endpoint())
    live.read_times = case.times
    assert said(again.parse()) == said(live)


def test_the_times_are_those_of_the_reads() -> None:
    case = ParserCase.from_exchange(exchange())
    assert case.times == (0.005, 0.105, 0.305)
    assert [event.arrival_s for event in case.parse().events] == [0.105, 0.305]
    assert ParserCase.from_exchange(exchange(sent_ns=None)).times == ()


def test_the_endpoint_says_what_was_asked_for_and_else_the_request_does() -> None:
    case = ParserCase.from_exchange(exchange(), endpoint(stream=False, response_path="a.b"))
    assert (case.stream, case.response_path) == (False, "a.b")
    for body, stream in ((b'{"stream": false}', False), (b'{"stream": true}', True), (b"{}", True), (b"no json", True)):
        assert ParserCase.from_exchange(exchange(request=Request("r", body, ""))).stream is stream


def test_a_run_gives_its_cases(tmp_path: Path) -> None:
    with bk.emulator.serve(ttft_ms=2, itl_ms=1) as server:
        config = bk.RunConfig(steady=False,
    preflight=False, endpoint=bk.Endpoint(url=server.url, model="m"), scenarios="D(5,4)", concurrency=1,
                              max_requests=2, capture="all")  # fmt: skip
        run = bk.run_sync(config)
    for row in run.requests.iter_rows(named=True):
        case = bk.ParserCase.from_exchange(run.exchange(row["request_id"]), run.config.endpoint)
        case.save(tmp_path / "case.json")
        parsed = bk.ParserCase.load(tmp_path / "case.json").parse()
        assert (parsed.outcome, parsed.text) == (row["outcome"], row["text"])
        assert len(parsed.events) == row["output_chunks"]
        assert parsed.events[0].arrival_s == pytest.approx(row["ttft_s"])


# -- from parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [c.name for c in CASES])
def test_every_case_of_the_parser_survives_its_file(name: str, tmp_path: Path) -> None:
    old = next(c for c in CASES if c.name == name)
    failure, more = old.about.get("failure"), old.about.get("args", {})
    case = ParserCase(
        old.body,
        tuple(old.chunk_ends),
        status=old.about.get("status", 200),
        headers=tuple(old.about["headers"].items()),
        stream=old.about.get("stream", True),
        failure=Failure(Outcome(failure[0]), failure[1]) if failure else None,
        **more,
    )
    case.save(tmp_path / "case.json")
    again = ParserCase.load(tmp_path / "case.json")
    assert again == case
    assert said(again.parse()) == said(old.parse(old.chunk_ends))


def test_parts_are_whatever_parse_takes() -> None:
    curl = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + SSE
    forms: list[tuple[Any, Any]] = [(curl, {}), (SSE, {"headers": HEADERS}), ([(0.1, A), (0.5, SSE[len(A) :])], {})]
    for form, more in forms:
        parsed, direct = ParserCase.from_parts(form, **more).parse(), bk.parse(form, **more)
        assert said(parsed) == said(direct)
        assert parsed.explain() == direct.explain()
        assert parsed.text == "hé <b>"
    with pytest.raises(TypeError, match="no response can be read from int"):
        ParserCase.from_parts(7)


def test_the_arguments_of_parse_are_kept() -> None:
    case = ParserCase.from_parts(b'{"a": "hi there"}', status=201, stream=False, response_path="a", prompt="hi ")
    assert (case.status, case.stream, case.response_path, case.prompt) == (201, False, "a", "hi ")
    assert case.parse().text == "there"


# -- secrets -----------------------------------------------------------------------------------------------------------

SECRETS = [
    ("Set-Cookie", "session=hunter2"),
    ("authorization", "Api-Key hunter2"),
    ("X-Api-Key", "hunter2"),
    ("location", "https://host/a?token=hunter2&b=1"),
    ("link", "https://user:hunter2@host/a"),
    ("x-odd", "http://[hunter2"),
]


def test_no_secret_is_in_a_case_its_file_its_test_or_its_picture(tmp_path: Path) -> None:
    for case in (
        ParserCase.from_exchange(exchange(headers=SECRETS)),
        ParserCase.from_parts(SSE, headers=SECRETS),
    ):
        case.save(tmp_path / "case.json")
        shown = [(tmp_path / "case.json").read_text(), case.to_test("a"), repr(case), str(case._repr_mimebundle_())]
        assert "hunter2" not in "".join(shown + [value for _, value in case.headers])
        assert [name for name, _ in case.headers] == [name for name, _ in SECRETS]
    assert ("location", "https://host/a?token=***&b=1") in case.headers


# -- the file ----------------------------------------------------------------------------------------------------------


def test_a_person_can_read_the_file(tmp_path: Path) -> None:
    ParserCase.from_parts(SSE, headers=HEADERS).save(tmp_path / "case.json")
    lines = (tmp_path / "case.json").read_text().splitlines()
    assert "  " + json.dumps(A.decode().rstrip(), ensure_ascii=False) + "," in lines
    assert '  ["content-type", "text/event-stream"],' in lines
    ParserCase(b"\xff\x00").save(tmp_path / "odd.json")
    assert '"body_base64": "/wA="' in (tmp_path / "odd.json").read_text()


@settings(max_examples=examples(200), deadline=None)
@given(
    body=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace"))),
    prompt=st.one_of(st.none(), st.text(st.characters(), max_size=20), st.just("half \ud83d")),
    times=st.lists(st.floats(0, 1e6), max_size=3).map(sorted),
    failure=st.sampled_from([None, Failure(Outcome.TIMEOUT, "né\n")]),
)
def test_any_case_comes_back_from_its_file(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, prompt: str | None, times: list[float], failure: Any
) -> None:
    path = tmp_path_factory.mktemp("case") / "case.json"
    case = ParserCase(body, (len(body),) * len(times), tuple(times), prompt=prompt, failure=failure)
    case.save(path)
    assert ParserCase.load(path) == case
    path.read_bytes().decode()


def write(path: Path, **changes: Any) -> Path:
    document = {"basetenkit_parser_case": 1, "body": ["x"], **changes}
    path.write_text(json.dumps({name: value for name, value in document.items() if value != "absent"}))
    return path


def test_a_file_written_by_hand_needs_little(tmp_path: Path) -> None:
    assert ParserCase.load(write(tmp_path / "case.json")) == ParserCase(b"x")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"basetenkit_parser_case": 2}, "is of schema 2, newer than this version reads (1)"),
        ({"basetenkit_parser_case": "absent"}, "has no basetenkit_parser_case"),
        ({"basetenkit_parser_case": True}, "has no basetenkit_parser_case"),
        ({"status": "200"}, "status is str; expected int"),
        ({"status": True}, "status is bool; expected int"),
        ({"stream": 1}, "stream is int; expected bool"),
        ({"prompt": 7}, "prompt is int; expected str"),
        ({"origin": None}, "origin is NoneType; expected str"),
        ({"headers": {"a": "b"}}, "headers is not a list of [name, value]"),
        ({"headers": [["a", 1]]}, "headers is not a list of [name, value]"),
        ({"body": "text"}, "it needs either body, a list of lines, or body_base64"),
        ({"body": "absent"}, "it needs either body"),
        ({"body_base64": "eA=="}, "it needs either body"),
        ({"body": "absent", "body_base64": "%"}, "body_base64 is not base64"),
        ({"body": ["\ud83d"]}, "half a character"),
        ({"failure": ["no such outcome", "x"]}, "failure is not [outcome, sentence]"),
        ({"failure": 3}, "failure is not [outcome, sentence]"),
        ({"read_ends": [3, 1]}, "read_ends are not ascending byte counts"),
        ({"read_ends": [0.5]}, "read_ends are not ascending byte counts"),
        ({"read_ends": "1"}, "read_ends is not a list of numbers"),
        ({"read_ends": [1], "times": [0.1, 0.2]}, "there are 2 times for 1 read_ends"),
    ],
)
def test_a_damaged_or_newer_file_is_told_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StoreError) as caught:
        ParserCase.load(write(tmp_path / "case.json", **changes))
    assert sentence in str(caught.value)
    assert str(tmp_path / "case.json") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no json", b"[1]", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_case(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "case.json").write_bytes(content)
    with pytest.raises(StoreError, match="is not a parser case"):
        ParserCase.load(tmp_path / "case.json")


def test_places_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        ParserCase.load(tmp_path / "none.json")
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        ParserCase(b"x").save(tmp_path / "none" / "case.json")


# -- as a test ---------------------------------------------------------------------------------------------------------

TESTS = {
    "a plain stream": ParserCase.from_parts(SSE, headers=HEADERS),
    "with reads": ParserCase.from_parts([A[:9], A[9:], SSE[len(A) :]], headers=HEADERS),
    "cut": ParserCase(A + b'data: {"cho', failure=Failure(Outcome.TIMEOUT, 'it\'s "late"\n')),
    "an error": ParserCase(b'{"error": "it\'s \\"bad\\""}', status=500),
    "odd bytes": ParserCase(b"\xff\x00\r\n\x1b[31m'\"\\" * 30, stream=False),
    "empty": ParserCase(b""),
    "by path": ParserCase(b'{"a": {"b": "x"}}', response_path="a.b", prompt="é'''", stream=False),
    "embeddings": ParserCase(b'{"data": [{"embedding": [1.0], "index": 0}]}', inputs=1, max_tokens=3),
}


def run_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_the_tests_that_cases_write_pass_and_fail_where_they_must(tmp_path: Path) -> None:
    for name, case in TESTS.items():
        path = tmp_path / f"test_{name.replace(' ', '_')}.py"
        path.write_text(case.to_test(name), encoding="utf-8")
        assert f"def {path.stem}() -> None:" in path.read_text()
    done = run_tests(tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"{len(TESTS)} passed" in done.stdout
    plain = tmp_path / "test_a_plain_stream.py"
    plain.write_text(plain.read_text().replace('"content":"h', '"content":"H'))
    done = run_tests(tmp_path)
    assert f"1 failed, {len(TESTS) - 1} passed" in done.stdout


def test_the_name_of_a_test() -> None:
    case = ParserCase(b"x")
    assert "def test_usage_in_the_2nd_message() -> None:" in case.to_test("test_Usage in the 2nd message!")
    assert "def test_x_import_os() -> None:" in case.to_test("x(): import os\n")
    with pytest.raises(ConfigError, match="has no letter or digit"):
        case.to_test("...")


# -- as the last line of a cell ----------------------------------------------------------------------------------------


def test_it_shows_what_was_read_and_escapes_it() -> None:
    case = ParserCase.from_parts(SSE, headers=HEADERS)
    bundle = case._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "<b>" not in bundle["text/html"]
    assert html.escape(" <b>") in bundle["text/html"]
    for part in ("ok", "'hé <b>'", f"2, in {len(SSE)} bytes and 0 read(s)"):
        assert part in bundle["text/plain"]
    assert repr(case) == f"<ParserCase: ok, {len(SSE)} bytes in 0 read(s)>"


def test_it_shows_errors_and_warnings_and_not_too_much() -> None:
    failed = ParserCase(b'{"error": "out of memory"}')._repr_mimebundle_()["text/plain"]
    assert "api_error: out of memory" in failed
    late = ParserCase.from_parts(SSE + A, headers=HEADERS)._repr_mimebundle_()["text/plain"]
    assert "after_done: 1 message(s) came after [DONE]" in late
    assert len(ParserCase(b"a" * 10_000, stream=False)._repr_mimebundle_()["text/plain"]) < 1000
