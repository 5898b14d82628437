"""Run and LiveRun; `run`, `run_sync`, `start`, `load`.

A wrong configuration raises here, before anything is sent. What the endpoint does never raises: it stands in rows and
findings. The engine has a thread and a loop of its own, so that the kernel's loop stays free: widgets live, Stop works, the
next cell runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import threading
import time
import weakref
from collections.abc import Generator
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from .analysis import showing
from .analysis.diagnosis import diagnose
from .analysis.metrics import fates, mark_window, summarise
from .columns import SCHEMA
from .conductor import Conductor
from .config import RunConfig
from .errors import ConfigError
from .findings import Finding
from .outgoing import request_head
from .preparation import allow_open_files, check_room, check_supported, open_document
from .progress import ProgressLine
from .stage import read
from .store import RunFolder, exchange_from_row
from .types import Exchange
from .workload.datasets import load as load_data
from .workload.tokenizer import load_tokenizer

_last: list[Run] = []
_live: weakref.WeakSet[LiveRun] = weakref.WeakSet()


class Run:
    """What a run left: rows, chunks, and what can be said of them. Made by `run` and by `load`, the same either way."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._document = folder.read_run()
        self._left_out = folder.leave_out_broken()
        if not folder.durable:
            weakref.finalize(self, _remove, folder.path)

    @cached_property
    def requests(self) -> pl.DataFrame:
        """One row a request sent, in the schema of `basetenkit.columns.SCHEMA`."""
        return mark_window(self._folder.scan("requests").collect()).select(list(SCHEMA))

    @property
    def chunks(self) -> pl.LazyFrame:
        """One row an output chunk: request_id, index, arrival_s (s since the send), error_s, tokens, text_start, text_end."""
        return self._folder.scan("chunks")

    @cached_property
    def summary(self) -> pl.DataFrame:
        """One row a (scenario, load, level): counts by outcome; each metric as value, _low, _high (95%)."""
        return summarise(self.requests, self.chunks, self.config.slo, self._document["levels"])

    @cached_property
    def fates(self) -> pl.DataFrame:
        """What became of every planned request, a (scenario, load, level): sent, each outcome, never sent; adds up."""
        return fates(self.requests, self.planned)

    @property
    def planned(self) -> pl.DataFrame:
        """Requests planned, warm-up among them, a (scenario, load, level)."""
        each = self.config.max_requests + self.config.warmup_requests
        rows = [{**{k: x[k] for k in ("scenario", "load", "level")}, "planned": each} for x in self._document["levels"]]
        schema = {"scenario": pl.String, "load": pl.String, "level": pl.Float64, "planned": pl.Int64}
        frame = pl.DataFrame(rows, schema=schema)
        return frame.group_by("scenario", "load", "level", maintain_order=True).agg(pl.col("planned").sum())

    @cached_property
    def findings(self) -> list[Finding]:
        """What a reader of the figures must know: code, sentence, cure."""
        left_out = [str(p.relative_to(self._folder.path)) for p in self._left_out]
        return diagnose(self.requests, self.summary, self.config, self._document, left_out)

    @cached_property
    def config(self) -> RunConfig:
        """The run's configuration, less its secrets."""
        return RunConfig.model_validate(self._document["config"])

    @property
    def metadata(self) -> dict[str, Any]:
        """Config, versions, machine, clock, measurement error, salt, and how each level went; no secret."""
        rows = self.requests
        error = rows.filter(pl.col("outcome") == "ok")["ttft_error_s"]
        measured = {f"ttft_error_p{p}_s": error.quantile(p / 100) for p in (50, 99)}
        clocks = dict(rows["clock"].drop_nulls().value_counts().iter_rows())
        more = {
            "config": self._document["config"],
            "levels": self._document["levels"],
            "clock": {"requests": clocks, **measured},
        }
        return {**self._document["metadata"], **more}

    @property
    def complete(self) -> bool:
        """False where the run was stopped, killed or interrupted, or a part of it cannot be read."""
        return all(level["done"] for level in self._document["levels"]) and not self._left_out

    def exchange(self, request_id: str) -> Exchange:
        """The raw bytes of one exchange with their arrival times; KeyError where `capture` did not keep it."""
        rows = self._folder.scan("exchanges").filter(pl.col("request_id") == request_id).collect()
        if not rows.height:
            raise KeyError(
                f"no raw bytes of {request_id!r} were kept (capture={self.config.capture!r}); run with capture='all'"
            )
        return exchange_from_row(rows.row(0, named=True))

    def reparse(self) -> pl.DataFrame:
        """Reads the kept exchanges again with today's parser: request_id, and outcome, text, output chunks before and after."""
        kept = self._folder.scan("exchanges").collect()
        before = {r["request_id"]: r for r in self.requests.iter_rows(named=True)}
        rows = []
        for row in kept.iter_rows(named=True):
            parsed, old = read(exchange_from_row(row), self.config.endpoint), before[row["request_id"]]
            pairs = {
                "outcome": (old["outcome"], parsed.outcome.value),
                "text": (old["text"], parsed.text),
                "output_chunks": (old["output_chunks"], len(parsed.event_texts)),
                "error_message": (old["error_message"], parsed.error_message),
            }
            now = {f"{name}_now": new for name, (_, new) in pairs.items()}
            changed = [name for name, (a, b) in pairs.items() if a != b]
            rows.append(
                {"request_id": row["request_id"], "changed": changed, **{k: v[0] for k, v in pairs.items()}, **now}
            )
        text = {f"{n}{end}": pl.String for end in ("", "_now") for n in ("outcome", "text", "error_message")}
        counts = {"output_chunks": pl.Int64, "output_chunks_now": pl.Int64}
        return pl.DataFrame(rows, schema_overrides={"changed": pl.List(pl.String), **text, **counts} if rows else None)

    def save(self, path: str | Path) -> None:
        """Saves the run, whole, to a new or empty folder; StoreError where it is neither. A run's own folder is left as it is."""
        target = Path(path)
        if target.resolve() != self._folder.path.resolve():
            self._folder.copy_to(target)

    def __repr__(self) -> str:
        ok = int((self.requests["outcome"] == "ok").sum())
        state = "" if self.complete else ", not complete"
        return f"<Run: {self.requests.height} requests in {len(self._document['levels'])} level(s), {ok} ok{state}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return showing.run(self)


