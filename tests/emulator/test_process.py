"""How the embedded endpoint's process starts, what it says, and how it ends."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import basetenkit as bk
from basetenkit.core.errors import EmulatorError
from basetenkit.emulator.words import count

from .asking import CHAT, content, messages, post

PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve() as server:
        yield server


def test_a_port_in_use_is_told_in_a_sentence(server: Any) -> None:
    port = int(server.base_url.rpartition(":")[2])
    with pytest.raises(EmulatorError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        bk.emulator.serve(port=port)


def test_what_it_prints_first_can_be_run_as_it_stands() -> None:
    command = [sys.executable, "-m", "basetenkit.emulator", "--port", "0", "--ttft-ms", "1", "--itl-ms", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            listening, routes, example = (process.stdout.readline() for _ in range(3))
            base = listening.removeprefix("listening on ").strip()
            _, _, url, _, payload = shlex.split(example)
            assert url == base + PATH
            assert url.removeprefix(base) in routes.split()
            response = httpx.post(url, content=payload, trust_env=False)
        finally:
            process.terminate()
    assert count(content(messages(response))) == 8


def test_stop_ends_the_process_and_may_be_called_again() -> None:
    server = bk.emulator.serve()
    server.stop()
    server.stop()
    assert server.process.returncode == 0
    with pytest.raises(httpx.ConnectError):
        post(server, PATH, CHAT)


def test_a_signal_ends_it_cleanly_though_it_watches_its_input(capsys: pytest.CaptureFixture[str]) -> None:
    with bk.emulator.serve() as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0
    assert capsys.readouterr().err == ""


def test_an_interrupt_of_the_group_that_started_it_does_not_end_it() -> None:
    """A notebook's kernel is interrupted by a signal to its whole group."""
    code = (
        "import basetenkit as bk, os, signal\n"
        "with bk.emulator.serve() as server:\n"
        "    try:\n        os.killpg(0, signal.SIGINT)\n        signal.pause()\n"
        "    except KeyboardInterrupt:\n        pass\n"
        "    print(server.truth()['in_flight'], flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, start_new_session=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr


def test_what_it_complains_of_is_passed_on_when_it_stops(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")  # so that an abort is told on standard error
    with bk.emulator.serve() as server:
        server.process.send_signal(signal.SIGABRT)
        server.process.wait(timeout=20)
    assert "the embedded endpoint: Fatal Python error: Aborted" in capsys.readouterr().err


def test_it_ends_with_the_process_that_started_it_even_when_that_is_killed() -> None:
    code = "import basetenkit as bk, time\ns = bk.emulator.serve()\nprint(s.process.pid, s.url, flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, url = parent.stdout.readline().split()
        parent.kill()
    until = time.monotonic() + 20
    while _answers(url):
        assert time.monotonic() < until, f"the emulator {pid} outlives its parent"
        time.sleep(0.02)
    assert not _answers(url)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url.replace(PATH, "/health"), trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
