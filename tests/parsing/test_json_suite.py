"""JSON as the parsing suites hold parsers to it: what must parse is read, what must not is never a success, nothing raises.

Each text is the value of a key beside a chat's answer, a whole body, a message of a stream, and a line of NDJSON; whole, byte by
byte and split at random.
"""

from __future__ import annotations

import itertools
import json
import random

import pytest

from basetenkit.parsing import parse

J, S, N = ({"content-type": kind} for kind in ("application/json", "text/event-stream", "application/x-ndjson"))
MUST = [
    "[]", "[ ]", "{}", '[""]', "[1E+2]", "[-0]", "[0e1]", "[1e-10]", "[1.5]", "[123.456e78]", "[20e1]", "null", "true", "42",
    '"a"', '" "', '["\\u0000"]', '["\\ud83d\\ude42"]', '["\\"\\\\\\/\\b\\f\\n\\r\\t"]', '["\\u00e9"]', '["é✓🙂"]', '["\x7f"]',
    '{"a":{"b":[{"c":null}]}}', '{"a":1,"b":2}', '{"":0}', '{"\\u0061":1}', "[[[[[[]]]]]]", " [1] ", "[1,\n2]", '["\\uFFFF"]',
    '{"min":-1.0e+28,"max":1.0e+28}', "[0.00000000000000000000000000000000000000000000000000000000000001]", '["a",null,1,false]',
]  # fmt: skip
MUST_NOT = [
    "[", "]", "{", "}", "[1,]", "[,1]", "[1,,2]", "[1 2]", '["a"', '{"a":1,}', '{"a" 1}', "{a:1}", '{"a":}', '{"a"', "[tru]",
    "nul", "[01]", "[1.]", "[.5]", "[+1]", "[0x1]", "[1e]", "[--1]", '["\\x"]', '["\\u12"]', '["\\', '"', '{"a":1}}', '[1]]', "{}}",
    '{"x":{}},"y":1}', "[1]x", '{"a":1}#', '/*c*/[1]', "[1;2]", '{"a":1 "b":2}', "[\"a\":1]", "<null>", "[a]", "abc",
]  # fmt: skip
ANSWER = '"choices":[{"index":0,"message":{"content":"hello"},"delta":{"content":"hello"},"finish_reason":"stop"}]'


def ways(body: bytes) -> list[object]:
    rng = random.Random(1)
    cut = sorted(rng.randrange(len(body) + 1) for _ in range(4))
    ends = [0, *cut, len(body)]
    return [body, [bytes([b]) for b in body], [body[a:b] for a, b in itertools.pairwise(ends)]]


@pytest.mark.parametrize("text", MUST)
def test_what_must_parse_is_read(text: str) -> None:
    inner = f'{{"x":{text},{ANSWER}}}'
    assert json.loads(inner)["choices"]
    flat = inner.replace("\n", " ")
    for headers, body, stream in (
        (J, inner, False),
        (S, f"data: {flat}\n\ndata: [DONE]\n\n", True),
        (N, f"{flat}\n", True),
    ):
        for chunks in ways(body.encode()):
            found = parse(chunks, headers=headers, stream=stream)
            assert (found.outcome, found.text, found.finish_reason) == ("ok", "hello", "stop"), found.explain()


@pytest.mark.parametrize("text", MUST_NOT)
def test_what_must_not_parse_is_never_a_success(text: str) -> None:
    inner = f'{{"x":{text},{ANSWER}}}'
    with pytest.raises(ValueError, match=r"."):
        json.loads(inner)
    bodies = ((J, inner, False), (S, f"data: {inner}\n\ndata: [DONE]\n\n", True), (N, f"{inner}\n", True))
    for headers, body, stream in bodies:
        for chunks in ways(body.encode()):
            found = parse(chunks, headers=headers, stream=stream)
            assert found.outcome in ("malformed", "incomplete", "empty"), found.explain()
            assert not found.events


@pytest.mark.parametrize("text", [*MUST, *MUST_NOT])
def test_nothing_raises_and_a_split_changes_nothing(text: str) -> None:
    for headers in (J, S, N, {}, {"content-type": "application/octet-stream"}):
        for stream in (False, True):
            seen = {
                (f.outcome, f.text, f.error_message)
                for f in (parse(c, headers=headers, stream=stream) for c in ways(text.encode()))
            }
            assert len(seen) == 1, seen


GREAT = ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, '"' + "\\u0041" * 100_000, "9" * 100_000]


@pytest.mark.parametrize("text", GREAT, ids=["open", "objects", "closed", "a string", "a number"])
def test_great_and_deep_ones_do_not_raise(text: str) -> None:
    for headers in (J, S, N):
        found = parse(text.encode(), headers=headers, stream=headers is not J)
        assert (found.error_message is None) == (found.outcome == "ok")
