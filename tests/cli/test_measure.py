"""The plan before a run, and the question to a person at a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk

from .test_app import COMMAND, KEY, call, environment


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1, api_key=KEY) as server:
        yield server


def in_a_terminal(*args: str, answer: str) -> tuple[int, str]:
    """Runs a command in a terminal of 80 columns and types `answer` at its question: exit code, and all it wrote."""
    main, other = pty.openpty()
    env = environment(COLUMNS="80", LINES="40", TERM="xterm")
    process = subprocess.Popen([*COMMAND, *args], stdin=other, stdout=other, stderr=other, env=env)
    os.close(other)
    seen = bytearray()

    def read() -> None:
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:
                return
            if not part:
                return
            seen.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    until = time.monotonic() + 60
    while b"[y/N]" not in seen and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    if process.poll() is None:
        os.write(main, answer.encode())
    code = process.wait(60)
    reader.join(10)
    os.close(main)
    return code, seen.decode("utf-8", "replace")


def test_a_person_is_asked_about_levels_that_the_command_left_open(server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    args = ["benchmark", "--api-base", server.url, "--api-key", KEY, "--api-model-name", "m", "--save-to", str(folder)]
    code, seen = in_a_terminal(*args, answer="n\n")
    assert code == 130
    assert "plan: 45 level(s), " in seen
    assert "genai-bench's defaults apply: 5 scenario(s), 9 level(s) each" in " ".join(seen.split())
    assert not folder.exists()


def test_a_person_is_asked_before_a_large_paid_run(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    args = ["run", "http://endpoint.invalid/v1", "--requests", "100000", "--save", str(folder)]
    code, seen = in_a_terminal(*args, answer="n\n")
    assert (code, "Send these requests?" in seen) == (130, True)
    assert not folder.exists()
    assert call(*args, "--yes").returncode == 1  # nothing answers there
