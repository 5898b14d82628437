"""How a call that is not awaited waits for the engine: it blocks the thread of its caller, and re-enters no running loop.

A notebook kernel runs the cells that wait in its queue as tasks of its loop. If a cell re-enters that loop, the next cell starts in
the middle of this one, and the queue is lost: `Run All` then leaves out cells. The engine has its own thread and loop, so
blocking costs it nothing: progress is still drawn, because the notebook kernel sends its output from another thread, and an
interrupt still ends the wait.

nest_asyncio is used here and nowhere else, and only if the caller asks for it (`keep_loop=True`): a script whose own server or
tasks live in the loop that calls. It is applied to no loop that it cannot patch, and to no loop of a notebook kernel, and what it
replaces in asyncio for all loops is put back afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import TypeVar

from ..core.errors import ConfigError

T = TypeVar("T")
LOOK_S = 0.25
# What nest_asyncio replaces in asyncio, in its modules and in the class of its policy.
_REPLACED = ("run", "Task", "_CTask", "Future", "_CFuture", "get_event_loop", "_get_event_loop")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs on this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Interrupts:
    """Notices an interrupt that Python does not raise: within `asyncio.run` the first Ctrl-C only cancels the task, and a task
    that blocks would not hear of it."""

    def __init__(self) -> None:
        self._task = asyncio.current_task() if running_loop() is not None else None
        self._before = 0 if self._task is None else self._task.cancelling()

    def check(self) -> None:
        """CancelledError if the task that waits was cancelled since this was made."""
        if self._task is not None and self._task.cancelling() > self._before:
            raise asyncio.CancelledError("the wait was interrupted")


def wait_for(work: Callable[[], Coroutine[object, object, T]]) -> T:
    """The result of a coroutine, for a caller that cannot await. If a loop runs on this thread, the coroutine runs on another
    thread with its own loop. An interrupt cancels the coroutine, waits for its end, and goes on."""
    if running_loop() is None:
        return asyncio.run(work())
    result: Future[T] = Future()
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = Future()

    async def main() -> T:
        task = asyncio.create_task(work())
        ready.set_result((asyncio.get_running_loop(), task))
        return await task

    def perform() -> None:
        try:
            result.set_result(asyncio.run(main()))
        except BaseException as error:
            result.set_exception(error)

    context = contextvars.copy_context()  # so that what it shows belongs to the caller's cell
    thread = threading.Thread(target=context.run, args=(perform,), name="basetenkit-waiting", daemon=True)
    thread.start()
    interrupts = Interrupts()
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                return result.result(None if result.done() else LOOK_S)
            interrupts.check()
    except BaseException:
        if not result.done():
            loop, task = ready.result()
            with contextlib.suppress(RuntimeError):  # the loop has just closed
                loop.call_soon_threadsafe(task.cancel)
            thread.join()
        raise


@contextlib.contextmanager
def reentered() -> Iterator[asyncio.AbstractEventLoop]:
    """The running loop, patched so that `run_until_complete` works within it. ConfigError if there is none, if it
    cannot be patched, or if it belongs to a notebook kernel."""
    loop = running_loop()
    if loop is None:
        raise ConfigError("run_sync: keep_loop=True needs a running event loop, and none runs here; leave it out")
    if _in_kernel():
        raise ConfigError(
            "run_sync: keep_loop=True would lose the cells that wait in this notebook's queue; use `await bk.run(config)`"
        )
    if not isinstance(loop, asyncio.BaseEventLoop):
        raise ConfigError(
            f"run_sync: keep_loop=True cannot re-enter a loop of type {type(loop).__module__}.{type(loop).__name__}; "
            "use `await bk.run(config)`"
        )
    with _patched(loop):
        yield loop


@contextlib.contextmanager
def _patched(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """nest_asyncio on this one loop. It patches a loop's class, so this loop gets its own class for the time."""
    import nest_asyncio

    policy: object = type(asyncio.get_event_loop_policy())
    modules: tuple[object, ...] = (asyncio, asyncio.tasks, asyncio.events, asyncio.futures, policy)
    before = [(m, name, vars(m)[name]) for m in modules for name in _REPLACED if name in vars(m)]
    kind, was_patched = type(loop), hasattr(asyncio, "_nest_patched")
    loop.__class__ = type(kind.__name__, (kind,), {})
    try:
        nest_asyncio.apply(loop)
        yield
    finally:
        loop.__class__ = kind
        for module, name, value in before:
            setattr(module, name, value)
        if not was_patched:
            del asyncio._nest_patched  # type: ignore[attr-defined]


def _in_kernel() -> bool:
    app = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    return app is not None and bool(app.initialized())
