"""One worker, spoken to over its pipes as its parent does: what it answers, and that it ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.config.loads import ClosedLoop, LevelKey
from basetenkit.config.plan import PlannedLevel
from basetenkit.core.reasons import Stop, StopReason
from basetenkit.execution.processes import protocol
from basetenkit.loadgen.counters import Quota, SharedCounters
from basetenkit.loadgen.generator import Shard
from basetenkit.loadgen.request_source import request_head
from basetenkit.results.schema import CHUNK_SCHEMA, STORED

from ...making import number

KEY = "planted-key-5772"


class Process:
    """A worker and the two ends of its pipes."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "basetenkit.execution.processes.worker"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._answers = protocol.read_message(cast(BinaryIO, self.process.stdout))

    def send(self, word: str, **content: Any) -> None:
        protocol.write(cast(BinaryIO, self.process.stdin), protocol.encode_order(word, **content))

    def hears(self, until: str) -> list[tuple[str, dict[str, Any], list[pl.DataFrame]]]:
        """What it says, up to the word `until`; the last is that word or "failed"."""
        heard = []
        for parts in self._answers:
            heard.append(protocol.read_report(parts))
            if heard[-1][0] in (until, "failed"):
                return heard
        raise AssertionError(f"the worker ended before it said {until!r}")


@pytest.fixture
def worker() -> Iterator[Process]:
    worker = Process()
    patience = threading.Timer(60, worker.process.kill)
    patience.start()
    yield worker
    patience.cancel()
    worker.process.kill()
    worker.process.wait()
    for pipe in (worker.process.stdin, worker.process.stdout, worker.process.stderr):
        cast(BinaryIO, pipe).close()


@pytest.fixture
def tally() -> Iterator[SharedCounters]:
    tally = SharedCounters.shared(1)
    tally.begin(Quota(6))
    yield tally
    tally.close(remove=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        yield server


def greet(
    worker: Process, tally: SharedCounters, url: str, **kw: Any
) -> list[tuple[str, dict[str, Any], list[pl.DataFrame]]]:
    fields = {"scenarios": "D(10,5)", "concurrency": 2, "max_requests": 6, "workers": 1, "capture": "all"}
    config = bk.RunConfig(
        steady=False, preflight=False, endpoint=bk.Endpoint(url=url, model="m", api_key=KEY), **(fields | kw)
    )
    head, secrets = request_head(config.endpoint), tuple(config.endpoint.secrets())
    assert tally.path is not None
    worker.send("hello", run=protocol.Hello(config, head, "s", 1, tally.path, secrets=secrets), part=0)
    return worker.hears("ready")


KEY_OF_LEVEL = PlannedLevel(0, LevelKey("D(10,5)", ClosedLoop(2)))


def test_a_level_from_hello_to_done(worker: Process, tally: SharedCounters, server: Any) -> None:
    before = time.monotonic_ns()
    ((_, ready, _),) = greet(worker, tally, server.url)
    assert before < ready["mono_ns"] < time.monotonic_ns()  # one clock for the whole machine
    worker.send("prepare", part=Shard(KEY_OF_LEVEL, users=2))
    assert worker.hears("built") == [("built", {}, [])]
    origin = time.monotonic_ns() + 50_000_000
    worker.send("go", origin_ns=origin)
    heard = worker.hears("done")
    frames = [frames for say, _, frames in heard if say == "rows"]
    rows, chunks = pl.concat([f[0] for f in frames]), pl.concat([f[1] for f in frames])
    assert (dict(rows.schema), dict(chunks.schema)) == (STORED, CHUNK_SCHEMA)
    assert (rows.height, chunks.height) == (6, 30)
    assert (rows["outcome"] == "ok").all()
    assert number(rows["start_s"].min()) >= 0
    assert sum(f[2].height for f in frames if len(f) == 3) == 6
    assert heard[-1][1]["report"]["sent"] == 6
    (status,) = [content for say, content, _ in heard[-2:] if say == "status"]
    assert (status["finished"], status["in_flight"], status["outcomes"]) == (6, 0, {"ok": 6})
    assert tally.owned_by(0)[0].tolist() == list(range(6))


def test_what_it_cannot_do_is_one_sentence_and_it_goes_on(worker: Process, tally: SharedCounters, server: Any) -> None:
    ((say, content, _),) = greet(worker, tally, server.url, tokenizer="/no/such/folder")
    assert say == "failed"
    assert "/no/such/folder" in content["message"]
    assert greet(worker, tally, server.url)[-1][0] == "ready"


def test_a_stop_is_done_at_once_and_an_interrupt_is_not_its_own(
    worker: Process, tally: SharedCounters, server: Any
) -> None:
    greet(worker, tally, server.url)
    worker.send("prepare", part=Shard(replace(KEY_OF_LEVEL, key=LevelKey("D(10,9000)", ClosedLoop(2))), users=2))
    worker.hears("built")
    worker.send("go", origin_ns=time.monotonic_ns())
    worker.hears("status")
    worker.process.send_signal(signal.SIGINT)
    worker.hears("status")
    worker.send("stop", stop=Stop(StopReason.STOPPED, {"why": "enough"}))
    heard = worker.hears("done")
    assert heard[-1][1]["report"]["ended_by"] == {"reason": "stopped", "why": "enough"}
    (rows,) = [frames[0] for say, _, frames in heard if say == "rows"]
    assert rows["outcome"].to_list() == ["cancelled"] * 2


def test_it_ends_when_its_stdin_does_and_takes_the_tally_with_it(
    worker: Process, tally: SharedCounters, server: Any
) -> None:
    greet(worker, tally, server.url)
    cast(BinaryIO, worker.process.stdin).close()
    assert worker.process.wait(10) == 0
    assert tally.path is not None
    assert not tally.path.exists()


def test_the_key_is_neither_among_its_arguments_nor_in_its_environment(
    worker: Process, tally: SharedCounters, server: Any
) -> None:
    greet(worker, tally, server.url)
    folder = Path("/proc") / str(worker.process.pid)
    seen = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
    assert b"basetenkit.execution.processes.worker" in seen
    assert os.fsencode(sys.executable) in seen
    assert KEY.encode() not in seen
