"""Calls that wait without await: they block, re-enter no running loop, and leave asyncio as it was."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.execution.waiting import reentered, wait_for


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=20, itl_ms=1) as server:
        yield server


def config(server: Any, **kw: Any) -> bk.RunConfig:
    fields = {"scenarios": "D(10,3)", "concurrency": 2, "max_requests": 6} | kw
    return bk.RunConfig(steady=False, preflight=False, endpoint=bk.Endpoint(url=server.url, model="m"), **fields)


def beats_during(call: Any) -> tuple[Any, int, int]:
    """What `call` gives within a running loop, how often another task ran meanwhile, and in a moment afterwards."""

    async def main() -> tuple[Any, int, int]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        task = asyncio.ensure_future(beat())
        await asyncio.sleep(0)
        found, during = call(), beats
        await asyncio.sleep(0.2)
        task.cancel()
        return found, during, beats - during

    return asyncio.run(main())


def test_run_sync_blocks_a_running_loop_and_the_loop_goes_on_after_it(server: Any) -> None:
    run, during, after = beats_during(lambda: bk.run_sync(config(server)))
    assert set(run.requests["outcome"]) == {"ok"}
    assert during == 0
    assert after > 0


def test_keep_loop_lets_the_loop_go_on_meanwhile_and_leaves_asyncio_as_it_was(server: Any) -> None:
    names = ("run", "Task", "Future", "get_event_loop")
    before = {name: getattr(asyncio, name) for name in names}
    for _ in range(2):
        run, during, after = beats_during(lambda: bk.run_sync(config(server), keep_loop=True))
        assert set(run.requests["outcome"]) == {"ok"}
        assert during > 0
        assert after > 0
        assert {name: getattr(asyncio, name) for name in names} == before

    async def kind() -> type:
        return type(asyncio.get_running_loop())

    assert not hasattr(asyncio.run(kind()), "_nest_patched")


def test_keep_loop_needs_a_loop_that_can_be_re_entered(server: Any) -> None:
    with pytest.raises(ConfigError, match="keep_loop=True needs a running event loop"):
        bk.run_sync(config(server), keep_loop=True)


def test_wait_for_runs_on_another_thread_where_a_loop_runs_and_on_this_one_where_none_does() -> None:
    async def where() -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    async def main() -> int:
        return wait_for(where)

    assert wait_for(where) == threading.get_ident()
    assert asyncio.run(main()) != threading.get_ident()


def test_wait_for_raises_what_the_work_raises() -> None:
    async def fails() -> None:
        raise KeyError("this")

    async def main() -> None:
        wait_for(fails)

    with pytest.raises(KeyError, match="this"):
        asyncio.run(main())


WORK = """
import asyncio, os, signal, threading
from basetenkit.execution.waiting import wait_for

async def work():
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.1)
        print("ended", flush=True)

async def main():
    wait_for(work)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
RUN = """
import asyncio
import basetenkit as bk

config = bk.RunConfig(
    steady=False,
    preflight=False, endpoint=bk.Endpoint(url={url!r}, model="m"), scenarios="D(10,3)", concurrency=2, max_requests=1000000)

async def main():
    bk.run_sync(config)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    run = bk.last_run()
    print("interrupted", run.complete, (run.requests["outcome"] == "ok").any())
"""


def script(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_an_interrupt_ends_the_work_and_then_goes_on() -> None:
    assert script(WORK) == ["ended", "interrupted"]


def test_an_interrupt_in_a_running_loop_stops_run_sync_and_keeps_what_finished(server: Any) -> None:
    server.truth(reset=True)
    process = subprocess.Popen([sys.executable, "-c", RUN.format(url=server.url)], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(server.truth()["requests"]) < 20:
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0].split() == ["interrupted", "False", "True"]


def test_re_entering_in_no_loop_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="none runs here"), reentered():
        pass
