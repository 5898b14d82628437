"""A process that was forked after polars was used cannot run anything: polars' threads do not exist in the child, and its first
query would wait for them forever. Such a child gets an error in one sentence instead.

A fork before the first query is harmless, and so are `spawn`, `forkserver` and subprocesses, which start a new Python.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from ..core.errors import ForkError

_WORKER = re.compile(r"polars-\d")  # polars has another thread from its import on, which no query needs
_used: list[bool] = []  # a run began in this process, so polars has worked here
_broken: list[bool] = []  # this process is a child of one in which it had


def mark_used() -> None:
    """A run begins here: from now on a fork of this process has a polars without threads."""
    _used[:] = [True]


def check_not_forked() -> None:
    """ForkError if this process was forked after polars had started its threads."""
    if _broken:
        raise ForkError(
            "this process was forked after basetenkit or polars had run in its parent, and polars cannot work in it; "
            "start it with multiprocessing.get_context('spawn'), or fork before the first run"
        )


def _polars_has_threads() -> bool:
    """Whether polars' thread pool is there; a fork copies none of it. Linux says so; elsewhere only our own runs are known."""
    with contextlib.suppress(OSError):
        return any(_WORKER.match(path.read_text()) for path in Path("/proc/self/task").glob("*/comm"))
    return False


def _before_fork() -> None:
    if not _used and _polars_has_threads():
        mark_used()


def _in_child() -> None:
    _broken[:] = [True] if _used else []


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_before_fork, after_in_child=_in_child)
