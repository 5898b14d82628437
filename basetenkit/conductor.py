"""A run from its first level to its last, on a thread and loop of its own.

For each level: build what will be sent, send it (engine), read what came back (parsing), make rows, spool them. While
responses are in flight the engine only stamps and stores; everything else happens in the Backlog's turns, between reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from .config import Endpoint, RunConfig
from .engine.clock import Poller, WallClock, mono
from .engine.connection import Timeouts
from .engine.driver import Backlog, Level
from .engine.pacer import schedule
from .engine.pool import Origin, Pool
from .errors import StoreError
from .outgoing import LOOK_AHEAD, Source, Spend, request_head
from .parsing.response import ParsedResponse, parse_response
from .rows import LevelKey, Table
from .scenario import parse_scenario
from .store import RunFolder, exchange_frame
from .types import Exchange, Failure, Outcome
from .workload.sampler import Sampler
from .workload.tokenizer import Tokenizer

SPOOL_EVERY_S = 1.0
ROWS_IN_MEMORY, CHUNKS_IN_MEMORY = 20_000, 2_000_000


def plan(config: RunConfig) -> list[LevelKey]:
    """The levels of a run in the order they run: each repeat goes through all of them, so that repeats lie apart in time."""
    loads = [("concurrency", float(c)) for c in config.concurrency] + [("request_rate", r) for r in config.request_rate]
    combinations = itertools.product(range(config.repeats), config.scenarios, loads)
    return [
        LevelKey(i, scenario, load, level, repeat) for i, (repeat, scenario, (load, level)) in enumerate(combinations)
    ]


@dataclass
class Progress:
    """Where a run is: counts of the present level, and how many levels are behind it."""

    level: str = ""
    levels: int = 0
    levels_done: int = 0
    planned: int = 0
    sent: int = 0
    finished: int = 0
    in_flight: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    output_tokens: int = 0
    seconds: float = 0.0
    last_error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"outcomes": dict(self.outcomes)}


class Conductor:
    """Runs the levels that are not done yet. `tables` and `progress` may be read from another thread."""

    def __init__(self, config: RunConfig, folder: RunFolder, tokenizer: Tokenizer, document: dict[str, Any]) -> None:
        self.config, self.folder, self.tokenizer, self.document = config, folder, tokenizer, document
        self.progress = Progress(levels=len(document["levels"]))
        self.lock = threading.Lock()
        self.tables: list[Table] = []
        self.notes: list[dict[str, Any]] = document["metadata"].setdefault("events", [])
        self.stopped: str | None = None
        self._poller, self._wall = Poller(), WallClock()
        self._level: Level | None = None
        self._captured: list[Exchange] = []
        self._captured_bytes = self._not_captured = 0
        self._spend = Spend(config.max_total_tokens, _spent(folder))
        self._parts = itertools.count(1)
        self._writing: asyncio.Future[None] | None = None
        self._write_error: StoreError | None = None

    def run(self) -> None:
        """Runs to the end, on the calling thread, with a loop of its own."""
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(self._poller)) as runner:
            runner.run(self._levels())

    def stop(self, reason: str) -> None:
        """Cancels what is in flight and sends no more; on the loop's thread."""
        self.stopped = self.stopped or reason
        if self._level is not None:
            self._level.stop(reason)

    async def _levels(self) -> None:
        self.loop = asyncio.get_running_loop()
        for entry in self.document["levels"]:
            if entry["done"]:
                self.progress.levels_done += 1
                continue
            if self.stopped is not None:
                break
            await self._one(entry)
            self.progress.levels_done += 1
        if self._not_captured:
            self.notes.append({"what": "capture_full", "n": self._not_captured})
        if self._wall.steps:
            self.notes.append({"what": "clock_stepped", "step_s": max(abs(step) for _, step in self._wall.steps) / 1e9})

    async def _one(self, entry: dict[str, Any]) -> None:
        """One level, whatever happens in it: its rows are in the folder and its entry says how it ended."""
        key = LevelKey(**{k: entry[k] for k in ("index", "scenario", "load", "level", "repeat")})
        config, total = self.config, self.config.warmup_requests + self.config.max_requests
        with self.lock:
            self.folder.set_aside(key.index)
        self._new_progress(key, total)
        scenario, salt = parse_scenario(key.scenario), self.document["metadata"]["salt"]
        sampler = Sampler(config, scenario, self.tokenizer, salt=salt, stream=f"{key.load}:{key.level:g}:{key.repeat}")
        source = Source(config, sampler, request_head(config.endpoint), f"{salt[:8]}-{key.index:03d}", self._spend)
        users = int(key.level) if key.load == "concurrency" else 64
        source.fill(min(LOOK_AHEAD, 2 * users + 64))
        pool = Pool(
            Origin.of(config.endpoint.url, config.endpoint.verify, config.endpoint.client_cert),
            timeouts(config.endpoint),
            poller=self._poller,
            wall=self._wall,
        )
        backlog = Backlog(self._record, source.refill)
        level = self._level = Level(pool, self._poller, source, backlog.add, max_seconds=config.max_seconds)
        self._table = Table(key, 0, self.tokenizer.count)
        self.tables = [self._table]
        ticker = asyncio.ensure_future(self._tick(key.index, level))
        cpu, started = time.process_time(), time.time()
        gc.collect()
        gc.freeze()  # in a kernel with polars and altair a full collection takes tens of milliseconds
        try:
            await self._send(key, level)
            await backlog.drained()
        finally:
            gc.unfreeze()
            self._level = None
            await pool.close()
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # its own; anything else that ended it is told
                await ticker
        await self._flush(key.index)
        if self._write_error is not None:
            raise self._write_error
        with self.lock:  # another thread may be reading the parts that this puts together
            self.folder.compact(key.index)
        seconds = (mono() - level.origin_ns) / 1e9
        entry |= {"sent": level.sent, "peak_in_flight": level.peak, "held_back": level.held_back, "started_at": started}
        entry |= {
            "seconds": seconds,
            "cpu_share": (time.process_time() - cpu) / max(seconds, 1e-9),
            "ended_by": level.stop_reason,
        }
        entry |= {"tokens_guard": self._spend.reached, "done": self.stopped is None}
        self.folder.write_run(self.document)

    async def _send(self, key: LevelKey, level: Level) -> None:
        level.origin_ns = mono()
        self._table.start(level.origin_ns)
        if key.load == "concurrency":
            await level.closed_loop(int(key.level))
        else:
            rng = random.Random(f"{self.config.seed}:{key}")
            due = schedule(key.level, self.config.arrival, burstiness=self.config.burstiness, rng=rng)
            await level.open_loop(due, self.config.max_in_flight)

    def _new_progress(self, key: LevelKey, planned: int) -> None:
        done, levels = self.progress.levels_done, self.progress.levels
        self.progress = Progress(level=str(key), levels=levels, levels_done=done, planned=planned)

    def _record(self, exchange: Exchange) -> None:
        """Reads one finished exchange, makes its row, and decides what follows from it."""
        parsed = read(exchange, self.config.endpoint)
        row = self._table.add(exchange, parsed)
        self._spend.settle(exchange.request, row)
        progress = self.progress
        progress.finished += 1
        progress.outcomes[row["outcome"]] += 1
        progress.output_tokens += row["output_tokens"] or 0
        if parsed.outcome is not Outcome.OK:
            progress.last_error = parsed.error_message
        if self.config.capture == "all" or (self.config.capture == "errors" and parsed.outcome is not Outcome.OK):
            self._capture(exchange)
        limit = self.config.give_up_after
        if limit is not None and progress.finished >= limit and not progress.outcomes["ok"] and self._level is not None:
            self._level.stop(f"the first {limit} requests all failed (give_up_after)")

    def _capture(self, exchange: Exchange) -> None:
        size = len(exchange.body) + len(exchange.reads) * 8 + len(exchange.request.body)
        if self._captured_bytes + size > self.config.capture_limit_mb * 1_000_000:
            self._not_captured += 1
            return
        self._captured_bytes += size
        self._captured.append(exchange)

    async def _tick(self, index: int, level: Level) -> None:
        """Each second: the wall clock's offset, the progress, the spool."""
        for tick in itertools.count(1):
            await asyncio.sleep(SPOOL_EVERY_S / 4)
            self.progress.sent, self.progress.in_flight = level.sent, level.in_flight
            self.progress.seconds = (mono() - level.origin_ns) / 1e9
            if tick % 4:
                continue
            self._wall.refresh()
            big = len(self._table) > ROWS_IN_MEMORY or self._table.chunk_count > CHUNKS_IN_MEMORY
            if len(self._table) and (self.folder.durable or big):
                await self._flush(index)
            if self._write_error is not None:
                level.stop(str(self._write_error))

    async def _flush(self, index: int) -> None:
        """Writes what was recorded since the last time as one part, on a thread of its own; one write at a time."""
        if self._writing is not None:
            await asyncio.shield(self._writing)
        full, exchanges = self._table, self._captured
        with self.lock:
            self._table, self._captured = full.successor(), []
            self.tables.append(self._table)
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._write, index, full, exchanges)
        await asyncio.shield(self._writing)  # a cancelled ticker leaves its write whole

    def _write(self, index: int, table: Table, exchanges: list[Exchange]) -> None:
        requests, chunks = table.frames()
        part = next(self._parts)
        try:
            with self.lock:
                self.folder.write_part(index, part, "chunks", chunks)
                if exchanges:
                    self.folder.write_part(index, part, "exchanges", exchange_frame(exchanges))
                self.folder.write_part(index, part, "requests", requests)
                self.tables.remove(table)
        except (OSError, pl.exceptions.PolarsError) as error:
            self._write_error = StoreError(f"the run folder {self.folder.path} cannot be written: {error}")

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(requests, chunks) recorded so far; from any thread."""
        with self.lock:
            parts = [(self.folder.scan("requests").collect(), self.folder.scan("chunks").collect())]
            parts += [table.frames() for table in self.tables]
        return pl.concat([r for r, _ in parts]), pl.concat([c for _, c in parts])


def _spent(folder: RunFolder) -> int:
    """Tokens that the levels already done have taken."""
    return int(
        folder.scan("requests").select(pl.col("input_tokens").sum() + pl.col("output_tokens").sum()).collect().item()
    )


def timeouts(endpoint: Endpoint) -> Timeouts:
    """The engine's limits out of an endpoint's fields."""
    return Timeouts(
        endpoint.connect_timeout_s, endpoint.first_byte_timeout_s, endpoint.between_bytes_timeout_s, endpoint.timeout_s
    )


def read(exchange: Exchange, endpoint: Endpoint) -> ParsedResponse:
    """What an exchange's bytes mean. A defect of the parser costs its response, never the row."""
    request = exchange.request
    arguments: dict[str, Any] = {
        "status": exchange.status or 0,
        "headers": exchange.headers,
        "stream": endpoint.stream,
        "response_path": endpoint.response_path,
        "prompt": request.prompt,
        "max_tokens": request.output_tokens_target,
        "inputs": request.batch_size,
    }
    try:
        return parse_response(exchange.body, exchange.read_ends, failure=exchange.failure, **arguments)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        message = f"basetenkit failed to read this response ({what}); please report it with its bytes"
        return parse_response(b"", status=exchange.status or 0, failure=Failure(Outcome.MALFORMED, message))
