"""Information about the machine for a bug report, without secrets: versions, the system, and limits of measurements here.

Of each variable that may hold a key it says only whether it is set. Whether the OS kernel timestamps is tested, not looked up: one
byte is sent over a socket of this machine and its stamp is asked for, because sandboxes accept the option and stamp nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import socket
import time
from collections.abc import Iterator

from ..config.endpoint import KEY_VARIABLES
from ..core.types import NewRow
from ..core.version import __version__
from ..transport.clock import ANCILLARY_BYTES, enable_stamps, stamp_of

VARIABLES = (*KEY_VARIABLES, "HF_TOKEN")
WAIT_S = 2.0


def doctor() -> NewRow:
    """System, limits, whether key variables are set, and the versions of basetenkit and of what it depends on ("missing" where
    one is not installed), each under the name that a person reads. Values are text, whole numbers, booleans or null."""
    soft, hard = _open_files()
    return {
        "basetenkit": __version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "machine": platform.machine(),
        "CPUs": os.cpu_count(),
        "CPUs that may be used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "kernel stamps": kernel_stamps(),
        "open files": soft,
        "open files, at most": hard,
        **{f"{name} is set": bool(os.environ.get(name)) for name in VARIABLES},
        **{name: _version(name) for name in _dependencies()},
    }


def kernel_stamps() -> bool:
    """Whether the OS kernel timestamps data received over TCP. It begins a moment after the first socket asks: so a byte is sent
    again and again, until one is stamped or `WAIT_S` is over."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as there:
        here, _ = server.accept()
        with here:
            return enable_stamps(here) and any(_stamps(there, here))


def _stamps(there: socket.socket, here: socket.socket) -> Iterator[int]:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        there.sendall(b".")
        yield stamp_of(here.recvmsg(1, ANCILLARY_BYTES)[1])
        time.sleep(0.01)


def _open_files() -> tuple[int | None, int | None]:
    """The soft and the hard limit; null if there is none."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None, None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    none = resource.RLIM_INFINITY
    return None if soft == none else soft, None if hard == none else hard


def _dependencies() -> list[str]:
    """What basetenkit requires, without its extras; nothing if it was not installed but put on the path."""
    try:
        wanted = importlib.metadata.requires("basetenkit") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return sorted(re.split(r"[^\w.-]", line)[0] for line in wanted if "extra ==" not in line)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
