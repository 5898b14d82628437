from __future__ import annotations

import os
import pty
import subprocess
import sys

from basetenkit.core.progress import plain, progress_text

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

CODE = "from basetenkit.core.progress import ProgressLine; p = ProgressLine({0}); p.show({1!r}); p.close({1!r})"
WIDE = os.environ | {"COLUMNS": "200"}


def test_one_line_says_where_the_run_is_and_what_went_wrong_last() -> None:
    line = progress_text(PROGRESS)
    assert line == (
        "level 2 of 2, D(100,100) at concurrency 8: 40 of 96 requests, 4.0/s, 1 failed (last: no body byte came within 1 s)"
    )


def test_before_the_first_level_it_says_so() -> None:
    assert progress_text(PROGRESS | {"level": ""}) == "the run is about to begin"


def test_text_moves_no_cursor() -> None:
    assert plain("a\x1b[2Jb\tc\n") == "a\\x1b[2Jb\tc\n"


def shown(options: str = "", **changed: object) -> str:
    """What ProgressLine writes to a terminal: shown once and closed."""
    progress = PROGRESS | changed
    main, child = pty.openpty()
    subprocess.run([sys.executable, "-c", CODE.format(options, progress)], stderr=child, check=True, env=WIDE)
    os.write(child, b"end")
    os.close(child)
    written = os.read(main, 4096).decode()
    os.close(main)
    return written.removesuffix("end")


def test_a_terminal_line_is_rewritten_in_place_and_stays() -> None:
    written = shown()
    assert written.count("\r\x1b[K[########............] level 2 of 2, ") == 2
    assert "40 of 96 requests" in written
    assert written.endswith("\n")


def test_a_line_that_is_not_kept_leaves_an_empty_one() -> None:
    assert shown("kept=False").endswith(")\r\x1b[K")


def test_a_hidden_line_writes_nothing() -> None:
    assert shown("hidden=True") == ""


def test_what_a_server_said_moves_no_cursor_and_stays_on_the_line() -> None:
    written = shown(last_error="a\x1b[2J\nb")
    assert written.count("(last: a\\x1b[2J b)") == 2
    assert len(shown(last_error="x" * 1000).split("\r\x1b[K")[1]) < 200


def test_a_pipe_gets_none() -> None:
    piped = subprocess.run([sys.executable, "-c", CODE.format("", PROGRESS)], capture_output=True, check=True)
    assert piped.stderr == b""
