from __future__ import annotations

import asyncio

import basetenkit as bk
from basetenkit.widgets.live import LiveView, sparkline


def test_a_run_is_followed_to_its_end() -> None:
    async def follow(live: bk.LiveRun) -> LiveView:
        view = LiveView()
        await view.follow(live)
        return view

    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url)
        config = bk.RunConfig(endpoint=endpoint, scenarios="D(20,5)", concurrency=[2], max_requests=8)
        view = asyncio.run(follow(bk.start(config)))
    assert (view.bar.value, view.bar.max) == (8, 8)
    assert "8 of 8 requests" in view.words.value
    assert "8 ok" in view.words.value
    assert "TTFT p50 / p90 / p99: " in view.times.value


def test_what_a_server_said_is_text() -> None:
    view = LiveView()
    counts = {"planned": 4, "finished": 2, "seconds": 2.0, "in_flight": 1, "levels": 1, "levels_done": 0}
    view.show({**counts, "level": "<D>", "outcomes": {"ok": 2}, "last_error": "<img src=x>"})
    assert "&lt;img src=x&gt;" in view.words.value
    assert "<img" not in view.words.value
    assert "1.0/s, 2 s to go" in view.words.value


def test_the_line_needs_two_reads_and_stays_in_its_box() -> None:
    assert sparkline([5.0]) == sparkline([0.0, 0.0]) == ""
    assert 'points="0,32.0 480,4.0"' in sparkline([5.0, 10.0])
