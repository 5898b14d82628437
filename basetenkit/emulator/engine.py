"""The emulator's engine model: replicas with continuous batching, as a simulation of discrete events.

It knows no clock and sends nothing. Whoever drives it gives times in s, on any clock: the emulator gives the time of day, and
`virtual.py` gives times of its own, a hundred thousand requests in seconds. Both get the same answers for the same arrivals.

An iteration of a replica: admit requests from its queue while there are slots, KV tokens and room in the prefill chunk; then a
decode step of all that run, and the prefill of the new ones. At its end each running request has one more token.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Sequence

from .engine_options import EngineOptions
from .limiter import Limiter
from .prefix_cache import PrefixCache

ONE_STEP = 1


class Job:
    """A request as the engine sees it: `prompt` and `output` tokens, and the hashes of its prompt's blocks. The engine fills in
    `produced` (tokens so far), `cached` (prompt tokens found in the prefix cache), `first_s`, `end_s`, `preempted` (times)."""

    __slots__ = ("arrived_s", "blocks", "cached", "end_s", "epoch", "first_s", "order", "output", "preempted", "prompt")
    __slots__ += ("replica", "started")

    def __init__(self, prompt: int, output: int, blocks: Sequence[int] = ()) -> None:
        self.prompt, self.output, self.blocks = prompt, max(output, 1), blocks
        self.cached = self.preempted = self.epoch = self.order = 0
        self.arrived_s = 0.0
        self.first_s: float | None = None
        self.end_s: float | None = None
        self.replica: Replica | None = None
        self.started: int | None = None  # the replica's step at which its first token, or the next one after a preemption, came


class Replica:
    """One copy of the model. `running` maps each running job to the tokens that it had when it was admitted."""

    def __init__(self, ready_s: float, cache: PrefixCache) -> None:
        self.ready_s, self.cache = ready_s, cache
        self.queue: deque[Job] = deque()
        self.running: dict[Job, int] = {}
        self.new: list[Job] = []
        self.ends: list[tuple[int, int, int, Job]] = []
        self.step = self.kv = 0
        self.steps = ONE_STEP  # decode steps of the iteration that goes on
        self.until_s: float | None = None
        self.idle_since_s = ready_s

    @property
    def in_flight(self) -> int:
        return len(self.queue) + len(self.running) + len(self.new)


class Engine:
    """Replicas, their autoscaler and the rate limiter.

    `tokens`: called after each iteration with each running job and its number of tokens so far; without it, several decode steps
    in which nothing else happens are one. Drive it: `offer` and `submit` at an arrival, `advance` to a time, `next_at` for the
    time at which something happens next, `cancel` for a client that went away.
    """

    def __init__(
        self, options: EngineOptions, seed: int = 0, tokens: Callable[[Job, int, float], None] | None = None
    ) -> None:
        self.options, self._tokens = options, tokens
        self._rng, self._order = random.Random(seed), itertools.count()
        self._limiter = Limiter(options.rate_limit, options.rate_burst)
        self.replicas = [self._replica(0.0) for _ in range(options.first_replicas)]
        self._waiting: deque[Job] = deque()  # while there is no replica
        self.ended: list[Job] = []  # since they were last taken
        self.peak_replicas = len(self.replicas)

    def offer(self, now_s: float) -> float | None:
        """None if the rate limiter accepts a request at this time, else after how many seconds it would."""
        return self._limiter.offer(now_s)

    def submit(self, job: Job, now_s: float) -> None:
        """A request arrives. Times never go back: an arrival in the past counts as of now."""
        self.advance(now_s)
        job.arrived_s, job.order = now_s, next(self._order)
        self._scale_up(now_s)
        if not self.replicas:
            self._waiting.append(job)
            return
        self._assign(job, now_s)

    def _assign(self, job: Job, now_s: float) -> None:
        ready = [replica for replica in self.replicas if replica.ready_s <= now_s]
        replica = min(ready or self.replicas, key=lambda r: r.in_flight)
        job.replica = replica
        replica.queue.append(job)
        if replica.until_s is None and replica.ready_s <= now_s:
            self._begin(replica, now_s, now_s)

    def cancel(self, job: Job, now_s: float) -> None:
        """A client went away: its request leaves the engine."""
        replica, job.epoch = job.replica, job.epoch + 1
        if replica is None or job.end_s is not None:
            return
        if job in replica.running:
            replica.kv -= self._held(replica, job)
            del replica.running[job]
        elif job in replica.new:
            replica.new.remove(job)
            replica.kv -= job.prompt
        elif job in replica.queue:
            replica.queue.remove(job)
        job.replica, job.end_s = None, now_s

    def next_at(self) -> float | None:
        """When something happens next by itself, in s; None if nothing does."""
        return min((at for at in map(self._next_of, self.replicas) if at is not None), default=None)

    def _next_of(self, replica: Replica) -> float | None:
        if replica.until_s is not None:
            return replica.until_s
        return replica.ready_s if replica.queue else None

    def advance(self, now_s: float, horizon_s: float | None = None) -> None:
        """Does all that happens up to `now_s`. Until `horizon_s` nobody will arrive, so that iterations may be put together."""
        horizon_s = now_s if horizon_s is None else horizon_s
        while True:
            soonest, at_s = None, math.inf
            for replica in self.replicas:
                at = self._next_of(replica)
                if at is not None and at < at_s:
                    soonest, at_s = replica, at
            if soonest is None or at_s > now_s:
                break
            if soonest.until_s is not None:
                self._finish(soonest, at_s)
            self._begin(soonest, at_s, horizon_s)
        self._scale_down(now_s)

    def _begin(self, replica: Replica, now_s: float, horizon_s: float) -> None:
        """Starts an iteration, if there is anything to do."""
        decoding, prefill = len(replica.running), self._admit(replica)
        if not decoding and not replica.new:
            replica.until_s = None
            replica.idle_since_s = now_s
            return
        o = self.options
        took = (o.decode_ms + o.decode_slope_ms * decoding) / 1e3 if decoding else 0.0
        replica.steps = ONE_STEP
        if replica.new:
            took += prefill / o.prefill_tokens_per_s
        elif self._tokens is None:
            replica.steps = self._alike(replica, (horizon_s - now_s) / took if took else 1.0)
        if o.step_noise:
            took *= max(1 + o.step_noise / math.sqrt(replica.steps) * self._rng.gauss(0, 1), 0.1)
        replica.until_s = now_s + took * replica.steps

    def _alike(self, replica: Replica, most: float) -> int:
        """How many decode steps from now on are alike: nobody ends before the last, and none must be preempted."""
        while replica.ends and self._gone(replica, replica.ends[0]):
            heapq.heappop(replica.ends)
        steps = replica.ends[0][0] - replica.step if replica.ends else ONE_STEP
        if self.options.kv_tokens:
            steps = min(steps, (self.options.kv_tokens - replica.kv) // max(len(replica.running), 1))
        return int(max(min(steps, math.ceil(most)), ONE_STEP))

    def _gone(self, replica: Replica, end: tuple[int, int, int, Job]) -> bool:
        _, _, epoch, job = end
        return job.epoch != epoch or job.replica is not replica

    def _admit(self, replica: Replica) -> int:
        """Takes requests from the queue into `new`; the prompt tokens to compute."""
        o, total = self.options, 0
        while replica.queue and len(replica.running) + len(replica.new) < o.batch_slots:
            job = replica.queue[0]
            had = self.produced(job)
            needed = job.prompt + had
            busy = len(replica.running) + len(replica.new)
            if o.kv_tokens and replica.kv + needed + busy + 1 > o.kv_tokens and busy:
                break
            cached = min(replica.cache.hits(job.blocks) * o.prefix_block, job.prompt - 1)
            todo = needed - cached
            if total and total + todo > o.prefill_chunk:
                break
            replica.queue.popleft()
            replica.cache.add(job.blocks)
            if had == 0:
                job.cached = cached
            replica.kv += needed
            replica.new.append(job)
            total += todo
        return total

    def produced(self, job: Job) -> int:
        """Tokens that a job has so far."""
        if job.end_s is not None:
            return job.output
        return job.output - (job.started or job.output)

    def _held(self, replica: Replica, job: Job) -> int:
        """KV tokens that a running job holds."""
        return job.prompt + replica.running[job] + (replica.step - (job.order and 0)) * 0
