"""The controlling side of one sender of a level: the messages to it and from it, and how it was lost. And the kind that is a
process of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...config.endpoint import KEY_VARIABLES
from ...core.types import JsonObject
from . import protocol

log = logging.getLogger(__name__)
END_WITHIN_S = 2.0
COMMAND = [sys.executable, "-P", "-m", "basetenkit.execution.processes.worker"]
OnMessage = Callable[["Member", str, JsonObject, list[pl.DataFrame]], None]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Member(ABC):
    """One of those who send a level, as who leads them sees it. All on the leader's loop.

    `answers`: the last content of each word that it said in this level; `lost`: why it is no more; `received` and `spans`: numbers,
    and (start, end) in s, of the requests whose rows came, a batch each. A subclass says how it is told and ended."""

    def __init__(self, part: int, on_message: OnMessage) -> None:
        self.part, self._on_message = part, on_message
        self.answers: dict[str, JsonObject] = {}
        self.received: list[Ints] = []
        self.spans: list[Floats] = []
        self.lost: str | None = None
        self._why: str | None = None
        self._closing = False
        self._changed = asyncio.Event()

    def begin_level(self) -> None:
        self.answers, self.received, self.spans = {}, [], []

    @abstractmethod
    def send(self, word: str, **content: object) -> None:
        """Sends an order; to one that is no more, none."""

    @abstractmethod
    def kill(self, why: str) -> None:
        """Ends it at once; `why` is the reported reason of its loss."""

    @abstractmethod
    async def end(self) -> None:
        """Ends it and waits until it has ended."""

    async def wait_for(self, word: str, within_s: float) -> JsonObject | None:
        """The content of `word` when it comes; None if the member failed or was lost first, or took longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while word not in self.answers and self.lost is None and "failed" not in self.answers:
                    self._changed.clear()
                    await self._changed.wait()
        if "failed" in self.answers and word not in self.answers:
            self.kill(self.answers["failed"]["message"])
            await self.gone()
        return self.answers.get(word)

    async def gone(self) -> None:
        """Returns when it is no more and `lost` says why."""
        while self.lost is None:
            self._changed.clear()
            await self._changed.wait()

    @property
    def error_text(self) -> str:
        """In a few words, why it is no more: what it failed with, else its last words, else how it ended."""
        return self.lost or self._why or "it was ended"

    def _take(self, say: str, content: JsonObject, frames: list[pl.DataFrame]) -> None:
        self._on_message(self, say, content, frames)
        self.answers[say] = content
        self._changed.set()


class WorkerHandle(Member):
    """A worker's process on this machine, spoken to over its pipes."""

    def __init__(self, part: int, loop: asyncio.AbstractEventLoop, on_message: OnMessage) -> None:
        super().__init__(part, on_message)
        self._loop = loop
        # A file, not a pipe: nobody reads along, and a full pipe would stop the worker.
        self._complaints = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed by close()
        # Its own session: an interrupt of the notebook's kernel reaches all of its group, and is not the worker's.
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=environment(keys=False),
            start_new_session=True,
        )
        log.debug("worker %d started as process %d", part + 1, self._process.pid)
        self._thread = threading.Thread(target=self._listen, name="basetenkit-worker-pipe", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, word: str, **content: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            protocol.write(cast(BinaryIO, self._process.stdin), protocol.encode_order(word, **content))

    def kill(self, why: str) -> None:
        self._why = self._why or why
        self._process.kill()

    def _listen(self) -> None:
        stream = cast(BinaryIO, self._process.stdout)
        for parts in protocol.read_message(stream):
            self._call(self._take, *protocol.read_report(parts))
        code = self._process.wait()
        self._call(self._end, code)

    def _call(self, work: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to be told
            self._loop.call_soon_threadsafe(work, *arguments)

    def _end(self, code: int) -> None:
        if not self._closing:
            self.lost = self._why or self._last_words(code)
            log.warning("worker %d (process %d) was lost: %s", self.part + 1, self.pid, self.lost)
        else:
            log.debug("worker %d (process %d) ended", self.part + 1, self.pid)
        self._changed.set()

    def _last_words(self, code: int) -> str:
        self._complaints.seek(0)
        return how_it_ended(code, self._complaints.read())

    async def end(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """Ends the process and waits for it: its stdin ends, and so does it; what does not is killed."""
        self._closing = True
        with contextlib.suppress(OSError, ValueError):
            cast(BinaryIO, self._process.stdin).close()
        try:
            self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        cast(BinaryIO, self._process.stdout).close()
        self._complaints.close()


def how_it_ended(code: int, complaints: str) -> str:
    """In a few words: the signal, else its last line, else its exit code."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    lines = complaints.strip().splitlines()
    return lines[-1] if lines else f"it ended with exit code {code}"


def environment(keys: bool) -> dict[str, str]:
    """This process's environment, with the place that this package was loaded from; without the keys unless `keys`."""
    kept = {name: value for name, value in os.environ.items() if keys or name not in KEY_VARIABLES}
    root = str(Path(__file__).parents[3])
    path = [root, *filter(None, [kept.get("PYTHONPATH")])]
    # Its frames are only made and sent on: a pool of threads would take processors from the endpoint and from the others.
    return {"POLARS_MAX_THREADS": "1"} | kept | {"PYTHONPATH": os.pathsep.join(path)}
