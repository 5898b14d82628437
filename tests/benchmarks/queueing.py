"""A simulated model server whose truth is known, and the load that our engine puts on it, for `coverage.py`; no clock of its own.

The server: continuous batching with blocking prefill. At most 32 requests are decoded at once; a step gives each of them a token
and takes 15 + 0.25 x batch ms; a request that is let in is prefilled first, while all others wait. Between two events (one
comes, one ends) the batch does not change, so its steps are taken in one leap: a request costs some microseconds here. `drift`
slows everything by a factor that wanders (AR(1), sd 10%, 30 s), `stalls` stop it once a minute for 2 s in the mean.

The load: steady, as docs/scheduling.md says. A closed loop begins with requests drawn in proportion to their length and cut at
a random place; an open loop begins with a ramp by time; both go on until the last measured request has ended.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SLOTS, STEP_S, STEP_EACH_S, PREFILL_EACH_S = 32, 0.015, 0.00025, 0.0001
INPUT, OUTPUT = 300, 100
DRIFT_SD, DRIFT_S, STALL_EVERY_S, STALL_S = 0.10, 30.0, 60.0, 2.0
TURNS, GROWS = 8, 400
Array = np.ndarray[Any, np.dtype[np.float64]]
Draw = Callable[[np.random.Generator], int]


def exponential(rng: np.random.Generator) -> int:
    return int(2 + rng.exponential(OUTPUT - 2))


def bimodal(rng: np.random.Generator) -> int:
    return 20 if rng.random() < 0.8 else 800


def heavy(rng: np.random.Generator) -> int:
    """Pareto 1.5 with a mean of 100, cut at 8,000 as a context is."""
    return min(int(2 + 33 * (1 + rng.pareto(1.5))), 8000)


def equal(rng: np.random.Generator) -> int:
    return OUTPUT


def near(rng: np.random.Generator) -> int:
    return int(rng.integers(90, 111))


@dataclass
class World:
    """What happens to a server whoever asks: its speed, second by second, and when it stalls."""

    kind: str
    seconds: int
    rng: np.random.Generator
    drift_s: float = DRIFT_S
    factor: list[float] = field(init=False)
    stalls: deque[tuple[float, float]] = field(init=False)

    def __post_init__(self) -> None:
        self.factor, self.stalls = [], deque()
        if self.kind == "drift":
            keep = np.exp(-1 / self.drift_s)
            x = self.rng.normal(0, 1)
            for step in self.rng.normal(0, np.sqrt(1 - keep**2), self.seconds).tolist():
                self.factor.append(max(1 + DRIFT_SD * x, 0.3))
                x = keep * x + step
        if self.kind == "stalls":
            at = np.cumsum(self.rng.exponential(STALL_EVERY_S, int(self.seconds / STALL_EVERY_S * 2) + 20))
            self.stalls.extend(zip(at, self.rng.exponential(STALL_S, len(at)), strict=True))

    def takes(self, now: float, work: float) -> float:
        """How long `work` seconds of a clean server take from `now` on."""
        took = work * self.factor[int(now) % self.seconds] if self.factor else work
        while self.stalls and self.stalls[0][0] < now + took:
            took += self.stalls.popleft()[1]
        return took


@dataclass
class Load:
    """What asks: `n` measured requests of a closed loop of `users`, or of an open loop of `rate` a second; not `steady`: all at
    once from an empty server, without a ramp and a cooldown."""

    rng: np.random.Generator
    n: int
    users: int = 0
    rate: float = 0.0
    draw: Draw = exponential
    talks: bool = False
    steady: bool = True
    begin: float = 0.0
    stop_s: float = math.inf
    spread: float = 0.5
    ramp_times: float = 2.0

    def __post_init__(self) -> None:
        self.comes: list[float] = []
        self.inputs: list[float] = []
        self.tokens: list[int] = []
        self.phase: list[str] = []
        self.first: list[bool] = []  # whether it is a user's first request, or a turn of their first conversation
        self.turn: list[int] = []
        self.left: list[int] = []  # turns that follow in its conversation
        self.taken = self.ended = 0
        self.longest, self.oldest = 0.0, 0
        self.left_again: set[int] = set()  # which of those after the oldest in flight have ended
        self.waiting_first = self.users if self.steady else 0
        if self.users:
            for _ in range(self.users):
                self._take(self.begin, first=True)
        else:
            self._due(self.begin)

    @property
    def done(self) -> bool:
        return self.ended >= self.n

    def _due(self, now: float) -> None:
        self._take(now + self.rng.exponential(1 / self.rate), phase="due")

    def _phase(self, now: float) -> str:
        if not self.steady:
            ramp = False
        elif self.users:
            ramp = self.waiting_first > 0
        else:
            longest = max(self.longest, now - self._oldest(now))
            ramp = self.taken == 0 and (not self.longest or now - self.begin < self.ramp_times * longest)
        phase = "ramp" if ramp else "measured" if self.taken < self.n else "cooldown"
        self.taken += phase == "measured"
        return phase

    def _take(
        self, now: float, first: bool = False, phase: str | None = None, turn: int = 1, left: int | None = None
    ) -> None:
        rng, tokens = self.rng, self.draw(self.rng)
        if first and self.steady and not self.talks:
            # in proportion to its length: of many, one by its weight; then cut at a random place
            many = [self.draw(rng) for _ in range(400)]
            at = np.searchsorted(np.cumsum(many), rng.random() * sum(many))
            tokens = max(math.ceil(rng.random() * many[int(at)]), 1)
        if left is None:
            left = TURNS - 1 if self.talks else 0
            if first and self.talks and self.steady:
                left = math.ceil(rng.random() * TURNS) - 1
        self.comes.append(now)
        self.first.append(first)
        self.inputs.append(rng.uniform(1 - self.spread, 1 + self.spread) * INPUT + (turn - 1) * GROWS * self.talks)
        self.tokens.append(tokens)
        self.turn.append(turn)
        self.left.append(left)
        self.phase.append(phase or self._phase(now))

    def came(self, i: int, now: float) -> None:
        """Request `i` is taken up."""
        if self.rate:
            self.phase[i] = self._phase(self.comes[i])
            self._due(self.comes[i])

    def _oldest(self, now: float) -> float:
        """When the oldest request in flight came."""
        while self.oldest in self.left_again:
            self.left_again.discard(self.oldest)
            self.oldest += 1
        return min(self.comes[self.oldest], now) if self.oldest < len(self.comes) else now

    def finished(self, i: int, now: float) -> None:
        self.ended += self.phase[i] == "measured"
        self.waiting_first -= self.steady and self.first[i] and not self.left[i]
        self.left_again.add(i)
        self.longest = max(self.longest, now - self.comes[i])
        if self.users and (self.steady or len(self.comes) < self.n):
            more = self.left[i] > 0
            self._take(
                now,
                first=more and self.first[i],
                turn=self.turn[i] + 1 if more else 1,
                left=self.left[i] - 1 if more else None,
            )


def simulate(world: World, load: Load) -> dict[str, Any]:
    """Every request in the order in which it was taken up: start_s, first_s, last_s (inf if it was cut), tokens, phase, turn;
    `cut_s`; and `leaps` with `steps`, of which `arrivals` makes the time of each token."""
    comes, inputs, tokens = load.comes, load.inputs, load.tokens
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    begins: dict[int, int] = {}
    now, steps, seen = load.begin, 0, 0
    waiting: deque[int] = deque()
    running: list[tuple[int, int]] = []  # (the step at which it ends, which)
    leaps: list[tuple[int, int, float, float]] = []
    while not load.done and now < load.stop_s:
        while seen < len(comes) and comes[seen] <= now:
            waiting.append(seen)
            load.came(seen, now)
            seen += 1
        if waiting and len(running) < SLOTS:
            i = waiting.popleft()
            now += world.takes(now, inputs[i] * PREFILL_EACH_S + STEP_S)
            first[i], begins[i] = now, steps
            if tokens[i] < 2:
                last[i] = now
                load.finished(i, now)
            else:
                heapq.heappush(running, (steps + tokens[i] - 1, i))
            continue
        if not running:
            if seen >= len(comes):
                break
            now = comes[seen]
            continue
        step = STEP_S + STEP_EACH_S * len(running)
        leap = running[0][0] - steps
        if seen < len(comes) and len(running) < SLOTS:
            leap = min(leap, max(int((comes[seen] - now) / step) + 1, 1))
        took = world.takes(now, leap * step)
        leaps.append((steps, steps + leap, now, now + took))
        now += took
        steps += leap
        while running and running[0][0] <= steps:
            i = heapq.heappop(running)[1]
            last[i] = now
            load.finished(i, now)
    n, cut = seen, min(now, load.stop_s)
    ended = np.array([last.get(i, math.inf) for i in range(n)])
    ended[ended > cut] = math.inf
    return {
        "start_s": np.array(comes[:n]),
        "first_s": np.array([first.get(i, math.inf) for i in range(n)]),
        "last_s": ended,
        "begins": np.array([begins.get(i, -1) for i in range(n)]),
        "tokens": np.array(tokens[:n]),
        "phase": np.array(load.phase[:n]),
        "turn": np.array(load.turn[:n]),
        "inputs": np.array(inputs[:n]),
        "cut_s": cut,
        "leaps": np.array(leaps).reshape(-1, 4),
    }


def arrivals(run: dict[str, Any]) -> tuple[np.ndarray[Any, Any], Array]:
    """(which request, when) of each token that came until the end, request by request."""
    begun = np.nonzero(run["begins"] >= 0)[0]
    counts = run["tokens"][begun]
    which = np.repeat(begun, counts)
    index = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    leaps = run["leaps"]
    step = run["begins"][which] + index
    if len(leaps):
        at = np.minimum(np.searchsorted(leaps[:, 1], step, side="left"), len(leaps) - 1)
        s0, s1, t0, t1 = leaps[at].T
        when = np.where(index == 0, run["first_s"][which], t0 + (step - s0) / (s1 - s0) * (t1 - t0))
        came = (step <= leaps[-1, 1]) & (when <= run["cut_s"] + 1e-9)
    else:
        when, came = run["first_s"][which], index == 0
    return which[came], when[came]
