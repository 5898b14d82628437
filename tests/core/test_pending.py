"""A call that must be awaited: as a coroutine in all, and one sentence where `await` was forgotten."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import BasetenkitError, NotAwaitedError


@pytest.fixture(scope="module")
def config() -> Iterator[bk.RunConfig]:
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server:
        yield bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=bk.Endpoint(server.url, model="m"),
            scenarios="D(8,2)",
            concurrency=1,
            max_requests=1,
        )


@pytest.mark.parametrize(
    "use",
    [
        lambda run: run.summary,
        lambda run: run.requests,
        lambda run: run["summary"],
        lambda run: list(run),
        lambda run: len(run),
        lambda run: bk.charts.latency_ecdf(run),
        lambda run: bk.compare(run, run),
        lambda run: bk.check_gates(run),
        lambda run: bk.report(run, "r.html"),
        lambda run: bk.write_genai_bench(run, "x"),
    ],
)
def test_a_forgotten_await_is_told_as_that(config: bk.RunConfig, use: Callable[[Any], Any]) -> None:
    run = bk.run(config)
    with pytest.raises(
        NotAwaitedError, match=r"^bk\.run\(config\) was not awaited, .* await bk\.run\(config\), or bk\.run_sync"
    ):
        use(run)
    assert "await bk.run(config)" in repr(run)
    run.close()


def test_it_is_ours_and_an_attribute_error(config: bk.RunConfig) -> None:
    run = bk.run(config)
    assert not hasattr(run, "summary")
    assert not hasattr(run, "_repr_html_")
    assert bool(run)
    assert issubclass(bk.errors.NotAwaitedError, BasetenkitError)
    run.close()


def dropped(config: bk.RunConfig) -> None:
    bk.run(config)
    gc.collect()


def test_one_that_is_dropped_is_warned_of_in_our_words(config: bk.RunConfig) -> None:
    with pytest.warns(RuntimeWarning, match=r"bk\.run\(config\) was not awaited") as said:
        dropped(config)
    assert len(said) == 1


def test_it_is_a_coroutine_in_all_else(config: bk.RunConfig) -> None:
    async def every_way() -> list[Any]:
        task = asyncio.create_task(bk.run(config))
        return [
            await bk.run(config),
            await task,
            *await asyncio.gather(bk.run(config)),
            await asyncio.wait_for(bk.run(config), 60),
        ]

    runs = [*asyncio.run(every_way()), asyncio.run(bk.run(config))]
    assert [run.requests["outcome"].to_list() for run in runs] == [["ok"]] * 5


def test_its_signature_is_that_of_the_call() -> None:
    assert list(inspect.signature(bk.run).parameters)[:1] == ["config"]
    assert "await" in (bk.run.__doc__ or "")


def test_compare_endpoints_tells_its_own_name(config: bk.RunConfig) -> None:
    found = bk.compare_endpoints(config, config)
    with pytest.raises(NotAwaitedError, match=r"await bk\.compare_endpoints\(\.\.\.\), or bk\.compare_endpoints_sync"):
        _ = found.frame  # type: ignore[attr-defined]
    found.close()


def test_a_cancelled_call_ends(config: bk.RunConfig) -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(bk.run(config.with_(max_requests=100_000)))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
