"""Sends a level: one loop that builds the requests, sends them, parses the responses and makes rows.

A LoadGenerator runs on the run's own thread (`workers=0`) or in a worker's process. It is the same code in both, and uses
neither the folder nor other generators. While responses are in flight the engine only timestamps and stores; everything else
happens in the ResponseQueue's turns, between reads.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass, field

import polars as pl

from ..config.loads import ClosedLoop
from ..config.plan import PlannedLevel
from ..config.run_config import RunConfig
from ..core.findings import Finding, finding
from ..core.reasons import Stop
from ..core.types import Exchange, Outcome, Request
from ..results.interpret import interpret
from ..results.manifest import HostReport, LevelReport
from ..results.recorder import Record, Recorder
from ..results.store import exchange_frame, redact_exchange
from ..transport.clock import Poller, WallClock, mono
from ..transport.http_request import HttpRequest
from ..workload.conversations import ConversationSampler
from ..workload.sampler import Sampler
from .apart_counters import part_of
from .arrivals import schedule
from .conversation_source import ConversationSource
from .counters import COOLDOWN, MEASURED, RAMP, Quota, SharedCounters, share
from .driver import Level
from .executor import Batch, Status
from .loop_lag import LoopLag
from .prepared import Prepared, holds_conversations
from .request_source import LOOK_AHEAD, RequestSource, TokenBudget, connections, quota
from .response_queue import ResponseQueue, reduced_gc
from .stop_conditions import AFTER_FAILURES, Seen, StopCondition, StopRequest, TimeLimit, conditions, first_stop

LOOK_EVERY_S, LOOKS_A_SECOND = 0.05, 20


@dataclass(slots=True, eq=False)
class RecordBatch:
    """A Batch as a LoadGenerator fills it: (rows, chunks) in `size`."""

    table: Recorder
    captured: list[Exchange] = field(default_factory=list)

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        return self.table.frames()

    def exchanges(self) -> pl.DataFrame | None:
        return exchange_frame(self.captured) if self.captured else None

    @property
    def size(self) -> tuple[int, int]:
        return len(self.table), self.table.chunk_count


@dataclass(frozen=True, slots=True)
class Shard:
    """What one LoadGenerator does of a level: `users` of a closed loop, or every `parts`-th arrival of an open one."""

    level: PlannedLevel
    part: int = 0
    parts: int = 1
    users: int = 0
    max_in_flight: int | None = None

    @classmethod
    def of(cls, level: PlannedLevel, config: RunConfig, part: int = 0, parts: int = 1) -> Shard:
        users = share(level.load.users, parts, part) if isinstance(level.load, ClosedLoop) else 0
        limit = None if config.max_in_flight is None else share(config.max_in_flight, parts, part)
        return cls(level, part, parts, users, limit)


def prefix(salt: str, level: PlannedLevel) -> str:
    """What the ids of a level's requests begin with."""
    return f"{salt[:8]}-{level.index:03d}"


