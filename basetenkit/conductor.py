"""A run from its first level to its last, on a thread and loop of its own.

For each level: build what will be sent, send it (engine), read what came back (parsing), make rows, spool them. While
responses are in flight the engine only stamps and stores; everything else happens in the Backlog's turns, between reads.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import threading
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
import polars as pl

from . import __version__
from .config import Endpoint, RunConfig
from .engine.clock import Poller, WallClock, mono
from .engine.connection import Timeouts
from .engine.driver import Backlog, Level
from .engine.pacer import schedule
from .engine.pool import Origin, Pool
from .parsing.response import ParsedResponse, parse_response
from .rows import LevelKey, Table
from .scenario import parse_scenario
from .store import RunFolder, exchange_frame
from .types import Exchange, Failure, Outcome, Request
from .workload.sampler import Sampler
from .workload.tokenizer import Tokenizer

LOOK_AHEAD = 2048
SPOOL_EVERY_S = 1.0
ROWS_IN_MEMORY, CHUNKS_IN_MEMORY = 20_000, 2_000_000


def plan(config: RunConfig) -> list[LevelKey]:
    """The levels of a run in the order they run: each repeat goes through all of them, so that repeats lie apart in time."""
    loads = [("concurrency", float(c)) for c in config.concurrency] + [("request_rate", r) for r in config.request_rate]
    combinations = itertools.product(range(config.repeats), config.scenarios, loads)
    return [
        LevelKey(i, scenario, load, level, repeat) for i, (repeat, scenario, (load, level)) in enumerate(combinations)
    ]


def request_head(endpoint: Endpoint) -> bytes:
    """The request's head up to its request id and content length. It holds the key: never log it."""
    url = httpx.URL(endpoint.url)
    target, host = url.raw_path.decode("ascii"), url.netloc.decode("ascii")
    # Never `accept: application/json` on a stream: Truss then gathers all of it into one JSON string.
    headers = {
        "host": host,
        "user-agent": f"basetenkit/{__version__}",
        "accept": "text/event-stream, */*" if endpoint.stream else "*/*",
        "accept-encoding": "identity",
        "content-type": "application/json",
    }
    if authorization := endpoint.authorization():
        headers["authorization"] = authorization
    headers |= {name.lower(): value for name, value in endpoint.headers.items()}
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1", "replace")


class Source:
    """The requests of one level, built ahead: called by the engine for the next, refilled in the Backlog's turns."""

    def __init__(self, config: RunConfig, sampler: Sampler, head: bytes, prefix: str, spend: Spend) -> None:
        self._config, self._sampler, self._head, self._prefix, self._spend = config, sampler, head, prefix, spend
        self._total = config.warmup_requests + config.max_requests
        self._ready: deque[tuple[Request, bytes]] = deque()
        self._built = 0

    def _build(self) -> None:
        phase = "warmup" if self._built < self._config.warmup_requests else "measured"
        request = self._sampler.request(f"{self._prefix}-{self._built:06d}", phase)
        # Not x-request-id: some servers refuse one that is no UUID.
        tail = f"x-baseten-customer-request-id: {request.request_id}\r\ncontent-length: {len(request.body)}\r\n\r\n".encode()
        self._ready.append((request, self._head + tail + request.body))
        self._built += 1

    def refill(self) -> bool:
        """Builds one more where there is room; False where there is nothing to do."""
        if self._built >= self._total or len(self._ready) >= LOOK_AHEAD:
            return False
        self._build()
        return True

    def fill(self, count: int) -> None:
        """Builds up to `count` before the level starts."""
        while len(self._ready) < count and self.refill():
            pass

    def __call__(self) -> tuple[Request, bytes] | None:
        if not self._ready and self._built < self._total:
            self._build()
        if not self._ready or not self._spend.allow(self._ready[0][0]):
            return None
        return self._ready.popleft()


@dataclass
class Spend:
    """The guard on tokens: counts what was promised to requests in flight, then what they really took."""

    limit: int | None = None
    tokens: int = 0
    reached: bool = False

    @staticmethod
    def _promised(request: Request) -> int:
        return (request.input_tokens_client or request.input_tokens_target or 0) + (request.output_tokens_target or 0)

    def allow(self, request: Request) -> bool:
        promised = self._promised(request)
        if self.limit is not None and self.tokens + promised > self.limit:
            self.reached = True
            return False
        self.tokens += promised
        return True

    def settle(self, request: Request, row: dict[str, Any]) -> None:
        if row["sent_s"] is None:
            self.tokens -= self._promised(request)
        elif row["input_tokens"] is not None and row["output_tokens"] is not None:
            self.tokens += row["input_tokens"] + row["output_tokens"] - self._promised(request)


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
        self._spend = Spend(config.max_total_tokens)
        self._parts = itertools.count(1)

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
            Origin.of(config.endpoint.url, config.endpoint.verify),
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
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
            await pool.close()
            self._level = None
        await self._flush(key.index)
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

    async def _flush(self, index: int) -> None:
        """Writes what was recorded since the last time as one part, on a thread of its own."""
        full, exchanges = self._table, self._captured
        with self.lock:
            self._table, self._captured = full.successor(), []
            self.tables = [full, self._table]
        await asyncio.get_running_loop().run_in_executor(None, self._write, index, full, exchanges)

    def _write(self, index: int, table: Table, exchanges: list[Exchange]) -> None:
        requests, chunks = table.frames()
        part = next(self._parts)
        with self.lock:
            self.folder.write_part(index, part, "chunks", chunks)
            if exchanges:
                self.folder.write_part(index, part, "exchanges", exchange_frame(exchanges))
            self.folder.write_part(index, part, "requests", requests)
            self.tables = self.tables[1:]

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(requests, chunks) recorded so far; from any thread."""
        with self.lock:
            parts = [(self.folder.scan("requests").collect(), self.folder.scan("chunks").collect())]
            parts += [table.frames() for table in self.tables]
        return pl.concat([r for r, _ in parts]), pl.concat([c for _, c in parts])


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
    }
    try:
        return parse_response(exchange.body, exchange.read_ends, failure=exchange.failure, **arguments)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        message = f"basetenkit failed to read this response ({what}); please report it with its bytes"
        return parse_response(b"", status=exchange.status or 0, failure=Failure(Outcome.MALFORMED, message))
