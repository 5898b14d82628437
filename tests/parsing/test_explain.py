"""explain() is evidence: each decision is shown next to the bytes that led to it, at their offsets."""

from __future__ import annotations

import ast
import gzip
import re
from dataclasses import dataclass, field

import pytest

from basetenkit.parsing import parse

SSE = {"content-type": "text/event-stream"}
OCTETS = {"content-type": "application/octet-stream"}
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}

ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
A = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"out of memory","code":500}}\n\n'
CUT = b'data: {"choices":[{"del'
BAD = b'data: {"choices": nope}\n\n'
SOFT = b'{"status":"error","data":null,"message":"CUDA"}'
LINE = b'{"response":"a","done":false}\n'
LAST = b'{"response":"","done":true,"done_reason":"stop"}\n'
PAGE = b"<html><body>Bad Gateway</body></html>"
GATHERED = b'"data: {\\"choices\\":[{\\"text\\":\\"a\\"}]}\\n\\ndata: [DONE]\\n\\n"'
INNER = b'data: {"choices":[{"text":"a"}]}\n\n'


@dataclass(frozen=True)
class Case:
    """`decisions`: what each line says, and the bytes it shows; None if a header and no bytes led to it."""

    body: bytes
    headers: dict[str, str]
    decisions: list[tuple[str, bytes | None]]
    last: str
    status: int = 200
    notes: list[str] = field(default_factory=list)
    decoded: bytes | None = None

    @property
    def shown(self) -> bytes:
        return self.body if self.decoded is None else self.decoded


CASES = {
    "an event stream that calls itself octets": Case(
        ROLE + A + STOP + DONE,
        OCTETS,
        [
            ("framing: sse, for content type application/octet-stream, but the first bytes are a Server-Sent Event",
             ROLE + A + STOP + DONE),
            ("dialect: OpenAI", ROLE),
            ("end: [DONE]", DONE),
            ("first output: content, the earliest of 1 event(s)", A),
        ],
        "outcome: ok",
    ),
    "an error in the middle of a stream": Case(
        A + ERROR + DONE,
        SSE,
        [
            ("framing: sse, for content type text/event-stream", A + ERROR + DONE),
            ("dialect: OpenAI", A),
            ("a message reports an error", ERROR),
            ("first output: content, the earliest of 1 event(s)", A),
        ],
        "outcome: api_error, out of memory",
    ),
    "a success that reports an error": Case(
        SOFT,
        JSON,
        [
            ("framing: json, for content type application/json, and the body begins like JSON", SOFT),
            ("the document reports an error", SOFT),
        ],
        "outcome: api_error, CUDA",
    ),
    "lines of JSON": Case(
        LINE + LAST,
        OCTETS,
        [
            ("framing: ndjson, for content type application/octet-stream, and each of the first lines is a JSON document",
             LINE + LAST),
            ("dialect: Ollama", LINE),
            ("first output: content, the earliest of 1 event(s)", LINE),
        ],
        "outcome: ok",
    ),
    "a stream gathered in one string": Case(
        GATHERED,
        JSON,
        [
            ("framing: json, for content type application/json", GATHERED),
            ("a JSON string that holds a whole sse stream", GATHERED),
            ("in the string: dialect: OpenAI", INNER),
            ("in the string: end: [DONE]", DONE),
            ("first output: content, the earliest of 1 event(s)", GATHERED),
        ],
        "outcome: ok",
        notes=["gathered", "not_streamed"],
    ),
    "a body that ends within a message": Case(
        A + CUT,
        SSE,
        [
            ("framing: sse, for content type text/event-stream", A + CUT),
            ("dialect: OpenAI", A),
            ("the last message is cut off", CUT),
            ("first output: content, the earliest of 1 event(s)", A),
        ],
        f"outcome: incomplete, the body ends within the message that begins at byte {len(A)}",
    ),
    "a message after the end": Case(
        A + DONE + STOP,
        SSE,
        [
            ("framing: sse, for content type text/event-stream", A + DONE + STOP),
            ("dialect: OpenAI", A),
            ("end: [DONE]", DONE),
            ("message after the end (no name): ignored", STOP),
            ("first output: content, the earliest of 1 event(s)", A),
        ],
        "outcome: ok",
        notes=["after_done"],
    ),
    "a message that cannot be read": Case(
        A + BAD + STOP + DONE,
        SSE,
        [
            ("framing: sse, for content type text/event-stream", A + BAD + STOP + DONE),
            ("dialect: OpenAI", A),
            ("a message cannot be read: the response is malformed", BAD),
            ("first output: content, the earliest of 1 event(s)", A),
        ],
        f"outcome: malformed, the message at byte {len(A)} cannot be read: Expecting value: line 1 column 13 (char 12)",
    ),
    "a compressed body": Case(
        gzip.compress(A + STOP),
        SSE | {"content-encoding": "gzip"},
        [
            ("content-encoding: gzip, undone; offsets are in the decoded body", None),
            ("framing: sse, for content type text/event-stream", A + STOP),
            ("dialect: OpenAI", A),
            ("first output: content, the earliest of 1 event(s)", A),
        ],
        "outcome: ok",
        notes=["encoded", "no_done"],
        decoded=A + STOP,
    ),
    "a gateway's page": Case(
        PAGE,
        HTML,
        [("status 502: the body is an error's", PAGE)],
        "outcome: http_error, HTTP 502: Bad Gateway",
        status=502,
    ),
    "a page where an answer should be": Case(
        PAGE,
        HTML,
        [("framing: html, for content type text/html and the first bytes are a web page's", PAGE)],
        "outcome: malformed, a web page came instead of a model's answer: Bad Gateway",
    ),
    "plain text": Case(
        b"to be",
        OCTETS,
        [
            ("framing: text, for content type application/octet-stream, and the body is neither JSON nor begins with an event",
             b"to be"),
            ("first output: content, the earliest of 1 event(s)", b"to be"),
        ],
        "outcome: ok",
        notes=["completion_unverified"],
    ),
}  # fmt: skip

