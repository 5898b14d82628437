"""The emulator's engine model: replicas with continuous batching, as a simulation of discrete events.

It has no clock of its own and sends nothing. Its driver gives times in s, on any clock: the emulator gives the time of day, and
`virtual.py` gives times of its own, a hundred thousand requests in a few seconds. The same arrivals get the same answers.

An iteration of a replica: admit requests from its queue while there are slots, KV tokens and room in the prefill chunk; then a
decode step of all that run, and the prefill of the new ones. At its end, each of them has one more token.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Sequence

from .engine_options import EngineOptions
from .prefix_cache import PrefixCache


class Job:
    """A request as the engine sees it: `prompt` and `output` tokens, and the hashes of its prompt's blocks. The engine fills in
    `cached` (prompt tokens found in the prefix cache), `first_s`, `end_s` and `preempted` (how often)."""

    __slots__ = (
        *("arrived_s", "base", "blocks", "cached", "end_s", "first_s"),
        *("joined_step", "order", "output", "preempted", "prompt", "replica", "session"),
    )

    def __init__(self, prompt: int, output: int, blocks: Sequence[int] = ()) -> None:
        self.prompt, self.output, self.blocks = prompt, max(output, 1), blocks
        self.cached = self.preempted = self.order = 0
        self.session = 0  # for its driver
        self.base = 0  # tokens that it had when it was admitted last
        self.joined_step = 0  # the replica's step that gave it its first token since then
        self.arrived_s = 0.0
        self.first_s: float | None = None
        self.end_s: float | None = None
        self.replica: Replica | None = None


class Replica:
    """One copy of the model."""

    def __init__(self, ready_s: float, cache: PrefixCache) -> None:
        self.ready_s, self.cache = ready_s, cache
        self.ready = False
        self.queue: deque[Job] = deque()
        self.running: dict[Job, None] = {}  # in the order in which they were admitted
        self.new: list[Job] = []
        self.ends: list[tuple[int, int, Job]] = []
        self.step = self.kv = 0
        self.steps = 1  # decode steps in the iteration that goes on
        self.until_s: float | None = None
        self.idle_since_s = ready_s

    @property
    def in_flight(self) -> int:
        return len(self.queue) + len(self.running) + len(self.new)

    @property
    def next_s(self) -> float | None:
        """When something happens to it by itself."""
        return self.until_s if self.ready else self.ready_s

    def tokens_of(self, job: Job) -> int:
        """Tokens that a running job has so far."""
        return job.base + self.step - job.joined_step + 1


class Engine:
    """Replicas and their autoscaler.

    Drive it: `submit` at an arrival, `advance` to a time, `next_s` for when something happens next, `cancel` for a
    client that went away, and `take` for what happened: (job, its tokens so far, at which time), once for each job that ended or,
    with `each_token`, once for each job and iteration.
    """

    def __init__(self, options: EngineOptions, seed: int = 0, each_token: bool = False) -> None:
        self.options, self._each_token = options, each_token
        self._rng, self._order = random.Random(seed), itertools.count(1)
        self.replicas: list[Replica] = []
        for _ in range(options.first_replicas):
            self._start_replica(-math.inf)
        self._waiting: deque[Job] = deque()  # while no replica is ready
        self._news: list[tuple[Job, int, float]] = []
        self.most_replicas = len(self.replicas)
        self.preemptions = 0

    @property
    def in_flight(self) -> int:
        return len(self._waiting) + sum(replica.in_flight for replica in self.replicas)

    @property
    def next_s(self) -> float | None:
        return min((at for replica in self.replicas if (at := replica.next_s) is not None), default=None)

    def take(self) -> list[tuple[Job, int, float]]:
        news, self._news = self._news, []
        return news

    def submit(self, job: Job, now_s: float) -> None:
        """A request arrives. Times must not go back."""
        self.advance(now_s)
        job.arrived_s, job.order = now_s, next(self._order)
        self._scale_down(now_s)
        self._waiting.append(job)
        self._scale_up(now_s)
        self._hand_out(now_s)

    def cancel(self, job: Job) -> None:
        """A client went away: its request leaves the engine."""
        replica, job.replica = job.replica, None
        if replica is None:
            if job in self._waiting:
                self._waiting.remove(job)
        elif job in replica.running:
            replica.kv -= job.prompt + replica.tokens_of(job)
            del replica.running[job]
        elif job in replica.new:
            replica.kv -= job.prompt + job.base
            replica.new.remove(job)
        elif job in replica.queue:
            replica.queue.remove(job)

    def advance(self, now_s: float, horizon_s: float | None = None) -> None:
        """Does all that happens up to `now_s`. If nobody arrives until `horizon_s`, decode steps that are alike count as one
        iteration, which ends at the first step after it; not right after a job has ended, since its end may bring an arrival."""
        horizon_s = now_s if horizon_s is None else horizon_s
        while True:
            soonest, at_s = None, math.inf
            for replica in self.replicas:
                at = replica.next_s
                if at is not None and at < at_s:
                    soonest, at_s = replica, at
            if soonest is None or at_s > now_s:
                return
            if soonest.ready:
                self._finish(soonest, at_s)
                self._begin(soonest, at_s, horizon_s)
            else:
                self._make_ready(soonest, at_s)

    def _begin(self, replica: Replica, now_s: float, horizon_s: float) -> None:
        """Starts an iteration, if there is anything to do."""
        o, decoding, prefill = self.options, len(replica.running), self._admit(replica)
        if not decoding and not replica.new:
            replica.until_s, replica.idle_since_s = None, now_s
            return
        took = (o.decode_ms + o.decode_slope_ms * decoding) / 1e3 if decoding else 0.0
        replica.steps = 1
        if replica.new:
            took += prefill / o.prefill_tokens_per_s
        elif not self._each_token and not self._news and horizon_s > now_s and took:
            replica.steps = self._alike(replica, math.ceil(min((horizon_s - now_s) / took, 1e9)))
        if o.step_noise:
            took *= max(1 + o.step_noise / math.sqrt(replica.steps) * self._rng.gauss(0, 1), 0.1)
        replica.until_s = now_s + took * replica.steps

    def _alike(self, replica: Replica, most: int) -> int:
        """How many decode steps from now on are alike: nobody ends before the last one, and nobody must be preempted."""
        while replica.ends and not self._holds(replica, replica.ends[0]):
            heapq.heappop(replica.ends)
        steps = min(most, replica.ends[0][0] - replica.step if replica.ends else 1)
        if self.options.kv_tokens:
            steps = min(steps, (self.options.kv_tokens - replica.kv) // max(len(replica.running), 1))
        return max(steps, 1)

    def _holds(self, replica: Replica, end: tuple[int, int, Job]) -> bool:
        """Whether an end that was planned still holds: the job was neither cancelled nor preempted since."""
        step, _, job = end
        return job in replica.running and step == job.joined_step + job.output - job.base - 1

    def _admit(self, replica: Replica) -> int:
        """Takes requests from the queue into `new`; the prompt tokens to compute for them."""
        o, todo = self.options, 0
        while replica.queue and len(replica.running) + len(replica.new) < o.batch_slots:
            job, busy = replica.queue[0], len(replica.running) + len(replica.new)
            needed = job.prompt + job.base
            if busy and o.kv_tokens and replica.kv + needed + busy + 1 > o.kv_tokens:
                break
            cached = max(min(replica.cache.hits(job.blocks) * o.prefix_block, job.prompt - 1), 0)
            if todo and todo + needed - cached > o.prefill_chunk:
                break
            replica.queue.popleft()
            replica.cache.add(job.blocks)
            if not job.preempted:
                job.cached = cached
            replica.kv += needed
            replica.new.append(job)
            todo += needed - cached
        return todo

    def _finish(self, replica: Replica, now_s: float) -> None:
        """The end of an iteration: a token for each, or as many as it had steps."""
        if replica.until_s is None:
            return
        replica.step += replica.steps
        replica.kv += replica.steps * len(replica.running) + len(replica.new)
        for job in replica.new:
            job.joined_step = replica.step
            replica.running[job] = None
            heapq.heappush(replica.ends, (replica.step + job.output - job.base - 1, next(self._order), job))
            if job.first_s is None:
                job.first_s = now_s
        replica.new = []
        while replica.ends and replica.ends[0][0] <= replica.step:
            end = heapq.heappop(replica.ends)
            if self._holds(replica, end):
                self._end(replica, end[2], now_s)
        if self._each_token:
            self._news += [(job, replica.tokens_of(job), now_s) for job in replica.running]
        while self.options.kv_tokens and replica.kv > self.options.kv_tokens and len(replica.running) > 1:
            self._preempt(replica)

    def _end(self, replica: Replica, job: Job, now_s: float) -> None:
        replica.kv -= job.prompt + job.output
        del replica.running[job]
        job.end_s, job.replica = now_s, None
        self._news.append((job, job.output, now_s))

    def _preempt(self, replica: Replica) -> None:
        """The request that was admitted last gives up its KV tokens, and is computed again later."""
        job, _ = replica.running.popitem()
        held = replica.tokens_of(job)
        replica.kv -= job.prompt + held
        job.base, job.preempted = held, job.preempted + 1
        self.preemptions += 1
        replica.queue.appendleft(job)

    def _start_replica(self, ready_s: float) -> None:
        o = self.options
        replica = Replica(ready_s, PrefixCache(o.prefix_cache_tokens // o.prefix_block))
        replica.ready = ready_s == -math.inf
        self.replicas.append(replica)

    def _make_ready(self, replica: Replica, now_s: float) -> None:
        """A new replica is ready: those that wait for a slot are handed out again."""
        replica.ready = True
        replica.idle_since_s = now_s
        waiting = [job for other in self.replicas for job in other.queue if not job.preempted]
        for other in self.replicas:
            other.queue = deque(job for job in other.queue if job.preempted)
        self._waiting.extend(sorted(waiting, key=lambda job: job.order))
        self._hand_out(now_s)

    def _hand_out(self, now_s: float) -> None:
        """Gives each waiting request to the ready replica with the fewest in flight."""
        ready = [replica for replica in self.replicas if replica.ready]
        while ready and self._waiting:
            job = self._waiting.popleft()
            job.replica = replica = min(ready, key=lambda r: r.in_flight)
            replica.queue.append(job)
        for replica in ready:
            if replica.until_s is None and replica.queue:
                self._begin(replica, now_s, now_s)

    def _scale_up(self, now_s: float) -> None:
        o = self.options
        while len(self.replicas) < o.replicas and self.in_flight > o.most_per_replica * len(self.replicas):
            self._start_replica(now_s + o.cold_start_s)
            self.most_replicas = max(self.most_replicas, len(self.replicas))
            if not o.cold_start_s:
                self._make_ready(self.replicas[-1], now_s)

    def _scale_down(self, now_s: float) -> None:
        """Stops replicas that had nothing to do for `scale_down_s`, the newest first."""
        o = self.options
        for replica in reversed(self.replicas[o.first_replicas :] if o.scale_down_s else []):
            if replica.ready and not replica.in_flight and now_s - replica.idle_since_s >= o.scale_down_s:
                self.replicas.remove(replica)
