"""Where messages begin and end, by the web platform's event-stream rules (WHATWG HTML, 9.2.6): our own inputs of each rule,
and random bodies, held against a reader that goes byte by byte.
"""

from __future__ import annotations

import itertools
import json
import random

import pytest

from basetenkit.parsing import parse
from basetenkit.parsing.wire import BOM, sse_messages

SSE = {"content-type": "text/event-stream"}
CHUNK = json.dumps({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]})


def by_the_standard(body: bytes) -> list[tuple[str, bytes]]:
    """(name, data) of each event that is dispatched, read byte by byte as the standard is written."""
    events: list[tuple[str, bytes]] = []
    lines, line, after_cr = [], b"", False
    for i in range(len(body.removeprefix(BOM))):
        byte = body.removeprefix(BOM)[i : i + 1]
        if byte == b"\n" and after_cr:
            after_cr = False
            continue
        after_cr = byte == b"\r"
        if byte in b"\r\n":
            lines.append(line)
            line = b""
        else:
            line += byte
    data, name = b"", ""
    for line in lines:
        if not line:
            if data:
                events.append((name, data[:-1]))
            data, name = b"", ""
            continue
        field, colon, value = line.partition(b":")
        value = value.removeprefix(b" ") if colon else b""
        if field == b"data":
            data += value + b"\n"
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return events


def ours(body: bytes) -> list[tuple[str, bytes]]:
    return [(name or "", data) for name, data, _, _, whole in sse_messages(body) if whole]


RULES = {
    "one line": b"data: a\n\n",
    "CR alone": b"data: a\r\rdata: b\r\r",
    "CRLF": b"data: a\r\n\r\ndata: b\r\n\r\n",
    "mixed line ends": b"data: a\n\r\ndata: b\r\n\rdata: c\r\r\n",
    "CR, then LF of the next line": b"data: a\r\n\ndata: b\r\r",
    "no space": b"data:a\n\n",
    "two spaces": b"data:  a\n\n",
    "a tab": b"data:\ta\n\n",
    "a field without a colon": b"data\n\ndata\ndata\n\n",
    "only a colon behind": b"data:\n\n",
    "several data lines": b"data: a\ndata:\ndata: b\n\n",
    "a colon in the value": b"data: a:b:c\n\n",
    "a comment": b":\n: data: a\n:data: b\ndata: c\n\n",
    "a comment between": b"data: a\n: ping\ndata: b\n\n",
    "a byte order mark": BOM + b"data: a\n\n",
    "two byte order marks": BOM + BOM + b"data: a\n\ndata: b\n\n",
    "a byte order mark later": b"data: a\n\n" + BOM + b"data: b\n\n",
    "a NUL in an id": b"id: 1\x002\ndata: a\n\n",
    "a NUL in the data": b"data: a\x00b\n\n",
    "retry": b"retry: 1000\ndata: a\n\nretry: x\n\n",
    "an event's name": b"event: x\ndata: a\n\ndata: b\n\n",
    "the last name counts": b"event: x\nevent: y\ndata: a\n\n",
    "a name without data": b"event: x\n\ndata: a\n\n",
    "an unknown field": b"x: 1\ndata: a\ndatas: b\nDATA: c\n data: d\n\n",
    "no end": b"data: a\n\ndata: b\n",
    "an empty body": b"",
    "blank lines": b"\n\n\n\r\r\r\ndata: a\n\n\n\n",
    "a field's name with a blank": b"data : a\ndata: b\n\n",
    "UTF-8": "data: ok ✓ \U0001f642\n\n".encode(),
}


@pytest.mark.parametrize("rule", RULES)
def test_messages_are_those_of_the_standard(rule: str) -> None:
    body = RULES[rule]
    assert ours(body) == by_the_standard(body)


def test_so_are_those_of_random_bodies() -> None:
    rng = random.Random(3)
    pieces = [
        b"data",
        b":",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"a",
        b"event: x",
        b"id: \x00",
        b"data: b",
        BOM,
        b"retry: 1",
    ]
    for _ in range(3000):
        body = b"".join(rng.choice(pieces) for _ in range(rng.randint(0, 25)))
        assert ours(body) == by_the_standard(body), body


FRAMES = {
    "LF": "data: {}\n\n", "CR": "data: {}\r\r", "CRLF": "data: {}\r\n\r\n", "comment": ": x\rdata: {}\r\r",
    "name": "event: message\ndata: {}\n\n", "id": "id: 1\x00\r\ndata: {}\r\n\r\n", "retry": "retry: 3\ndata:{}\n\n",
    "unknown field": "x: 1\rdata: {}\r\r", "mark": "\ufeffdata: {}\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES)
def test_a_chat_reads_the_same_in_every_framing_and_every_split(frame: str) -> None:
    framed = FRAMES[frame].replace("{}", "%s")
    body = (framed % CHUNK).encode() + (framed % "[DONE]").encode().removeprefix(BOM)
    rng = random.Random(7)
    cuts = [[], list(range(1, len(body))), *(sorted(rng.sample(range(1, len(body)), 5)) for _ in range(40))]
    for cut in cuts:
        ends = [0, *cut, len(body)]
        chunks = [(float(i), body[a:b]) for i, (a, b) in enumerate(itertools.pairwise(ends))]
        found = parse(chunks, headers=SSE)
        assert (found.outcome, found.text, len(found.events)) == ("ok", "a", 1), found.explain()
        # The event came with the byte that completed it, and the body up to there holds it.
        end = found.event_ends[0]
        assert found.events[0].arrival_s == next(float(i) for i, b in enumerate(ends[1:]) if b >= end)
