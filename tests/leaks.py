"""After each test nothing of the engine is left: no task, no socket, no thread. A conftest that imports this checks its folder."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from basetenkit.transport.clock import WallClock


def sockets() -> int:
    """Sockets that this process holds open."""
    count = 0
    for fd in Path("/proc/self/fd").iterdir():
        try:
            count += fd.readlink().name.startswith("socket:")
        except OSError:  # the listing's own descriptor
            continue
    return count


@pytest.fixture(scope="session", autouse=True)
def the_clock_has_its_socket() -> None:
    """The engine keeps one socket per process on purpose, to keep the OS kernel's stamping on: this is not a leak."""
    WallClock()


@pytest.fixture(autouse=True)
def nothing_stays_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    left: list[str] = []
    clean_up = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def look_first(loop: asyncio.AbstractEventLoop) -> None:
        tasks = map(repr, asyncio.all_tasks(loop))
        left.extend(
            task for task in tasks if "async_generator_athrow" not in task
        )  # Python's own end of a generator let go
        clean_up(loop)

    monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", look_first)
    held, threads = sockets(), set(threading.enumerate())
    yield
    assert left == [], "tasks stayed behind"
    until = time.monotonic() + 10
    while (sockets() > held or set(threading.enumerate()) - threads) and time.monotonic() < until:
        time.sleep(0.02)
    assert sockets() <= held, "sockets stayed behind"
    assert set(threading.enumerate()) - threads == set(), "threads stayed behind"
