"""The end of the process: runs in progress are saved first.

Python comes to its end, which for a kernel is a shutdown or a restart (by JupyterLab's menu, or JupyterLab was told to end);
SIGTERM tells it; or the process that started a kernel, such as papermill, has ended. ipykernel asks each second whether the
parent exists, and ends at once if it is gone; a descriptor of the parent's process (Linux)
tells it sooner, and ipykernel is told that the parent is known to be gone. Elsewhere what was spooled stays.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import select
import signal
import sys
import threading
import weakref
from typing import Protocol

log = logging.getLogger(__name__)
WAIT_S = 5.0


class Ends(Protocol):
    """What can be stopped and waited for: a LiveRun."""

    def stop(self, reason: str) -> None: ...

    def wait(self, timeout: float) -> None: ...

    @property
    def done(self) -> bool: ...


_going_on: weakref.WeakSet[Ends] = weakref.WeakSet()
_minded: list[int] = []


def mind(live: Ends) -> None:
    """Saves `live` before its process ends, whatever ends the process."""
    _going_on.add(live)
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _at_signal)  # only if nobody else minds it, and Python lets us
    parent = os.environ.get("JPY_PARENT_PID", "")  # a kernel: any other process may outlive its parent
    if not _minded and hasattr(os, "pidfd_open") and parent == str(os.getppid()):
        with contextlib.suppress(OSError):  # a sandbox without it, or gone already
            _minded.append(os.pidfd_open(os.getppid()))
            threading.Thread(target=_until_parent_ends, name="basetenkit-parent", daemon=True).start()


def in_progress() -> list[Ends]:
    """The runs of this process that have not ended."""
    return [live for live in _going_on if not live.done]


def _stop_all(reason: str) -> None:
    lives = list(_going_on)
    log.debug("%s: %d runs are stopped and saved", reason, len(lives))
    for live in lives:
        live.stop(reason)
    for live in lives:
        live.wait(WAIT_S)


def _at_exit() -> None:
    _stop_all("the process has ended")


def _at_signal(number: int, _frame: object) -> None:
    """Then the process ends as it would have."""
    _stop_all("the process was told to end (SIGTERM)")
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _until_parent_ends() -> None:
    select.select(_minded, [], [])
    app = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    if app is not None and app.initialized() and hasattr(app.instance().poller, "parent_pid"):
        app.instance().poller.parent_pid = os.getppid()
    _stop_all("the parent process of this notebook kernel has ended")
    os._exit(1)  # as ipykernel does