class LiveRun:
    """A run while it goes on. `await live` (or `live.result()`) gives the Run."""

    def __init__(self, conductor: Conductor, folder: RunFolder) -> None:
        self._conductor, self._folder = conductor, folder
        self._future: Future[Run] = Future()
        self._thread = threading.Thread(target=self._work, name="basetenkit-engine", daemon=True)
        _live.add(self)
        self._thread.start()

    def _work(self) -> None:
        try:
            with self._folder.locked() if self._folder.durable else contextlib.nullcontext():
                self._conductor.run()
                document = self._conductor.document
                document["metadata"]["ended_at"] = time.time()
                self._folder.write_run(document)
            run = Run(self._folder)
            _last[:] = [run]
            self._future.set_result(run)
        except BaseException as error:
            self._future.set_exception(error)

    @property
    def progress(self) -> dict[str, Any]:
        """Where the run is: level, planned, sent, finished, in_flight, outcomes, seconds, last_error."""
        return self._conductor.progress.as_dict()

    @property
    def requests(self) -> pl.DataFrame:
        """The rows so far."""
        return mark_window(self._conductor.frames()[0]).select(list(SCHEMA))

    @property
    def summary(self) -> pl.DataFrame:
        """The summary of the rows so far."""
        requests, chunks = self._conductor.frames()
        return summarise(mark_window(requests), chunks.lazy(), self._conductor.config.slo)

    @property
    def done(self) -> bool:
        return self._future.done()

    def stop(self, reason: str = "stop() was called") -> None:
        """Stops at once and keeps what finished; what is in flight becomes `cancelled`. Returns without waiting."""
        self._conductor.stopped = self._conductor.stopped or reason
        loop = getattr(self._conductor, "loop", None)
        if loop is not None and not self.done:
            with contextlib.suppress(RuntimeError):  # the loop has just closed: the run is over
                loop.call_soon_threadsafe(self._conductor.stop, reason)

    def result(self, timeout: float | None = None) -> Run:
        """Waits for the end, in s at most `timeout` (TimeoutError), and gives the Run."""
        return self._future.result(timeout)

    def __await__(self) -> Generator[Any, None, Run]:
        return asyncio.wrap_future(self._future).__await__()

    def __repr__(self) -> str:
        p = self.progress
        return f"<LiveRun: {p['level']}, {p['finished']} of {p['planned']} requests, level {p['levels_done'] + 1} of {p['levels']}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return showing.live(self)