_LINE = re.compile(r"(\d+)\. (.*?)(?:  \[bytes (\d+)-(\d+): (b['\"].*['\"])(\.\.\.)?\])?")


@pytest.mark.parametrize("name", CASES)
def test_each_decision_shows_the_bytes_that_led_to_it(name: str) -> None:
    case = CASES[name]
    lines = parse(case.body, headers=case.headers, status=case.status).explain().splitlines()
    assert len(lines) == len(case.decisions) + len(case.notes) + 1
    for number, (line, (decision, source)) in enumerate(zip(lines, case.decisions, strict=False), 1):
        found = _LINE.fullmatch(line)
        assert found is not None
        assert (int(found[1]), found[2]) == (number, decision)
        if source is None:
            assert found[3] is None
            continue
        start, end = int(found[3]), int(found[4])
        text = INNER + DONE if decision.startswith("in the string: ") else case.shown
        assert text[start:end] == source
        assert ast.literal_eval(found[5]) == source[:60]
        assert (found[6] is not None) == (len(source) > 60)


@pytest.mark.parametrize("name", CASES)
def test_notes_and_the_outcome_come_last(name: str) -> None:
    case = CASES[name]
    lines = parse(case.body, headers=case.headers, status=case.status).explain().splitlines()
    assert lines[-1] == f"{len(lines)}. {case.last}"
    notes = [line.partition(". note: ")[2].partition(":")[0] for line in lines if ". note: " in line]
    assert notes == case.notes
    assert all(". note: " in line for line in lines[len(case.decisions) : -1])


def test_what_happens_often_is_told_once() -> None:
    lines = parse(A * 50 + BAD * 20 + DONE + A * 30, headers=SSE).explain().splitlines()
    assert len(lines) < 12
    assert sum("a message cannot be read" in line for line in lines) == 1
