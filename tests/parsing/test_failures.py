"""Every form of an error becomes one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.parsing.failures import (
    Report,
    asking_to_wait,
    clip,
    http_report,
    is_html,
    report_in_body,
    report_of,
    snippet,
    source_of,
)
from basetenkit.parsing.response import parse_response


@pytest.mark.parametrize(
    ("doc", "message", "code"),
    [
        ({"error": "m"}, "m", None),
        ({"error": "m", "error_code": "timeout", "detail": "d"}, "m: d", "timeout"),
        ({"error": {"message": "m", "code": 400, "type": "t"}}, "m", "400"),
        ({"error": {"message": "m", "code": None, "type": "t"}}, "m", "t"),
        ({"error": {"msg": "m", "loc": ["a", 0, "b"]}}, "a.0.b: m", None),
        ({"error": {"weird": 1}}, '{"weird":1}', None),
        ({"error": ["a", {"msg": "b"}]}, "a; b", None),
        ({"error": True}, '{"error":true}', None),
        ({"object": "error", "message": "m", "code": 1}, "m", "1"),
        ({"type": "error", "message": "m"}, "m", None),
        ({"status": "error", "data": None, "message": "m"}, "m", None),
        ({"status": "Failed", "detail": "m"}, "m", None),
        ({"success": False, "message": "m"}, "m", None),
        ({"detail": "m"}, "m", None),
        ({"code": 7, "message": "m"}, "m", "7"),
    ],
)
def test_errors_with_a_good_status(doc: dict[str, Any], message: str, code: str | None) -> None:
    assert report_of(doc) == Report(message, code)


@pytest.mark.parametrize(
    "doc",
    [
        None,
        [],
        "error",
        {},
        {"error": None},
        {"error": ""},
        {"error": {}},
        {"error": False},
        {"status": "success", "message": "m"},
        {"status": 1},
        {"message": "m"},
        {"text": "x", "detail": "y"},
        {"success": True},
    ],
    ids=repr,
)
def test_what_is_no_error(doc: Any) -> None:
    assert report_of(doc) is None


@pytest.mark.parametrize(
    ("doc", "message"),
    [
        ({"detail": [{"loc": ["body", "x"], "msg": "m"}, {"msg": "n"}]}, "body.x: m; n"),
        ({"message": "m"}, "m"),
        ({"errors": ["a", "b"]}, "a; b"),
        ({"title": "t"}, "t"),
        ([{"error": {"message": "m"}}], "m"),
        ("m", "m"),
        (None, "null"),
        ({"weird": 1}, '{"weird":1}'),
    ],
)
def test_bodies_of_errors(doc: Any, message: str) -> None:
    assert report_in_body(doc).message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": "m"}', "m"),
        (b'data: {"error": "m"}\n\n', "m"),
        (b'event: error\ndata: {"error": "m"}\n\n', "m"),
        (b"  words\n of it ", "HTTP 500: words of it"),
        (b'{"error": ', 'HTTP 500: {"error":'),
        (b"", "HTTP 500 with an empty body"),
        (b"data:", "HTTP 500 with an empty body"),
        (b"<html><style>x</style><h1>Bad</h1>\n<p>Gateway</p></html>", "HTTP 500: Bad Gateway"),
        (b"\xff\xfe", "HTTP 500: \ufffd\ufffd"),
    ],
)
def test_bodies_with_a_bad_status(body: bytes, message: str) -> None:
    assert http_report(500, body).message == message


@pytest.mark.parametrize(
    ("value", "end"),
    [("7", "slow down (Retry-After: 7 s)"), (" Fri, 31 Dec 1999 23:59:59 GMT", "23:59:59 GMT)"), ("", "slow down")],
)
def test_the_wait_that_a_server_asks_for_is_said(value: str, end: str) -> None:
    asked = parse_response(b'{"error": "slow down"}', status=429, headers=[("Retry-After", value)])
    assert asked.error_message is not None
    assert asked.error_message.endswith(end)
    fine = parse_response(b'{"error": "slow down"}', headers=[("Retry-After", value)])
    assert fine.error_message == "slow down", "only if the status is an error's"


def test_a_wait_of_any_length_stays_a_short_sentence() -> None:
    assert len(asking_to_wait(Report("slow down"), "9" * 9999).message) < 80


def test_messages_are_cut_and_can_be_written() -> None:
    assert len(clip("x" * 9999)) == 500
    assert len(http_report(500, b"y" * 9999).message) <= 520
    assert clip("a\ud83d") == "a\ufffd"
    assert snippet(b"a" * 9999).endswith("…")


def test_web_pages() -> None:
    assert is_html(b"\n<!-- x -->\n<!doctype HTML>")
    assert is_html(b"<HTML lang=en>")
    assert not is_html(b"<htmlx>")
    assert not is_html(b"see <html>")


def test_whose_fault_it_is() -> None:
    mark = [("X-Baseten-Error-Source", "04")]
    assert source_of(mark, Report("m"), b"{}", 500) == "model"
    assert source_of([], Report("m"), b"{}", 200) == "model"
    assert source_of([], Report("m", "rate_limited"), b"{}", 429) == "gateway"
    assert source_of([], Report("m"), b"<html>", 502) == "gateway"
    assert source_of([], Report("m"), b"{}", 500) == "unknown"


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b': ping\n\nerror: {"message":"boom","code":4}\n\n', "boom", "4"),
        (b'error: {\n "message": "boom"\n}\n', "boom", None),
        (b'data: data: {"message":"boom"}\n\n', "boom", None),
        (b'retry: 3\nevent: error\ndata: {"error":{"message":"boom"}}\n\ndata: [DONE]\n\n', "boom", None),
        (b'{"message":"boom"}\n{"x":1}', "boom", None),
        (b'"{\\"message\\":\\"boom\\",\\"code\\":3}"', "boom", "3"),
        (b'{"error":{"message":"{\\"detail\\":\\"boom\\"}","code":5}}', "boom", "5"),
        (b'{"error":"{\\"error\\":\\"{\\\\\\"message\\\\\\":\\\\\\"boom\\\\\\"}\\"}"}', "boom", None),
        (b"error: boom here", "HTTP 500: error: boom here", "http_500"),
        (b'{"error":"[2, 3] is no shape"}', "[2, 3] is no shape", None),
        (b'{"error":"{\\"a\\": 1}"}', '{"a": 1}', None),
    ],
)
def test_the_body_of_a_bad_status_in_all_framings(body: bytes, message: str, code: str | None) -> None:
    report = http_report(500, body)
    assert (report.message, report.code) == (message, code)


def test_a_choice_without_an_error_reports_none() -> None:
    assert report_of({"error": None}) is report_of({"error": {}}) is report_of({"error": ""}) is None
