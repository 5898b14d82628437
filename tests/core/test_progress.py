from __future__ import annotations

import os
import pty
import subprocess
import sys

from basetenkit.core.progress import describe

PROGRESS = {
    "level": "D(100,100) at concurrency 8",
    "levels": 2,
    "levels_done": 1,
    "planned": 96,
    "finished": 40,
    "seconds": 10.0,
    "outcomes": {"ok": 39, "timeout": 1},
    "last_error": "no body byte came within 1 s",
}


def test_one_line_says_where_the_run_is_and_what_went_wrong_last() -> None:
    line = describe(PROGRESS)
    assert line == (
        "level 2 of 2, D(100,100) at concurrency 8: 40 of 96 requests, 4.0/s, 1 failed (last: no body byte came within 1 s)"
    )


def test_a_terminal_line_is_rewritten_in_place_and_a_pipe_gets_none() -> None:
    code = f"from basetenkit.core.progress import ProgressLine; p = ProgressLine(); p.show({PROGRESS!r}); p.close({PROGRESS!r})"
    main, child = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=child, check=True)
    os.close(child)
    shown = os.read(main, 4096).decode()
    os.close(main)
    assert shown.count("\r\x1b[K") == 2
    assert "40 of 96 requests" in shown
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert piped.stderr == b""
