"""Each reason for a difference between the accounts has a response that causes it, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from basetenkit.config.loads import ClosedLoop, LevelKey
from basetenkit.config.plan import PlannedLevel
from basetenkit.core.types import END, Exchange, Failure, Outcome, Request
from basetenkit.parsing import parse_response
from basetenkit.results.recorder import Recorder

WORDS = ("one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten")


def message(**delta: Any) -> str:
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}) + "\n\n"


def stream(*deltas: dict[str, Any], usage: dict[str, Any] | None = None, finish: str | None = "length") -> str:
    out = "".join(message(**d) for d in deltas)
    if finish is not None:
        out += "data: " + json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}) + "\n\n"
    if usage is not None:
        out += "data: " + json.dumps({"choices": [], "usage": usage}) + "\n\n"
    return out + ("data: [DONE]\n\n" if finish is not None else "")


def tokens(n: int) -> list[dict[str, Any]]:
    return [{"content": word} for word in WORDS[:n]]


def usage(prompt: int = 4, completion: int = 10, **details: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "completion_tokens_details": details}


def notes(body: str, *, failure: Failure | None = None, prompt: str = "a b c d") -> set[str]:
    """The codes of the token notes of a row; its tokenizer counts words."""
    data = body.encode()
    request = Request(
        "r", b"", "s", prompt=prompt, input_tokens_client=4, input_tokens_target=4, output_tokens_target=10
    )
    exchange = Exchange(request, start_ns=1, sent_ns=1, end_ns=10, status=200, body=data, failure=failure)
    exchange.reads.extend([5, 2, 1, len(data)])
    assert exchange.reads[END] == len(data)
    headers = [("content-type", "text/event-stream")]
    parsed = parse_response(data, exchange.read_ends, headers=headers, failure=failure, prompt=prompt, max_tokens=10)
    table = Recorder(PlannedLevel(0, LevelKey("s", ClosedLoop(1))), 0, lambda text: len(text.split()))
    row = table.add(exchange, parsed)
    codes = {n.code for n in row["notes"]}
    return {c for c in codes if c.startswith(("tokens_", "echo", "over_max_tokens"))}


CASES = {
    "all four accounts agree": (stream(*tokens(10), usage=usage()), set()),
    "no usage sent": (stream(*tokens(10)), {"tokens_no_usage"}),
    "chat template": (stream(*tokens(10), usage=usage(prompt=23)), {"tokens_template"}),
    "several tokens a chunk": (
        stream(*({"content": a + b} for a, b in zip(WORDS[::2], WORDS[1::2], strict=True)), usage=usage()),
        {"tokens_chunked"},
    ),
    "reasoning not in text": (stream(*tokens(6), usage=usage(reasoning_tokens=4)), {"tokens_hidden_reasoning"}),
    "reasoning in the stream": (
        stream(*({"reasoning_content": w} for w in WORDS[:2]), *tokens(10)[2:], usage=usage(reasoning_tokens=2)),
        set(),
    ),
    "special tokens": (stream(*tokens(9), usage=usage(), finish="stop"), {"tokens_special"}),
    "two tokens too many": (stream(*tokens(8), usage=usage(), finish="stop"), {"tokens_differ", "tokens_chunked"}),
    "one too many without a reason to end": (stream(*tokens(9), usage=usage()), {"tokens_differ", "tokens_chunked"}),
    "counts over max_tokens": (stream(*tokens(10), usage=usage(completion=15)), {"over_max_tokens"}),
    "another vocabulary": (
        stream(*({"content": f"{w} {w} {w}"} for w in WORDS[:4]), usage=usage(completion=4)),
        {"tokens_differ"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_reason_is_told_and_no_other(name: str) -> None:
    body, expected = CASES[name]
    assert notes(body) == expected


def test_a_response_that_broke_off_says_after_how_many() -> None:
    assert notes(stream(*tokens(6), finish=None)) == {"tokens_truncated"}
    lost = Failure(Outcome.INCOMPLETE, "the connection broke")
    assert notes(stream(*tokens(3), finish=None), failure=lost) == {"tokens_truncated"}


def test_an_echoed_prompt_is_the_reason_and_nothing_else_is_sought() -> None:
    data = b'{"text": "the old grey cat sat one two three"}'
    parsed = parse_response(
        data, [len(data)], headers=[("content-type", "application/json")], stream=False, prompt="the old grey cat sat"
    )
    assert any(w.startswith("echo:") for w in parsed.warnings)
    request = Request("r", b"", "s", prompt="the old grey cat sat", input_tokens_client=5, output_tokens_target=3)
    exchange = Exchange(request, start_ns=1, sent_ns=1, end_ns=9, status=200, body=data)
    exchange.reads.extend([5, 2, 1, len(data)])
    row = Recorder(PlannedLevel(0, LevelKey("s", ClosedLoop(1))), 0, lambda text: len(text.split())).add(
        exchange, parsed
    )
    assert row["output_tokens"] == 3
    assert [n for n in row["notes"] if n.code.startswith("tokens_")] == []