def _end_softly(number: int, _frame: object) -> None:
    """SIGTERM: what runs becomes a whole Run on its folder first, and then the process ends as it would have."""
    for live in list(_live):
        live.stop("the process was told to end (SIGTERM)")
    for live in list(_live):
        live._thread.join(timeout=5)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _mind_sigterm() -> None:
    """Only where nobody else minds it, and Python lets us: on the main thread."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end_softly)


def start(config: RunConfig, *, save_to: str | Path | None = None) -> LiveRun:
    """Starts a run at once, on a thread of its own. ConfigError or StoreError before anything is sent.

    `save_to`: the folder to spool to; the same call again does only the levels that are missing, with the same salt.
    """
    if not isinstance(config, RunConfig):
        raise ConfigError(
            f"run takes a RunConfig, not {type(config).__name__}; e.g. bk.run(bk.RunConfig(endpoint=...))"
        )
    check_supported(config)
    request_head(config.endpoint)  # a missing key is told now
    load_data(config)  # and what is wrong with a data set
    tokenizer = load_tokenizer(config.tokenizer)
    allow_open_files(config)
    durable = save_to is not None
    folder = RunFolder(save_to if save_to is not None else tempfile.mkdtemp(prefix="basetenkit-"), durable)
    folder.create()
    check_room(config, folder)
    document = open_document(folder, config, tokenizer.name)
    _mind_sigterm()
    return LiveRun(Conductor(config, folder, tokenizer, document), folder)


async def run(config: RunConfig, *, save_to: str | Path | None = None) -> Run:
    """Runs to the end and gives the Run; `await bk.run(config)` in a cell. Cancelling it stops the engine."""
    return await _until_done(start(config, save_to=save_to))


async def _until_done(live: LiveRun) -> Run:
    line = ProgressLine()
    try:
        while not live.done:
            line.show(live.progress)
            await asyncio.wait([asyncio.wrap_future(live._future)], timeout=0.25)
        return live.result()
    finally:
        _end(live, "the awaiting task was cancelled")
        line.close(live.progress)


def _end(live: LiveRun, reason: str) -> None:
    if not live.done:
        live.stop(reason)
        live._thread.join(timeout=5)


def run_sync(config: RunConfig, *, save_to: str | Path | None = None) -> Run:
    """`run` for a script, or for a cell that cannot await. Where a loop runs, nest_asyncio keeps it alive meanwhile."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _wait(start(config, save_to=save_to))
    import nest_asyncio

    try:
        nest_asyncio.apply(loop)
    except ValueError:  # a loop that cannot be patched (uvloop): the cell just waits
        return _wait(start(config, save_to=save_to))
    live = start(config, save_to=save_to)
    try:
        return loop.run_until_complete(_until_done(live))  # type: ignore[no-any-return, unused-ignore]
    finally:
        _end(live, "the run was interrupted")  # an interrupt ends this call, and not the task in the loop


def _wait(live: LiveRun) -> Run:
    line = ProgressLine()
    try:
        while not live.done:
            line.show(live.progress)
            with contextlib.suppress(TimeoutError):
                return live.result(0.25)
        return live.result()
    finally:
        _end(live, "the run was interrupted")
        line.close(live.progress)


def load(path: str | Path) -> Run:
    """The run saved in a folder. StoreError where there is none or it cannot be read."""
    return Run(RunFolder(path))


def last_run() -> Run | None:
    """The last run that ended in this process, an interrupted one among them; None where there is none."""
    return _last[0] if _last else None


def _remove(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)
