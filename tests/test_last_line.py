"""Each public object as the last line of a cell, in HTML and in plain text: the most wanted parts come first, there is no secret,
nothing needs a network, and output of a server is only text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import basetenkit as bk

KEY, EVIL = "sk-key-that-nobody-sees", "<img src=x onerror=alert(1)>"
BODY = b'data: {"choices":[{"index":0,"delta":{"content":"' + EVIL.encode() + b'"}}]}\n\ndata: [DONE]\n\n'


@pytest.fixture(scope="module")
def shown() -> Iterator[dict[str, Any]]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1, fail={"http_500": 0.3}) as server:
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint={"url": server.url, "api_key": KEY},
            scenarios="D(20,5)",
            concurrency=[1, 2],
            max_requests=12,
        )
        live = bk.start(config)
        run = live.result(60)
        yield {
            "Run": run,
            "LiveRun": live,
            "RunConfig": config,
            "ParsedResponse": bk.parse(BODY),
            "ParserCase": bk.ParserCase(BODY),
        }


@pytest.mark.parametrize(
    ("name", "first", "then"),
    [
        ("Run", "in flight", "24 requests in 2 level(s)"),
        ("Run", "24 requests in 2 level(s)", "clock error p99, ms"),
        ("LiveRun", "level 2 of 2", "12 of 12 requests"),
        ("RunConfig", "endpoint", "max_requests"),
        ("ParsedResponse", EVIL, "outcome: ok"),
        ("ParserCase", "outcome", "events"),
    ],
)
def test_it_says_first_what_a_person_wants_first(shown: dict[str, Any], name: str, first: str, then: str) -> None:
    bundle = shown[name]._repr_mimebundle_()
    plain = re.sub(r"<style>.*?</style>|<[^>]+>", " ", bundle["text/html"], flags=re.S)
    for text in (bundle["text/plain"], plain.replace("&lt;", "<").replace("&gt;", ">")):
        assert 0 <= text.index(first) < text.index(then)


@pytest.mark.parametrize("name", ["Run", "LiveRun", "RunConfig", "ParsedResponse", "ParserCase"])
def test_it_needs_no_network_and_tells_no_secret_and_runs_nothing(shown: dict[str, Any], name: str) -> None:
    bundle = shown[name]._repr_mimebundle_()
    markup = bundle["text/html"]
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\(", markup)
    assert KEY not in markup + bundle["text/plain"] + repr(shown[name])


def test_a_live_run_that_is_over_counts_no_level_more_than_it_has(shown: dict[str, Any]) -> None:
    assert repr(shown["LiveRun"]).endswith("12 of 12 requests, level 2 of 2>")