class LoadGenerator:
    """Sends levels, one after the other. Made once a run in its process; on its loop's thread but for `status` and `frames`."""

    def __init__(
        self,
        prepared: Prepared,
        *,
        salt: str,
        poller: Poller,
        tally: SharedCounters,
    ) -> None:
        config = prepared.config
        self._config, self._tokenizer, self._head, self._salt = config, prepared.tokenizer, prepared.head, salt
        self._measured, self._entries, self._secrets = prepared.lexicon, prepared.entries, prepared.secrets
        self._poller, self._wall, self._tally = poller, WallClock(), tally
        self._spend = TokenBudget(config.max_total_tokens, tally)
        self._status, self._lag = Status(), LoopLag(poller)
        self._level: Level | None = None
        self._stopped, self._seen = StopRequest(), Seen(tally)
        self._after_failures: list[StopCondition] = []
        self._current: RecordBatch | None = None
        self._not_captured = 0

    async def open(self) -> None:
        """Nothing to do: this generator is where the run is. Nor in `close`: a level leaves nothing behind."""

    async def close(self) -> None: ...

    def spend(self, tokens: int) -> None:
        """Counts tokens that were spent outside of the levels, in the guard on tokens."""
        self._tally.spend(tokens)

    async def level(self, level: PlannedLevel) -> None:
        """The whole of a level, from here alone."""
        self._tally.begin(quota(self._config, level.load))
        self.prefetch(Shard.of(level, self._config))
        await self.run_level()

    def quota_of(self, part: Shard) -> Quota:
        """This sender's part of a level's requests, if it shares no file with the others."""
        planned = part.level.load.scheduled and holds_conversations(self._entries, part.level)
        return part_of(quota(self._config, part.level.load), part.part, part.parts, planned)

    def prefetch(self, part: Shard) -> None:
        """Builds the first requests; then `run_level` can begin at once."""
        self._source = self._source_of(part)
        self._source.fill(min(LOOK_AHEAD, 2 * (part.users or 64) + 64))
        self._part, self._status, self._level = part, Status(), None
        self._after_failures = conditions(AFTER_FAILURES, self._config, part.level.load)
        self._current = RecordBatch(Recorder(part.level, 0, self._tokenizer.count))

    def _source_of(self, part: Shard) -> RequestSource:
        config, level, tokenizer, entries = self._config, part.level, self._tokenizer, self._entries
        scenario = level.scenario
        salt, stream, own = self._salt, level.stream, (part.part, part.parts)
        named, scheduled, users = prefix(self._salt, level), level.load.scheduled, part.users
        if entries is not None and holds_conversations(entries, level):
            speaker = ConversationSampler(
                config,
                scenario,
                entries.conversations,
                tokenizer.count,
                params=entries.params,
                salt=salt,
                stream=stream,
                share=own,
            )
            return ConversationSource(
                config, speaker, self._head, named, self._spend, scheduled=scheduled, openings=users
            )
        sampler = Sampler(
            config, scenario, tokenizer, salt=salt, stream=stream, share=own, measured=self._measured, entries=entries
        )
        around = sampler.beside("around") if config.steady else None
        stride = part.parts if scheduled else None
        return RequestSource(
            config,
            sampler,
            self._head,
            named,
            self._spend,
            first=part.part,
            stride=stride,
            openings=users,
            around=around,
        )

    async def run_level(self, origin_ns: int | None = None) -> None:
        """Sends what was prepared, from `origin_ns` on (CLOCK_MONOTONIC; None: at once); returns when each request has its row."""
        endpoint, poller = self._config.endpoint, self._poller
        pool = connections(endpoint, poller, self._wall)
        backlog = ResponseQueue(self._read, self._record, self._source.refill)
        source = self._source

        def take() -> tuple[Request, HttpRequest] | None:
            backlog.wake()  # another is built for it
            if level.full:
                source.begin_whole()
            return source(level.settled)

        def done(exchange: Exchange) -> None:
            if exchange.request.phase == MEASURED:
                self._tally.over()
            backlog.add(exchange)
            self._finish_if_over()

        limit = TimeLimit(self._config.max_seconds)
        most = self._tally.goal // 2 + self._tally.warmup
        level = Level(
            pool, poller, take, done, limit=limit, warm_up_most=most, retry=source.retry, next_turn=source.next_turn
        )
        with reduced_gc():
            if origin_ns is not None:
                await asyncio.sleep(max((origin_ns - mono()) / 1e9, 0))
            level.origin_ns = mono() if origin_ns is None else origin_ns
            self._batch.table.start(level.origin_ns)
            self._level = level
            watching = asyncio.ensure_future(self._watch())
            self._lag.start()
            try:
                if self._stopped.made is None:
                    await self._send(level)
                await backlog.drained()
            finally:
                self._lag.stop()
                self._status.seconds = (mono() - level.origin_ns) / 1e9
                watching.cancel()
                await pool.close()

    async def _send(self, level: Level) -> None:
        part, planned = self._part, self._part.level
        if isinstance(planned.load, ClosedLoop):
            steady = self._config.steady and part.users > 1
            known = planned.scenario.fixed_output and self._source.next_turn is None
            few = steady and known and self._config.endpoint.stream
            await level.closed_loop(part.users, staggered=steady and not known, few=few)
        else:
            config = self._config
            rng = random.Random(f"{config.seed}:{planned.key.scenario}:{planned.stream}")
            due = schedule(planned.load.rate, config.arrival, burstiness=config.burstiness, rng=rng)
            await level.open_loop(self._source.due(due), part.max_in_flight)

    async def _watch(self) -> None:
        """Looks at the wall clock, and whether the other senders' measured requests are over, too."""
        for turn in itertools.count(1):
            await asyncio.sleep(LOOK_EVERY_S)
            self._finish_if_over()
            if turn % LOOKS_A_SECOND == 0:
                self._wall.refresh()

    def _finish_if_over(self) -> None:
        if self._config.steady and self._level is not None and self._tally.measured_over:
            self._level.finish()

    def stop(self, stop: Stop) -> None:
        """Cancels what is in flight and sends no more, of this level and of any later."""
        self._stopped.ask(stop)
        if self._level is not None:
            self._level.stop(stop)

    def enough(self) -> None:
        """The measured requests of this level that were sent so far are all it needs."""
        self._tally.enough()

    def halt(self, stop: Stop) -> None:
        """Ends this level as `stop` does, and no later one."""
        if self._level is not None:
            self._level.stop(stop)

    @property
    def _batch(self) -> RecordBatch:
        """The rows of this level that were not taken yet. RuntimeError before `prefetch`."""
        if self._current is None:
            raise RuntimeError("no level was prepared: call prefetch first")
        return self._current

    def _read(self, exchange: Exchange) -> tuple[Exchange, Record]:
        """Reads one finished exchange and makes its row; changes nothing but what it hides in the exchange."""
        redact_exchange(exchange, self._secrets)
        return exchange, self._batch.table.read(exchange, interpret(exchange, self._config.endpoint))

    def _record(self, what: tuple[Exchange, Record]) -> None:
        """Keeps one exchange's row, and decides what follows from it."""
        (exchange, reading), current, status = what, self._batch, self._status
        row = current.table.append(reading)
        ok = row["outcome"] == Outcome.OK
        self._spend.commit(exchange.request, row)
        self._source.answered(exchange.request, row["text"] if ok else None)
        self._tally.ended(ok)
        if row["phase"] not in (RAMP, COOLDOWN):
            status.finished += 1
            status.outcomes[row["outcome"]] += 1
        status.output_tokens += row["output_tokens"] or 0
        if not ok and row["outcome"] != Outcome.CANCELLED:  # an end of the level is not an error of the endpoint
            status.last_error = row["error_message"]
        if self._config.capture == "all" or (self._config.capture == "errors" and not ok):
            self._capture(exchange, current)
        if not ok and self._level is not None and (stop := first_stop(self._after_failures, self._seen)):
            self._level.stop(stop)

    def _capture(self, exchange: Exchange, current: RecordBatch) -> None:
        size = len(exchange.body) + len(exchange.reads) * 8 + len(exchange.request.body)
        if self._tally.keep(size, self._config.capture_limit_mb * 1_000_000):
            current.captured.append(exchange)
        else:
            self._not_captured += 1

    def status(self) -> Status:
        """Counts so far; from any thread."""
        if self._level is not None and self._lag.running:
            self._status.seconds = (mono() - self._level.origin_ns) / 1e9
        if self._level is not None:
            self._status.sent, self._status.in_flight = self._level.sent, self._level.in_flight
        return self._status

    def waiting(self) -> list[Batch]:
        """The recorded rows that were not taken yet; more may be added."""
        return [] if self._current is None else [self._current]

    def take(self) -> list[Batch]:
        """Hands over what was recorded since the last time."""
        batch = self._current
        if batch is None or not len(batch.table):
            return []
        self._current = RecordBatch(batch.table.successor())
        return [batch]

    def report(self) -> LevelReport:
        """How the level went: counts, why it ended, and what it took of this process."""
        level = self._level
        return LevelReport(
            sent=0 if level is None else level.sent,
            peak_in_flight=0 if level is None else level.peak,
            held_back=0 if level is None else level.held_back,
            ended_by=self._stopped.made if level is None else level.stop_reason,
            cut_s=None if level is None else level.cut_s,
            tokens_guard=self._tally.reached,
            goal=self._tally.goal,
            seconds=self._status.seconds,
            cpu_share=self._lag.cpu_share,
            loop_lag_p99_s=self._lag.p99_s,
        )

    def hosts(self) -> list[HostReport]:
        """None: a stage knows of its own machine alone."""
        return []

    def notes(self) -> list[Finding]:
        """What a reader of the run must know beside its rows."""
        found = []
        if self._not_captured:
            found.append(finding("capture_full", n=self._not_captured, limit=self._config.capture_limit_mb))
        if self._wall.steps:
            found.append(finding("clock_stepped", step_ms=max(abs(step) for _, step in self._wall.steps) / 1e6))
        return found
