"""The engine model in virtual time: its traffic, and the true capacity for an SLO from long runs.

Seconds of virtual time cost microseconds, so that the true capacity is known to a fraction of a percent, and a search over real
requests can be held against it.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .engine import Engine, Job
from .engine_options import EngineOptions
from .limiter import Limiter

DROPPED, MOST_IN_FLIGHT, BATCHES, RETRY_S = 0.05, 20_000, 20, 0.05
LIMITS = ("ttft_s", "tpot_s", "e2e_s")
Lengths = Callable[[random.Random], tuple[int, int]]


@dataclass(frozen=True)
class RequestMix:
    """The requests of a simulation: `lengths` draws (prompt, output) tokens; every prompt begins with the same
    `shared_prefix` tokens. A session has `turns` requests: each prompt holds the earlier turns, and comes `think_s`
    (exponential) after the last response."""

    lengths: Lengths
    shared_prefix: int = 0
    turns: int = 1
    think_s: float = 1.0


@dataclass
class Virtual:
    """An engine and its clients in virtual time. What the engine holds (caches, replicas, limiter) lasts from one call to the
    next; each call begins when `at_s` is, with nothing in flight."""

    options: EngineOptions
    traffic: RequestMix
    seed: int = 0
    at_s: float = 0.0
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(self.options, self.seed)
        self._limiter = Limiter(self.options.rate_limit, self.options.rate_burst)
        self._rng = random.Random(self.seed + 1)
        self._prompts = itertools.count(1)

    def open_loop(self, rate: float, n: int, stop: Callable[[int, int], bool] | None = None) -> list[Job]:
        """`n` sessions with Poisson starts at `rate` per second; their requests in the order of their arrival. A refused request
        has no `end_s`. `stop(arrived, in flight)` may end the arrivals."""
        at_s, starts = self.at_s, []
        for _ in range(n):
            at_s += self._rng.expovariate(rate)
            starts.append(at_s)
        return self._drive([(at, k, 0) for k, at in enumerate(starts)], math.inf, stop)

    def closed_loop(self, users: int, n: int) -> list[Job]:
        """`n` sessions by `users` clients, each of which begins the next one when it has ended one."""
        return self._drive([(self.at_s, k, 0) for k in range(min(users, n))], n, None)

    def _drive(
        self, due: list[tuple[float, int, int]], sessions: float, stop: Callable[[int, int], bool] | None
    ) -> list[Job]:
        """`due`: (time, session, turn), a heap. `sessions`: how many begin after one another; inf: all are in `due`."""
        engine, whose, history = self.engine, dict[Job, tuple[int, int]](), dict[int, list[int]]()
        jobs, begun = list[Job](), len(due)
        merges = math.isinf(sessions) and self.traffic.turns == 1  # or a response could bring an arrival in between
        merges = merges or self.options.replicas == 1
        heapq.heapify(due)
        while due or engine.in_flight:
            arrival, happens = due[0][0] if due else math.inf, engine.next_s
            if happens is not None and happens <= arrival:
                engine.advance(happens, arrival if merges else happens)
                self.at_s = happens
                ended = [(*whose.pop(job), at) for job, _, at in engine.take()]
            else:
                self.at_s, session, turn = heapq.heappop(due)
                if stop is not None and stop(len(jobs), engine.in_flight):
                    due.clear()
                    continue
                job = self._job(session, turn, history)
                job.arrived_s, job.session = self.at_s, session
                jobs.append(job)
                ended = []
                if self._limiter.offer(self.at_s) is None:
                    whose[job] = (session, turn)
                    engine.submit(job, self.at_s)
                else:
                    ended = [(session, turn, self.at_s + RETRY_S)]
            for session, turn, at in ended:
                if turn + 1 < self.traffic.turns:
                    think = self._rng.expovariate(1 / self.traffic.think_s) if self.traffic.think_s else 0.0
                    heapq.heappush(due, (at + think, session, turn + 1))
                elif begun < sessions and not math.isinf(sessions):
                    heapq.heappush(due, (at, begun, 0))
                    begun += 1
        return jobs

    def _job(self, session: int, turn: int, history: dict[int, list[int]]) -> Job:
        """The next request of a session. A prompt is a shared beginning, the session's earlier turns, and tokens of its own."""
        prompt, output = self.traffic.lengths(self._rng)
        shared = self.traffic.shared_prefix
        if self.traffic.turns == 1:
            return Job(shared + prompt, output, self._blocks(shared, [], shared + prompt))
        parts = history.setdefault(session, [])
        parts.append(prompt)
        job = Job(shared + sum(parts), output, self._blocks(shared, [session + 1, turn], shared + sum(parts)))
        parts.append(output)
        if turn + 1 >= self.traffic.turns:
            del history[session]
        return job

    def _blocks(self, shared: int, session: list[int], tokens: int) -> list[int]:
        """Hashes of the prompt's whole blocks: those of the shared beginning are everyone's, the others the session's."""
        if not self.options.prefix_cache_tokens:
            return []
        size = self.options.prefix_block
        mine = hash(("session", session[0], self.seed)) if session else hash(("prompt", next(self._prompts), self.seed))
        return [hash(("shared", k)) if (k + 1) * size <= shared else hash((mine, k)) for k in range(tokens // size)]


def kept_limits(job: Job, slo: Mapping[str, float]) -> bool:
    """Whether a request keeps each limit (`ttft_s`, `tpot_s`, `e2e_s`); a refused one keeps none."""
    if job.first_s is None or job.end_s is None:
        return False
    figures = {"ttft_s": job.first_s - job.arrived_s, "e2e_s": job.end_s - job.arrived_s}
    figures["tpot_s"] = (job.end_s - job.first_s) / (job.output - 1) if job.output > 1 else 0.0
    return all(figures[name] <= limit for name, limit in slo.items())


@dataclass(frozen=True)
class TrueCapacity:
    """The largest load at which the share of good requests is at least `goodput`, from runs of `requests` each: the last load that
    kept it and the first that did not, the share at the former and its standard error. `load` is None if no load kept it."""

    load: float | None
    above: float | None
    share: float | None
    share_error: float | None
    goodput: float
    requests: int
    users: bool
    tried: list[tuple[float, float]]

    def __str__(self) -> str:
        unit = "requests in flight" if self.users else "requests/s"
        if self.load is None or self.share is None or self.share_error is None:
            lowest = min(load for load, _ in self.tried)
            return f"No load down to {lowest:.3g} {unit} keeps the SLO for {self.goodput:.1%} of requests."
        above = "" if self.above is None else f"; at {self.above:.4g} it is too small"
        return (
            f"The largest load that keeps the SLO for {self.goodput:.1%} of requests: {self.load:.4g} {unit}. The share there is "
            f"{self.share:.2%} (standard error {self.share_error:.2%}, {self.requests:,} requests){above}."
        )


def true_capacity(
    options: EngineOptions,
    traffic: RequestMix,
    slo: Mapping[str, float],
    goodput: float = 0.95,
    users: bool = False,
    requests: int = 100_000,
    precision: float = 0.005,
    seed: int = 0,
) -> TrueCapacity:
    """The true capacity of an engine, by bisection to `precision` with `requests` in virtual time at each load.

    ValueError if there is no limit, or one that the model does not know. A server whose share does not fall with load has no
    such number; `tried` has the share at each load.
    """
    if unknown := sorted(set(slo) - set(LIMITS)) or (not slo and ["nothing"]):
        raise ValueError(f"the SLO names {', '.join(unknown)}; the limits are {', '.join(LIMITS)}, in s")
    tried: dict[float, tuple[float, float]] = {}

    def kept(load: float) -> bool:
        if load not in tried:
            tried[load] = share_at(options, traffic, slo, load, users, requests, seed)
        return tried[load][0] >= goodput

    low, high = _bracket(kept, 1.0 if users else _first_rate(options, traffic, seed), users)
    while low is not None and high is not None and (high - low > 1 if users else high / low > 1 + precision):
        middle = float((low + high) // 2) if users else math.sqrt(low * high)
        low, high = (middle, high) if kept(middle) else (low, middle)
    share, error = (None, None) if low is None else tried[low]
    return TrueCapacity(
        low, high, share, error, goodput, requests, users, sorted((load, found[0]) for load, found in tried.items())
    )


def _first_rate(options: EngineOptions, traffic: RequestMix, seed: int) -> float:
    alone = Virtual(options, traffic, seed).closed_loop(1, 20)
    took = sorted(job.end_s - job.arrived_s for job in alone if job.end_s is not None)
    return 1 / took[len(took) // 2] if took and took[len(took) // 2] else 1.0


def _bracket(kept: Callable[[float], bool], first: float, users: bool) -> tuple[float | None, float | None]:
    load, below = first, None
    for _ in range(30):
        if not kept(load):
            break
        below, load = load, load * 2
    if below is not None:
        return below, load
    for _ in range(0 if users else 7):
        if kept(load / 2):
            return load / 2, load
        load /= 2
    return None, load


def share_at(
    options: EngineOptions,
    traffic: RequestMix,
    slo: Mapping[str, float],
    load: float,
    users: bool = False,
    requests: int = 100_000,
    seed: int = 0,
) -> tuple[float, float]:
    """(share of good requests at a load, its standard error by batch means), after a beginning that is dropped. An overload that
    never ends is cut when 20,000 requests are in flight."""
    virtual, sessions = Virtual(options, traffic, seed), max(requests // traffic.turns, 1)
    jobs = (
        virtual.closed_loop(int(load), sessions)
        if users
        else virtual.open_loop(load, sessions, lambda _, in_flight: in_flight > MOST_IN_FLIGHT)
    )
    good = [float(kept_limits(job, slo)) for job in jobs[int(len(jobs) * DROPPED) :]]
    size = max(len(good) // BATCHES, 1)
    means = [sum(good[k * size : (k + 1) * size]) / size for k in range(min(BATCHES, len(good)))]
    mean = sum(good) / len(good)
    spread = math.sqrt(sum((m - mean) ** 2 for m in means) / max(len(means) - 1, 1) / len(means))
    return mean, spread
