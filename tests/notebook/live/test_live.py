from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.notebook.live.live import LiveView

LEVELS = {"scenarios": "D(20,5)", "max_requests": 8}


def config(server: bk.emulator.Emulator, **fields: Any) -> bk.RunConfig:
    return bk.RunConfig(steady=False, preflight=False, endpoint=bk.Endpoint(url=server.url), **(LEVELS | fields))


async def follow(view: LiveView, live: bk.LiveRun) -> None:
    await asyncio.wait_for(view.follow(live), 60)


def test_a_run_of_two_levels_is_followed_to_its_end() -> None:
    view = LiveView()
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        live = bk.start(config(server, concurrency=[1, 2]))
        asyncio.run(follow(view, live))
    assert view.levels.value.count('role="progressbar"') == 2
    assert view.levels.value.count("8 of 8") == 2
    assert view.levels.value.count("width:100.0%") == 2
    assert view.levels.value.count(">done<") == 2
    assert "<b>8</b><span>ok</span>" in view.counts.value
    assert "<b>0</b><span>in flight</span>" in view.counts.value
    assert "concurrency 2: the good requests so far" in view.times.value
    assert view.spent_s > 0
    assert (
        repr(view)
        == "<LiveView: " + "; ".join(f"D(20,5) at concurrency {c}: 8 of 8 requests, done" for c in (1, 2)) + ">"
    )
    assert "follows no run yet" in LiveView()._repr_mimebundle_()["text/plain"]


def test_the_figures_are_those_of_the_runs_own_summary() -> None:
    view = LiveView()
    with bk.emulator.serve(ttft_ms=20, itl_ms=1, jitter=0.2) as server:
        live = bk.start(config(server, concurrency=[1, 4], max_requests=24))
        asyncio.run(follow(view, live))
    for state, row in zip(view._states.values(), live.result().summary_wide.iter_rows(named=True), strict=True):
        for name in ("ttft_s_p50", "ttft_s_p99_low", "tpot_s_p50", "output_tokens_per_s", "sent"):
            assert state.figures[name] == pytest.approx(row[name], rel=1e-12)


def test_failures_are_counted_by_their_outcome_and_the_last_is_told_as_text() -> None:
    view = LiveView()
    with bk.emulator.serve(ttft_ms=5, itl_ms=1, fail={"http_500": 1.0}) as server:
        asyncio.run(follow(view, bk.start(config(server, concurrency=[2]))))
    assert "<b>0</b><span>ok</span>" in view.counts.value
    assert "<b>8</b><span>http error</span>" in view.counts.value
    assert "last error: " in view.counts.value
    assert view.times.value == ""


def test_at_most_five_updates_a_second_reach_the_browser() -> None:
    view, changes = LiveView(), {"levels": 0, "counts": 0, "times": 0, "chart": 0}

    def count(name: str) -> None:
        changes[name] += 1

    for name in changes:
        getattr(view, name).observe(lambda _, name=name: count(name), "value")
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        began = time.monotonic()
        live = bk.start(config(server, concurrency=[2], max_requests=400))
        asyncio.run(follow(view, live))
        took = time.monotonic() - began
    assert changes["levels"] > 2
    assert max(changes.values()) <= 5 * took + 2


def test_a_run_that_is_stopped_is_shown_as_one_that_ended_early() -> None:
    async def stop(view: LiveView, live: bk.LiveRun) -> None:
        following = asyncio.ensure_future(view.follow(live))
        while live.progress["finished"] < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        live.stop()
        await asyncio.wait_for(following, 60)

    view = LiveView()
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        asyncio.run(stop(view, bk.start(config(server, concurrency=[2, 4], max_requests=100_000))))
    assert view.levels.value.count(">ended early<") == 1
    assert view.levels.value.count(">waits<") == 1


def test_tokens_a_second_are_those_that_came_over_the_time_they_took() -> None:
    view = LiveView()
    for at, tokens in (
        (10.0, 0),
        (10.5, 50),
        (11.5, 250),
        (12.0, 300),
        (12.5, 300),
        (13.0, 400),
        (13.5, 20),
        (14.5, 30),
    ):
        view._sample(at, tokens)
    assert [round(rate) for _, rate in view._rates] == [100, 167, 150, 120, 140, 10]


def test_a_preflight_that_fails_is_not_a_request_of_its_level() -> None:
    view = LiveView()
    dead = bk.RunConfig(endpoint=bk.Endpoint(url="http://127.0.0.1:9/v1/chat/completions"), **LEVELS)
    asyncio.run(follow(view, bk.start(dead)))
    assert "0 of " in view.levels.value
    assert "last error: " in view.counts.value
