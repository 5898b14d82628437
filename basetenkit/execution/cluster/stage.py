"""What runs on a Dask worker: one long task that starts a worker process of ours there and passes its messages on.

The task never runs on the Dask worker's own loop, and the load never in the Dask worker's process. Orders come by `deliver`, which
the leader calls on this worker; what the process says goes into one queue of the scheduler's, from which the leader takes it at
once. All is found by its import path, so the same basetenkit must be installed here.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import queue
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from typing import BinaryIO, cast

from distributed import Event, Queue, get_client

from ...core.version import __version__
from ..processes import protocol
from ..processes.handle import COMMAND, environment, how_it_ended

PACKAGES = ("distributed", "msgpack", "cloudpickle")
UP_BYTES = 4 << 20  # of messages that go up at once
END, KILL = b"", b"kill"
_inboxes: defaultdict[str, queue.SimpleQueue[bytes]] = defaultdict(queue.SimpleQueue)


def ping() -> int:
    """This machine's monotonic clock, in ns."""
    return time.monotonic_ns()


def facts() -> dict[str, str | int]:
    """What must be the same on all machines, and what a reader of a run wants to know of each."""
    found: dict[str, str | int] = {name: importlib.metadata.version(name) for name in PACKAGES}
    found |= {"basetenkit": __version__, "python": platform.python_version()}
    return found | {"host": platform.node(), "cores": os.cpu_count() or 1}


def deliver(stage: str, order: bytes) -> bool:
    """An order for a stage of this worker; one that did not begin yet finds it when it does. It never raises: Dask would write its
    arguments, of which one holds the key, into its log."""
    try:
        _inboxes[stage].put(order)
    except BaseException:
        return False
    return True


def run_stage(stage: str, up: str) -> str:
    """Runs a worker process to its end; how it ended, in a few words. `stage`: its name, in which it begins once and never again,
    also if Dask runs the task a second time; `up`: the name of the queue to the leader."""
    client = get_client()
    begun = Event(f"{stage}-begun", client=client)
    if begun.is_set():
        return "the Dask worker was restarted, and what it had begun is not sent a second time"
    begun.set()
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment(keys=True),
            start_new_session=True,
        )
        threading.Thread(target=_orders, args=(stage, process), name="basetenkit-orders", daemon=True).start()
        said: queue.Queue[list[bytes] | None] = queue.Queue(64)
        threading.Thread(target=_listen, args=(process, said), name="basetenkit-said", daemon=True).start()
        try:
            _pass_on(stage, said, Queue(up, client=client))
        finally:
            process.kill()
            code = process.wait()
            _inboxes[stage].put(END)  # for the thread that waits there
            _inboxes.pop(stage, None)
        complaints.seek(0)
        return how_it_ended(code, complaints.read())


def _orders(stage: str, process: subprocess.Popen[bytes]) -> None:
    stdin, inbox = cast(BinaryIO, process.stdin), _inboxes[stage]
    while (order := inbox.get()) != END:
        if order == KILL:
            process.kill()
            continue
        with contextlib.suppress(OSError, ValueError):
            protocol.write(stdin, [order])
    with contextlib.suppress(OSError, ValueError):
        stdin.close()


def _listen(process: subprocess.Popen[bytes], said: queue.Queue[list[bytes] | None]) -> None:
    for parts in protocol.read_message(cast(BinaryIO, process.stdout)):
        said.put(parts)
    said.put(None)


def _pass_on(stage: str, said: queue.Queue[list[bytes] | None], up: Queue) -> None:
    """Sends the messages up until there are no more, as many at once as are there."""
    more = True
    while more:
        bundle: list[list[bytes]] = []
        size, parts = 0, said.get()
        while parts is not None:
            bundle.append(parts)
            size += sum(map(len, parts))
            if said.empty() or size >= UP_BYTES:
                break
            parts = said.get()
        more = parts is not None
        if bundle:
            up.put((stage, bundle))
