"""Hostile bytes for as long as one likes: mutations of the cases, each parsed whole and split, until one raises, disagrees with
itself or takes too long.

    python -m tests.parsing.fuzz --seconds 300 [--seed N] [--most BODIES]

What it finds is written to tests/parsing/cases/found-*.body, to be given its expectation and kept; it then exits with 1.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from itertools import accumulate
from typing import Any

from basetenkit.parsing import ParsedResponse, parse_response

from .cases import CASES, FOLDER

TYPES = [
    "text/event-stream",
    "application/json",
    "application/x-ndjson",
    "application/octet-stream",
    "text/plain",
    "text/html",
    "",
]
SPLICES = [
    b"data: ",
    b"\n\n",
    b"\r\n",
    b"\r",
    b"[DONE]",
    b"{",
    b"}",
    b"[",
    b'"',
    b"\\u",
    b"\\",
    b"null",
    b"NaN",
    b"\x00",
    b"\xff",
    b"\xf0\x9f",
]
SPLICES += [
    b'{"choices":[{"delta":{"content":"x"}}]}',
    b'{"error":{"message":"m"}}',
    b"event: error\n",
    b":",
    b"1e999",
    b"-",
    b'{"text":',
    b"error: ",
    b"data: data: ",
    b"}\0{",
    b'\n{"error":"m"}\n',
    b'"finish_reason":"abort"',
    b'"finish_reason":"null"',
    b'"error":{"message":"m"},',
    b'"reasoning":{"text":"t"},',
    b'"reasoning_details":[{"text":"t"}],',
    b'{"type":"response.output_text.done","text":"x"}',
    b'{"text_output":"x"}',
    b'{"type":"content-delta","delta":{"message":{"content":{"text":"x"}}}}',
    b'{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}',
    b'"usage":{"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":9}},',
]
TOO_LONG_S = 5.0


def mutate(body: bytes, rng: random.Random) -> bytes:
    """One to eight small changes, or a splice with another case."""
    out = bytearray(body)
    for _ in range(rng.randint(1, 8)):
        at, what = rng.randrange(len(out) + 1), rng.randrange(7)
        if what == 0 and out:
            out[at % len(out)] = rng.randrange(256)
        elif what == 1:
            del out[at : at + rng.randint(1, 20)]
        elif what == 2:
            out[at:at] = rng.choice(SPLICES)
        elif what == 3:
            piece = out[at : at + rng.randint(1, 200)]
            out[at:at] = piece * rng.choice([1, 1, 1, 2, 50])
        elif what == 4:
            other = rng.choice(CASES).body
            cut = rng.randrange(len(other) + 1)
            out[at:] = other[cut : cut + 20_000]
        elif what == 5:
            out[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 12)))
        else:
            del out[at:]
    return bytes(out[:200_000])


def said(parsed: ParsedResponse) -> tuple[Any, ...]:
    """What must not depend on how the bytes were split."""
    events = (parsed.event_texts, parsed.event_kinds, parsed.event_starts, parsed.event_ends)
    return (parsed.outcome, parsed.text, parsed.reasoning, parsed.finish_reason, parsed.error_message, events)


def check(body: bytes, arguments: dict[str, Any], rng: random.Random) -> None:
    """AssertionError, or whatever the parser raises."""
    began = time.monotonic()
    whole = parse_response(body, [len(body)], **arguments)
    assert time.monotonic() - began < TOO_LONG_S, "it took too long"
    ends = [min(e, len(body)) for e in accumulate(rng.randint(1, max(len(body) // 3, 1)) for _ in range(40))]
    split = parse_response(body, [*ends, len(body)], **arguments)
    whole.explain()
    if not (whole.wire_format == "text" and whole.streamed):  # there each read is an event
        assert said(whole) == said(split), "split bytes read otherwise"
    for parsed in (whole, split):
        assert (parsed.error_message is None) == (parsed.outcome == "ok"), (
            "a failure without a sentence, or a success with one"
        )
        assert parsed.event_ends == sorted(parsed.event_ends), "events out of order"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=300)
    options.add_argument(
        "--most", type=int, default=1 << 62, help="bodies at most, so that a fixed seed says the same anywhere"
    )
    options.add_argument("--seed", type=int, default=int(time.time()))
    args = options.parse_args()
    rng, until, tried = random.Random(args.seed), time.monotonic() + args.seconds, 0
    while time.monotonic() < until and tried < args.most:
        case = rng.choice(CASES)
        headers = list(case.about["headers"].items())
        if rng.random() < 0.3:
            headers = [("content-type", rng.choice(TYPES))]
        arguments = {
            "status": rng.choice([200, 200, 200, 200, 500]),
            "headers": headers,
            "stream": rng.random() < 0.7,
            "prompt": "a b",
        }
        body = mutate(case.body, rng)
        tried += 1
        try:
            check(body, arguments, rng)
        except Exception:
            path = FOLDER / f"found-{hashlib.sha256(body).hexdigest()[:10]}.body"
            path.write_bytes(body)
            print(
                f"seed {args.seed}, body {tried} (from {case.name}), {arguments}: written to {path}\n{traceback.format_exc()}"
            )
            return 1
    print(
        f"{tried} bodies in {args.seconds:g} s, seed {args.seed}: none raised, all read the same however they were split"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
