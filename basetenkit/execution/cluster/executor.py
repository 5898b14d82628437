"""The controlling side of a run on a Dask cluster: an Executor whose members are worker processes on other machines.

Each member begins a level with its part of the requests, and in a closed loop slow members hand requests over to fast ones while
it runs (see `apart_counters` and `balance`), so no request waits for the network. A latency is always measured by one machine's
clock. Times of different machines are off by the difference of their clocks, which is measured before and after each level and
kept in `run.metadata["hosts"]` with its bound.

A member is lost when its Dask task ended, its Dask worker left the cluster, or nothing came from it for SILENCE_S. If the leader is
gone or cannot be reached, each process ends its load after LEASE_S by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from ...config.endpoint import KEY_VARIABLES
from ...config.plan import PlannedLevel
from ...core.errors import ConfigError, WorkerError
from ...core.interrupts import uninterrupted
from ...core.secrets import looks_secret
from ...core.types import JsonObject
from ...loadgen.apart_counters import Taken, numbers_of
from ...loadgen.prepared import Prepared, holds_conversations
from ...loadgen.request_source import quota
from ...loadgen.stop_conditions import AFTER_FAILURES, Seen, StopCondition, conditions, first_stop
from ...results.manifest import HostReport, LevelReport
from ...transport.clock import mono
from ...workload.lexicon import lexicon
from ..processes.group import START_WITHIN_S, GroupExecutor
from ..processes.handle import Member
from ..processes.protocol import Hello, encode_order
from . import connecting, stage
from .balance import Balance
from .connecting import Machine
from .handle import StageHandle

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)
LEASE_S, ALIVE_EVERY_S = 12.0, 3.0
SILENCE_S, LOOK_EVERY_S = 15.0, 1.0
STATUS_EVERY_S = 1.0
PINGS, PINGS_AT_ONCE = 12, 8
GREETED_WITHIN_S = 300.0  # a data set may be large, and the network slow


class ClusterExecutor(GroupExecutor[StageHandle]):
    """Levels sent from the machines of `cluster` (see `connecting`). All on the controller's loop but `status` and `waiting`."""

    lead_ns = 500_000_000  # an order takes some ms to the farthest machine

    def __init__(self, prepared: Prepared, *, salt: str, spent: int, cluster: object) -> None:
        super().__init__(prepared, salt=salt, spent=spent)
        connecting.check_cluster(cluster)
        self._cluster, self._name = cluster, f"basetenkit-{secrets.token_hex(6)}"
        self._held, self._tries = contextlib.AsyncExitStack(), Counter[int]()
        self._client: Client | None = None
        self._machines: list[Machine] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._of_name: dict[str, StageHandle] = {}
        self._after_failures: list[StopCondition] = []
        self._running = False
        self._balance: Balance | None = None
        self._hosts: dict[str, HostReport] = {}

    @property
    def _connection(self) -> Client:
        if self._client is None:
            raise RuntimeError("the executor was not opened")
        return self._client

    async def open(self) -> None:
        client = await self._held.enter_async_context(connecting.connected(self._cluster))
        self._client, self._machines = client, await connecting.machines(client)
        self._check_secrets()
        placed = connecting.placed(self._machines, self._config.workers)
        log.info("%d stages on %d Dask workers of %s", len(placed), len(self._machines), client.scheduler.address)
        self._know(self._machines)
        works = (self._listen(), self._keep_alive(), self._look())
        self._tasks = [asyncio.ensure_future(self._guarded(work)) for work in works]
        self._members = [self._start(part, machine) for part, machine in enumerate(placed)]
        await self._ready(self._members)

    def _know(self, machines: Iterable[Machine]) -> None:
        for machine in machines:
            facts = {name: str(machine.facts[name]) for name in ("basetenkit", "python", "distributed")}
            new = HostReport(host=machine.host, address=machine.address, versions=facts)
            self._hosts.setdefault(machine.address, new)

    def _check_secrets(self) -> None:
        address = str(self._connection.scheduler.address)
        self._key_stays = not connecting.may_carry_secrets(address)
        endpoint = self._config.endpoint
        explicit = endpoint.api_key is not None or any(looks_secret(name) for name in endpoint.headers)
        if self._key_stays and explicit:
            host = address.split("://")[-1].rsplit(":", 1)[0]
            raise ConfigError(
                f"the key would go over the unencrypted connection to {address}; give the workers the key as "
                f"{' or '.join(KEY_VARIABLES)} in their environment, make the cluster with TLS, or allow this host by "
                f"{connecting.ALLOW_PLAIN}={host}",
                at=("cluster",),
            )

    def _start(self, part: int, machine: Machine) -> StageHandle:
        self._tries[part] += 1
        name = f"{self._name}-{part}-{self._tries[part]}"
        member = StageHandle(part, name, self._name, machine, self._connection, self._on_message)
        self._of_name[name] = member
        return member

    async def _ready(self, members: Sequence[StageHandle]) -> None:
        ready, parts = self._prepared, len(self._members)
        words = await asyncio.get_running_loop().run_in_executor(None, lexicon, ready.tokenizer)
        for member in members:
            head = None if self._key_stays else ready.head
            hello = Hello(
                self._config_of(member.part, parts),
                head,
                self._salt,
                parts,
                None,
                ready.entries,
                () if self._key_stays else ready.secrets,
                words,
                LEASE_S,
                STATUS_EVERY_S,
            )
            member.send("hello", run=hello, part=member.part)
        for member in members:
            if await self._wait_for(member, "ready", START_WITHIN_S) is None:
                raise WorkerError(
                    f"the stage on the Dask worker {member.machine.address} did not start: {member.error_text}"
                )

    def _config_of(self, part: int, parts: int) -> Any:
        """What a member's limits are: its part of those that hold over all."""
        config = self._config
        tokens = config.max_total_tokens
        left = None if tokens is None else max((tokens - self._spent) // parts, 1)
        return config.model_copy(
            update={
                "dataset": None,
                "max_total_tokens": left,
                "capture_limit_mb": max(config.capture_limit_mb // parts, 1),
                "abort_after_failures": None,
            }
        )

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """Work that lasts as long as the run: if it fails, no member can be controlled any more."""
        try:
            await work
        except Exception as error:
            log.exception("the Dask cluster can no longer be led")
            for member in self._members:
                member.lose(f"the connection to the Dask scheduler failed ({type(error).__name__})")

    async def _listen(self) -> None:
        """Takes what the stages say out of the scheduler's queue as it comes."""
        from distributed import Queue

        up = await Queue(self._name, client=self._connection)
        while True:
            name, bundle = await up.get()
            if (member := self._of_name.get(name)) is not None:
                for parts in bundle:
                    member.take(list(parts))
                self._after_word()

    def _after_word(self) -> None:
        """What follows from all members' counts, which none of them knows alone."""
        if not self._running:
            return
        if stop := first_stop(self._after_failures, Seen(self.status())):
            self.halt(stop)
        self._all_over()
        self._hand_over()

    def _on_message(self, member: Member, say: str, content: JsonObject, frames: list[pl.DataFrame]) -> None:
        super()._on_message(member, say, content, frames)
        if (balance := self._balance) is None:
            return
        to: int | None = None
        if say == "status":
            balance.heard(member.part, content["seconds"], content["taken"]["measured"], content["left"])
        elif say == "received":
            balance.received(member.part)
        elif say in ("handed", "refused"):
            to = (balance.handed if say == "handed" else balance.refused)(member.part, content["draws"])
        if to is not None:
            self._members[to].send("receive", draws=content["draws"])

    def _hand_over(self) -> None:
        """Asks slow members for requests that fast ones are to send."""
        if (balance := self._balance) is None or self._stopped.made is not None:
            return
        sending = [m for m in self._active if m.lost is None and "done" not in m.answers]
        for transfer in balance.due(m.part for m in sending):
            self._members[transfer.giver].send("hand_over", most=transfer.count)

    def _all_over(self) -> None:
        living = [m for m in self._active if m.lost is None and "done" not in m.answers]
        if self._config.steady and all(m.answers.get("status", {}).get("own_over") for m in living):
            for member in living:
                member.send("all_over")

    async def _keep_alive(self) -> None:
        """Tells each stage that its leader is there."""
        alive = encode_order("alive")[0]
        while True:
            for member in self._members:
                if member.lost is None:
                    member.send_bytes(alive)
            await asyncio.sleep(ALIVE_EVERY_S)

    async def _look(self) -> None:
        """Each second: which Dask workers are still there, and who has said nothing for too long."""
        unanswered_since: int | None = None
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                identity = await asyncio.wait_for(self._connection.scheduler.identity(n_workers=-1), SILENCE_S)
                there, unanswered_since = set(identity["workers"]), None
            except (OSError, TimeoutError):
                unanswered_since = unanswered_since or mono()
                there = None
            silent = mono() - int(SILENCE_S * 1e9)
            for member in (m for m in self._members if m.lost is None):
                awaited = self._running and member in self._active and "done" not in member.answers
                if there is None and (unanswered_since or 0) < silent:
                    member.lose("the Dask scheduler cannot be reached")
                elif there is not None and member.machine.address not in there:
                    member.lose("its Dask worker left the cluster")
                elif awaited and member.heard_ns < silent:
                    member.kill(f"nothing came from it for {SILENCE_S:g} s")

    async def level(self, level: PlannedLevel) -> None:
        self._after_failures = conditions(AFTER_FAILURES, self._config, level.load)
        self._balance = (
            None if level.load.scheduled or holds_conversations(self._prepared.entries, level) else Balance()
        )
        await self._measure_clocks()
        try:
            await super().level(level)
        finally:
            self._running = False
        await self._measure_clocks()

    async def _origins(self) -> dict[int, int]:
        now, self._running = mono(), True
        for member in self._active:
            member.heard_ns = now
        return {member.part: now + self.lead_ns + member.offset_ns for member in self._active}

    async def _measure_clocks(self) -> None:
        """The difference of each machine's clock to this one's, and its bound, half of the shortest exchange."""
        found: dict[str, tuple[int, int]] = {}
        room = asyncio.Semaphore(PINGS_AT_ONCE)

        async def measure(address: str) -> None:
            async with room:
                for _ in range(PINGS):
                    before = mono()
                    with contextlib.suppress(OSError, TimeoutError, ValueError, KeyError, RuntimeError):
                        said = await asyncio.wait_for(
                            self._connection.run(stage.ping, workers=[address]), connecting.ANSWER_WITHIN_S
                        )
                        after = mono()
                        seen = (after - before) // 2, said[address] - (before + after) // 2
                        found[address] = min(found.get(address, seen), seen)

        living = {m.machine.address for m in self._members if m.lost is None}
        await asyncio.gather(*(measure(address) for address in sorted(living)))
        for address, (bound, offset) in found.items():
            self._hosts[address].clock_seen(offset / 1e9, bound / 1e9)
        for member in self._members:
            if member.machine.address in found:
                member.bound_ns, member.offset_ns = found[member.machine.address]

    async def _replace(self, lost: list[StageHandle]) -> None:
        """New stages in the place of lost ones, on Dask workers that are there now."""
        await self._close(lost)
        self._machines = await connecting.machines(self._connection)
        self._know(self._machines)
        living = Counter(m.machine.address for m in self._members if m.lost is None)
        fresh = []
        for member in lost:
            machine = min(self._machines, key=lambda m: living[m.address] / m.threads)
            living[machine.address] += 1
            fresh.append(self._start(member.part, machine))
            self._members[member.part] = fresh[-1]
        await self._ready(fresh)
        await self._measure_clocks()

    @uninterrupted
    def _labelled(self, member: Member, rows: pl.DataFrame) -> pl.DataFrame:
        machine = self._members[member.part].machine
        return rows.with_columns(pl.lit(machine.host).alias("host"), pl.lit(machine.address).alias("worker"))

    def _owned(self, member: StageHandle) -> tuple[Sequence[int], list[str]]:
        """As far as its last word says: what it took after that is not known, so the level is not whole."""
        taken = Taken(**member.answers.get("status", {}).get("taken", {}))
        return numbers_of(taken, member.part, len(self._active)), taken.phases()

    def _without(self, member: StageHandle) -> None:
        if self._balance is not None:
            self._balance.lost(member.part)
        self._all_over()

    def _reached(self, reports: list[LevelReport]) -> bool:
        return any(report.tokens_guard for report in reports)

    def _goal(self, reports: list[LevelReport]) -> int:
        unplaced = [] if self._balance is None else self._balance.unplaced
        return sum(report.goal or 0 for report in reports) + len(unplaced)

    def _whole(self, level: PlannedLevel, lost: bool, reports: list[LevelReport]) -> bool:
        return not lost and not (self._balance is not None and self._balance.unplaced)

    def _take_stock(self, level: PlannedLevel) -> None:
        super()._take_stock(level)
        if self._report is not None and any(m.lost is not None for m in self._active):
            self._report.goal = quota(self._config, level.load).measured
        for member in self._active:
            if "done" in member.answers:
                report = LevelReport.model_validate(member.answers["done"]["report"])
                self._hosts[member.machine.address].add(report)

    def enough(self) -> None:
        for member in self._active:
            member.send("enough")

    def hosts(self) -> list[HostReport]:
        return list(self._hosts.values())

    async def close(self) -> None:
        await super().close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._held.aclose()
