"""A simulated model server whose truth is known, for `coverage.py`: continuous batching, blocking prefill, no clock of its own.

At most 32 requests are decoded at once; a step gives each of them a token and takes 15 + 0.25 x batch ms; a request that is
let in is prefilled first, while all others wait. Between two events (one comes, one ends) the batch does not change, so its
steps are taken in one leap: a request costs some microseconds here. Users of a closed loop ask again at once; an open loop's
arrivals are Poisson. `drift` slows everything by a factor that wanders (AR(1), sd 10%, 30 s), `stalls` stop it once a minute
for 2 s in the mean, `waves` makes the outputs equally long.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SLOTS, STEP_S, STEP_EACH_S, PREFILL_EACH_S = 32, 0.015, 0.00025, 0.0001
INPUT, OUTPUT = 300, 100
DRIFT_SD, DRIFT_S, STALL_EVERY_S, STALL_S = 0.10, 30.0, 60.0, 2.0
KINDS = ("clean", "waves", "drift", "stalls")
Array = np.ndarray[Any, np.dtype[np.float64]]


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
        self.factor, self.stalls = [1.0] * self.seconds, deque()
        if self.kind == "drift":
            keep = np.exp(-1 / self.drift_s)
            x = self.rng.normal(0, 1)
            for i, step in enumerate(self.rng.normal(0, np.sqrt(1 - keep**2), self.seconds)):
                self.factor[i] = max(1 + DRIFT_SD * x, 0.3)
                x = keep * x + step
        if self.kind == "stalls":
            at = np.cumsum(self.rng.exponential(STALL_EVERY_S, int(self.seconds / STALL_EVERY_S * 2) + 20))
            self.stalls.extend(zip(at, self.rng.exponential(STALL_S, len(at)), strict=True))

    def takes(self, now: float, work: float) -> float:
        """How long `work` seconds of a clean server take from `now` on."""
        took = work * self.factor[min(int(now), self.seconds - 1)]
        while self.stalls and self.stalls[0][0] < now + took:
            took += self.stalls.popleft()[1]
        return took


def simulate(world: World, n: int, *, users: int = 0, rate: float = 0.0, begin: float = 0.0) -> dict[str, Array]:
    """`n` requests of a closed loop of `users`, or of an open loop of `rate` a second, from second `begin` of the world: their
    start_s, ttft_s, tpot_s, e2e_s and tokens in start order."""
    rng, same = world.rng, world.kind == "waves"
    inputs = rng.uniform(0.9 if same else 0.5, 1.1 if same else 1.5, n) * INPUT
    tokens = [OUTPUT] * n if same else (2 + rng.exponential(OUTPUT - 2, n)).astype(int).tolist()
    comes = (begin + np.cumsum(rng.exponential(1 / rate, n))).tolist() if rate else [begin] * min(users, n)
    first, last = [0.0] * n, [0.0] * n
    now, steps, seen = begin, 0, 0
    waiting: deque[int] = deque()
    running: list[tuple[int, int]] = []  # (the step at which it ends, which)
    while seen < len(comes) or waiting or running:
        while seen < len(comes) and comes[seen] <= now:
            waiting.append(seen)
            seen += 1
        if waiting and len(running) < SLOTS:
            i = waiting.popleft()
            now += world.takes(now, inputs[i] * PREFILL_EACH_S + STEP_S)
            first[i] = now
            heapq.heappush(running, (steps + tokens[i] - 1, i))
            continue
        if not running:
            now = comes[seen]
            continue
        step = STEP_S + STEP_EACH_S * len(running)
        leap = running[0][0] - steps
        if seen < len(comes) and len(running) < SLOTS:
            leap = min(leap, max(int((comes[seen] - now) / step) + 1, 1))
        now += world.takes(now, leap * step)
        steps += leap
        while running and running[0][0] <= steps:
            last[heapq.heappop(running)[1]] = now
            if users and len(comes) < n:
                comes.append(now)
    start = np.array(comes)
    ttft, e2e, count = np.array(first) - start, np.array(last) - start, np.array(tokens, float)
    return {"start_s": start, "ttft_s": ttft, "e2e_s": e2e, "tpot_s": (e2e - ttft) / (count - 1), "tokens": count}
