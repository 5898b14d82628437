from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

import basetenkit as bk
from basetenkit.cli.screen import Screen

from .test_app import KEY


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1, api_key=KEY) as server:
        yield server


def test_the_screen_shows_what_was_sent_and_how_long_it_takes(server: Any) -> None:
    endpoint = bk.Endpoint(url=server.url, model="m", api_key=KEY)
    config = bk.RunConfig(
        endpoint=endpoint, scenarios="D(20,20)", concurrency=[1, 2], max_requests=100_000, steady=False
    )
    out = io.StringIO()
    live = bk.start(config)
    try:
        console = Console(file=out, force_terminal=True, width=100, markup=False)
        with Screen(live, console=console) as screen:
            until = time.monotonic() + 60
            while "TTFT p50" not in out.getvalue() and time.monotonic() < until:
                screen.show()
                time.sleep(0.1)
    finally:
        live.stop()
        live.result(30)
    for words in (
        "level 1 of 2: D(20,20) at concurrency 1",
        "of 100,000 requests",
        " left",
        "1 in flight",
        "TTFT p50",
        "TPOT p50",
    ):
        assert words in out.getvalue()
