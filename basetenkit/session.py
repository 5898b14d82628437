"""Run and LiveRun; `run`, `run_sync`, `start`, `load`.

A wrong configuration raises here, before anything is sent. A fault of the endpoint never raises: it is reported in rows and
findings. The engine has its own thread and loop, so that the notebook kernel's loop stays free: widgets respond, Stop works, and
the next cell runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Generator
from concurrent.futures import Future

import polars as pl

from .analysis.saved_summary import save_summary
from .analysis.summary import readable, summarise
from .config.run_config import RunConfig
from .core.errors import ConfigError
from .core.pending import awaited
from .core.progress import ProgressLine
from .core.reasons import Stop, StopReason
from .core.types import JsonObject
from .execution import shutdown, waiting
from .execution.checks import open_manifest, prepare
from .execution.cluster.connecting import check_cluster
from .execution.forking import check_not_forked, mark_used
from .execution.limits import check_room
from .execution.runner import NOTHING_ANSWERS, RunController
from .reporting import showing
from .results.bucket_run import NOT_UPLOADED, folder_at
from .results.run_data import FolderSource
from .results.schema import SCHEMA
from .results.store import RunFolder
from .results.window import mark_window
from .runs import Run
from .storage.address import Place, as_place

_last: list[Run] = []


class LiveRun:
    """A run in progress. `await live` (or `live.result()`) returns the Run."""

    def __init__(self, controller: RunController, folder: RunFolder) -> None:
        self._controller, self._folder = controller, folder
        self._future: Future[Run] = Future()
        self._thread = threading.Thread(target=self._work, name="basetenkit-engine", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            with self._folder.locked() if self._folder.durable else contextlib.nullcontext():
                self._controller.run()
                manifest = self._controller.manifest
                manifest.metadata.ended_at = time.time()
                self._folder.write_run(manifest)
                if self._folder.durable:
                    save_summary(self._folder)
            run = Run(FolderSource(self._folder))
            _last[:] = [run]
            self._future.set_result(run)
        except BaseException as error:
            if not self._folder.durable:  # no Run owns it; the rows so far can be read from it as long as this is held
                weakref.finalize(self, shutil.rmtree, self._folder.path, ignore_errors=True)
            self._future.set_exception(error)

    @property
    def progress(self) -> JsonObject:
        """The progress of the run: level, planned, sent, finished, in_flight, outcomes, seconds, last_error."""
        return self._controller.progress.as_dict()

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return self._controller.config

    @property
    def requests(self) -> pl.DataFrame:
        """The rows so far."""
        return mark_window(self._controller.recorded(lambda rows, _: rows.collect())).select(list(SCHEMA))

    @property
    def requests_without_text(self) -> pl.DataFrame:
        """The rows so far without `text`, which takes most of their memory."""
        return mark_window(self._controller.recorded(lambda rows, _: rows.drop("text").collect()))

    @property
    def summary(self) -> pl.DataFrame:
        """The summary of the rows so far, with the columns of `Run.summary`. Its means cover only the finished requests, so
        long requests that are still in flight are missing."""
        return readable(self.summary_wide)

    @property
    def summary_wide(self) -> pl.DataFrame:
        """The summary of the rows so far, with the columns of `Run.summary_wide`."""
        slo = self._controller.config.slo
        return self._controller.recorded(
            lambda rows, chunks: summarise(mark_window(rows.collect()), chunks, slo, controlled=False)
        )

    @property
    def done(self) -> bool:
        return self._future.done()

    def stop(self, reason: str = "stop() was called") -> None:
        """Stop at once and keep finished requests; requests in flight become `cancelled`. Returns without waiting."""
        self._controller.ask_to_stop(Stop(StopReason.STOPPED, {"why": reason}))

    def wait(self, timeout: float) -> None:
        """Waits until the engine has ended, at most `timeout` seconds; raises nothing."""
        self._thread.join(timeout)

    async def wait_async(self, timeout: float) -> None:
        """`wait` for a coroutine: other tasks of its event loop keep running."""
        await asyncio.wait([asyncio.wrap_future(self._future)], timeout=timeout)

    def result(self, timeout: float | None = None) -> Run:
        """Waits for the end of the run, at most `timeout` seconds (then TimeoutError), and returns the Run."""
        return self._future.result(timeout)

    def __await__(self) -> Generator[object, None, Run]:
        return asyncio.wrap_future(self._future).__await__()

    def __repr__(self) -> str:
        p = self.progress
        which = min(p["levels_done"] + 1, p["levels"])
        return f"<LiveRun: {p['level']}, {p['finished']} of {p['planned']} requests, level {which} of {p['levels']}>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return showing.live_bundle(self.progress, self.done)


def start(config: RunConfig, *, save_to: Place | None = None, cluster: object = None) -> LiveRun:
    """Starts a run at once, on a separate thread, and returns a LiveRun. ConfigError or StoreError before anything is sent.

    `save_to`: the folder of the run, here or in a bucket (`s3://`, `gs://`, `az://`, `bk.Storage(...)`). The same call with the
    same folder resumes the run with the same salt: only unfinished levels run. `cluster`: a distributed.Client, the address of
    a Dask scheduler, or "local"; the cluster's workers then send the load.
    """
    if not isinstance(config, RunConfig):
        raise ConfigError(
            f"run takes a RunConfig, not {type(config).__name__}; e.g. bk.run(bk.RunConfig(endpoint=...))"
        )
    check_not_forked()
    mark_used()
    cluster = cluster if cluster != "" else None  # papermill has no None
    if cluster is not None:
        check_cluster(cluster)
    config = config.with_whole_url()
    prepared = prepare(config)
    durable = save_to is not None
    place = as_place(save_to if save_to is not None else tempfile.mkdtemp(prefix="basetenkit-"), "save_to")
    folder = folder_at(place, durable)
    try:
        folder.create()
        check_room(config, folder)
        manifest = open_manifest(folder, prepared)
    except BaseException:
        folder.abandon()
        if not durable:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
    live = LiveRun(RunController(prepared, folder, manifest, cluster=cluster), folder)
    shutdown.mind(live)
    return live


@awaited("bk.run(config)", "bk.run_sync(config) if nothing can be awaited")
async def run(config: RunConfig, *, save_to: Place | None = None, cluster: object = None) -> Run:
    """Measures the endpoint and returns the Run; `await bk.run(config)` in a cell. Cancelling the call stops the run. `save_to`
    and `cluster`: as in `start`."""
    return await _until_done(start(config, save_to=save_to, cluster=cluster))


async def _until_done(live: LiveRun) -> Run:
    line = ProgressLine()
    try:
        while not live.done:
            line.show(live.progress)
            await live.wait_async(0.25)
        return live.result()
    finally:
        _end(live, "the awaiting task was cancelled")
        line.close(live.progress)
        _say_what_is_amiss(live)


def _say_what_is_amiss(live: LiveRun) -> None:
    """In a cell or a script, at once and in red: a run that measured nothing, or is not where it should be, must not look well."""
    for note in [*live._controller.notes, *live._folder.notes]:
        if live.done and note.code in (NOTHING_ANSWERS, NOT_UPLOADED):
            sys.stderr.write(f"basetenkit: {note.sentence} {note.cure}\n")


def _end(live: LiveRun, reason: str) -> None:
    if not live.done:
        live.stop(reason)
        live.wait(shutdown.WAIT_S)


def run_sync(
    config: RunConfig, *, save_to: Place | None = None, keep_loop: bool = False, cluster: object = None
) -> Run:
    """`run` for a script, or for a cell that cannot await. It blocks the calling thread until the run has ended, and never
    re-enters a running event loop, so the cells that wait in a notebook's queue all run.

    `keep_loop`: in a script, keep the running asyncio loop running meanwhile (with nest_asyncio), for example because the
    server under test runs in it. ConfigError in a notebook, and for a loop that cannot be re-entered.
    """
    interrupts = waiting.Interrupts()
    if not keep_loop:
        return _wait(start(config, save_to=save_to, cluster=cluster), interrupts)
    with waiting.reentered() as loop:
        live = start(config, save_to=save_to, cluster=cluster)
        try:
            return loop.run_until_complete(_until_done(live))
        finally:
            _end(live, "the run was interrupted")  # an interrupt ends this call, and not the task in the loop


def _wait(live: LiveRun, interrupts: waiting.Interrupts) -> Run:
    line = ProgressLine()
    try:
        while not live.done:
            line.show(live.progress)
            with contextlib.suppress(TimeoutError):
                return live.result(waiting.LOOK_S)
            interrupts.check()
        return live.result()
    finally:
        _end(live, "the run was interrupted")
        line.close(live.progress)
        _say_what_is_amiss(live)


def load(path: Place) -> Run:
    """The run saved in a folder, here or in a bucket. StoreError if there is none or it cannot be read."""
    return Run.load(path)


def last_run() -> Run | None:
    """The last run that ended in this process, also if it was interrupted; None if there is none."""
    return _last[0] if _last else None
