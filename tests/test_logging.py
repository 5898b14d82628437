"""What the package logs: nothing until somebody asks, then what a level, a worker or a stop did, and nothing per request."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk


def config(url: str, **fields: Any) -> bk.RunConfig:
    load: dict[str, Any] = {"scenarios": "D(20,5)", "concurrency": 2, "max_requests": 10, "steady": False}
    return bk.RunConfig(endpoint=bk.Endpoint(url=url, model="m"), **load | fields)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("basetenkit.")]


def test_it_is_silent_until_logging_is_set_up() -> None:
    code = "import logging, basetenkit; logging.getLogger('basetenkit.some.module').error('not shown')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_run_logs_its_levels_and_a_resumed_one_what_was_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "basetenkit")
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        bk.run_sync(config(server.url), save_to=tmp_path / "run")
        said = messages(caplog)
        caplog.clear()
        bk.run_sync(config(server.url), save_to=tmp_path / "run")
    assert "preflight: ok, status 200" in said
    assert "level D(20,5) at concurrency 2 begins" in said
    assert any(
        m.startswith("level D(20,5) at concurrency 2 ended after") and m.endswith("10 requests sent") for m in said
    )
    assert messages(caplog)[0] == f"run in {tmp_path / 'run'}: 0 levels to do, 1 done before"


def test_no_request_has_a_record_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "basetenkit")
    counts = []
    with bk.emulator.serve(ttft_ms=1, itl_ms=1, fail={"http_500": 0.3}) as server:
        for n in (10, 200):
            caplog.clear()
            bk.run_sync(config(server.url, max_requests=n, preflight=False, warmup_requests=0))
            counts.append(len(messages(caplog)))
    assert counts[0] == counts[1] > 0


def test_a_stop_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "basetenkit")
    with bk.emulator.serve(ttft_ms=200, itl_ms=1) as server:
        live = bk.start(config(server.url, max_requests=1000))
        live.stop("enough was seen")
        live.result(30)
    assert any("stop asked for: " in m and "enough was seen" in m for m in messages(caplog))


def test_a_worker_that_is_lost_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "basetenkit")
    with bk.emulator.serve(ttft_ms=20, itl_ms=2) as server:
        live = bk.start(config(server.url, workers=1, max_requests=2000, preflight=False))
        while live.progress["finished"] < 5:
            assert not live.done
            time.sleep(0.05)
        started = next(m for m in messages(caplog) if m.startswith("worker 1 started as process "))
        os.kill(int(started.rsplit(" ", 1)[1]), signal.SIGKILL)
        live.result(60)
    lost = [record for record in caplog.records if "was lost: killed by SIGKILL" in record.getMessage()]
    assert [record.levelno for record in lost] == [logging.WARNING]
