"""A simulated model server whose truth is known, and the load that our engine puts on it, for `coverage.py`; no clock of its own.

The server: continuous batching with blocking prefill. At most 32 requests are decoded at once; a step gives each of them a token
and takes 15 + 0.25 x batch ms; a request that is let in is prefilled first, while all others wait. Between two events (one
comes, one ends) the batch does not change, so its steps are taken in one leap: a request costs some microseconds here. `drift`
slows everything by a factor that wanders (AR(1), sd 10%, 30 s), `slows` by one that grows by 20% in 260 s, `stalls` stop it once a
minute for 2 s in the mean.

The load: steady, as docs/concepts/steady.md says. Lengths are drawn by the product's own scenario. A closed
loop whose lengths are known
begins with requests drawn in proportion to their length and cut at a random place, a few at a time, as
`engine.opening` lets them; one
whose lengths are not known begins staggered; an open loop begins with a ramp by time. All go on until the last measured request
has ended.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from basetenkit.config.scenarios import parse_scenario
from basetenkit.loadgen.opening import is_full, patience, room

from .output_lengths import EXPONENTIAL, openings

SLOTS, STEP_S, STEP_EACH_S, PREFILL_EACH_S = 32, 0.015, 0.00025, 0.0001
DRIFT_SD, DRIFT_S, STALL_EVERY_S, STALL_S = 0.10, 30.0, 60.0, 2.0
SLOWER, SLOWER_S = 0.20, 260.0
TURNS, GROWS = 8, 400
Array = np.ndarray[Any, np.dtype[np.float64]]


def capacity(scenario: str = EXPONENTIAL) -> float:
    """Requests a second that a clean server ends if it is never idle."""
    inputs, tokens = (float(mean or 0) for mean in parse_scenario(scenario).mean_lengths())
    return 1 / (inputs * PREFILL_EACH_S + STEP_S + (tokens - 1) * (STEP_S / SLOTS + STEP_EACH_S))


@dataclass
class World:
    """What happens to a server whatever the requests: its speed, second by second, and when it stalls."""

    kind: str
    seconds: int
    rng: np.random.Generator
    drift_s: float = DRIFT_S
    slots: int = SLOTS
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
        if self.kind == "slows":
            self.factor = [1 + SLOWER * second / SLOWER_S for second in range(self.seconds)]
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
    """A load: `n` measured requests of a closed loop of `users`, or of an open loop of `rate` per second. `known`: whether the
    lengths of `scenario` are known beforehand. Not `steady`: all at once, without a ramp and a cooldown."""

    rng: np.random.Generator
    n: int
    users: int = 0
    rate: float = 0.0
    scenario: str = EXPONENTIAL
    known: bool = True
    talks: bool = False
    steady: bool = True
    begin: float = 0.0
    stop_s: float = math.inf

    def __post_init__(self) -> None:
        self.random = Random(int(self.rng.integers(1 << 62)))
        self.shapes = parse_scenario(self.scenario)
        self.known &= not self.talks
        self.comes: list[float] = []
        self.inputs: list[float] = []
        self.tokens: list[int] = []
        self.phase: list[str] = []
        self.opens: list[bool] = []  # whether it is a user's first request, or a turn of their first conversation
        self.turn: list[int] = []
        self.left: list[int] = []  # turns that follow in its conversation
        self.taken = self.ended = 0
        self.longest, self.oldest = 0.0, 0
        self.left_again: set[int] = set()  # which of those after the oldest in flight have ended
        self.settled = not self.steady
        self.begun = 0  # users
        self.starts: deque[float] = deque()  # when further users begin
        self.slowest, self.queued = 0.0, False
        self.mute: dict[int, None] = {}  # first requests of users that have had no token yet, in order
        self.open_yet: set[int] = set()  # and those that have not ended
        self.turns_begun = self.open_talks = 0
        self.staggers = self.steady and not self.known and self.users > 1
        if not self.users:
            self._due(self.begin)
        elif self.steady and self.known:
            self._further_users(self.begin)
        elif self.staggers:
            self._user(self.begin)
        else:
            for _ in range(self.users):
                self._user(self.begin)

    @property
    def done(self) -> bool:
        return self.ended >= self.n

    @property
    def next_s(self) -> float:
        """When something is due that no event of the server brings about."""
        return min(self.starts[0] if self.starts else math.inf, self._patience_ends)

    @property
    def _patience_ends(self) -> float:
        if self.begun >= self.users or not (self.mute and self.slowest):
            return math.inf
        return self.comes[next(iter(self.mute))] + patience(self.slowest)

    def tick(self, now: float) -> None:
        while self.starts and self.starts[0] <= now:
            self._user(self.starts.popleft())
        if now >= self._patience_ends:
            self.queued = is_full(self.begun - len(self.mute))
            for _ in range(self.users - self.begun):
                self._user(now)

    def _further_users(self, now: float) -> None:
        for _ in range(min(room(self.users, len(self.mute)), self.users - self.begun)):
            self._user(now)

    def _user(self, now: float) -> None:
        self.begun += 1
        self._take(now, opens=True)
        self.mute[len(self.comes) - 1] = None
        self.open_yet.add(len(self.comes) - 1)
        self.open_talks += 1

    def _due(self, now: float) -> None:
        self._take(now + self.rng.exponential(1 / self.rate), phase="due")

    def _has_settled(self, now: float) -> bool:
        if not self.users:
            longest = max(self.longest, now - self._oldest(now))
            return len(self.comes) >= self.n // 2 or bool(self.longest and now - self.begin >= 2 * longest)
        if self.begun < self.users or (self.talks and self.open_talks and self.turns_begun < 2 * self.users * TURNS):
            return False
        return not self.open_yet or (len(self.comes) >= 3 * self.users and not self.mute)

    def _phase(self, now: float) -> str:
        self.settled = self.settled or self._has_settled(now)
        return "ramp" if not self.settled else "measured" if self.taken < self.n else "cooldown"

    def _shape(self, opens: bool) -> tuple[int, int]:
        if not (opens and self.steady and self.known and not self.queued):
            shape = self.shapes.sample(self.random)
            return shape.input_tokens or 1, shape.output_tokens or 1
        shapes, weights = openings(self.scenario)
        (shape,) = self.random.choices(shapes, cum_weights=weights)
        return shape.input_tokens or 1, self.random.randint(1, shape.output_tokens or 1)

    def _take(
        self, now: float, opens: bool = False, phase: str | None = None, turn: int = 1, left: int | None = None
    ) -> None:
        inputs, tokens = self._shape(opens)
        if left is None:
            left = 0
            if self.talks:
                left = (math.ceil(self.rng.random() * TURNS) if opens and self.steady else TURNS) - 1
            phase = phase or self._phase(now)
            if phase == "measured":
                left = min(left, self.n - self.taken - 1)
            self.turns_begun += left + 1
        phase = phase or "ramp"
        self.taken += phase == "measured"
        self.comes.append(now)
        self.opens.append(opens)
        self.inputs.append(inputs + (turn - 1) * GROWS * self.talks)
        self.tokens.append(tokens)
        self.turn.append(turn)
        self.left.append(left)
        self.phase.append(phase)

    def came(self, i: int, now: float) -> None:
        """Request `i` is taken up."""
        if self.rate:
            self.phase[i] = self._phase(self.comes[i])
            self.taken += self.phase[i] == "measured"
            if self.steady or self.taken < self.n:
                self._due(self.comes[i])

    def _oldest(self, now: float) -> float:
        """When the oldest request in flight came."""
        while self.oldest in self.left_again:
            self.left_again.discard(self.oldest)
            self.oldest += 1
        return min(self.comes[self.oldest], now) if self.oldest < len(self.comes) else now

    def first_token(self, i: int, now: float) -> None:
        if i in self.mute:
            del self.mute[i]
            self.slowest = max(self.slowest, now - self.comes[i])
            if self.known and self.steady:
                self._further_users(now)

    def finished(self, i: int, now: float) -> None:
        self.ended += self.phase[i] == "measured"
        self.open_yet.discard(i)
        self.left_again.add(i)
        self.longest = max(self.longest, now - self.comes[i])
        if self.staggers:
            self.staggers = False
            self.starts.extend(now + (now - self.begin) * k / self.users for k in range(1, self.users))
        self.open_talks -= self.opens[i] and not self.left[i]
        if self.users and (self.steady or len(self.comes) < self.n):
            if self.left[i] > 0:
                opens = self.opens[i]
                self._take(now, opens, self.phase[i], self.turn[i] + 1, self.left[i] - 1)
            else:
                self._take(now)


class Server:
    """The requests of a load from its queue over its batch to their ends."""

    def __init__(self, world: World, load: Load) -> None:
        self.world, self.load = world, load
        self.now, self.steps, self.seen = load.begin, 0, 0
        self.first: dict[int, float] = {}
        self.last: dict[int, float] = {}
        self.begins: dict[int, int] = {}
        self.waiting: deque[int] = deque()
        self.running: list[tuple[int, int]] = []  # (the step at which it ends, which)
        self.leaps: list[tuple[int, int, float, float]] = []

    def event(self) -> bool:
        """On to the next thing that happens; False if nothing will."""
        load = self.load
        if load.next_s <= self.now:
            load.tick(self.now)
        while self.seen < len(load.comes) and load.comes[self.seen] <= self.now:
            self.waiting.append(self.seen)
            load.came(self.seen, self.now)
            self.seen += 1
        if self.waiting and len(self.running) < self.world.slots:
            self._let_in(self.waiting.popleft())
            return True
        comes_s = min(load.comes[self.seen] if self.seen < len(load.comes) else math.inf, load.next_s)
        if self.running:
            self._leap(comes_s if len(self.running) < self.world.slots else load.next_s)
            return True
        self.now = comes_s if math.isfinite(comes_s) else self.now
        return math.isfinite(comes_s)

    def _let_in(self, i: int) -> None:
        load, tokens = self.load, self.load.tokens[i]
        self.now += self.world.takes(self.now, load.inputs[i] * PREFILL_EACH_S + STEP_S)
        self.first[i], self.begins[i] = self.now, self.steps
        load.first_token(i, self.now)
        if tokens < 2:
            self.last[i] = self.now
            load.finished(i, self.now)
        else:
            heapq.heappush(self.running, (self.steps + tokens - 1, i))

    def _leap(self, at_most_s: float) -> None:
        """All steps up to the next end, or to the first one after `at_most_s`."""
        step = STEP_S + STEP_EACH_S * len(self.running)
        leap = self.running[0][0] - self.steps
        if math.isfinite(at_most_s):
            leap = min(leap, max(int((at_most_s - self.now) / step) + 1, 1))
        took = self.world.takes(self.now, leap * step)
        self.leaps.append((self.steps, self.steps + leap, self.now, self.now + took))
        self.now += took
        self.steps += leap
        while self.running and self.running[0][0] <= self.steps:
            i = heapq.heappop(self.running)[1]
            self.last[i] = self.now
            self.load.finished(i, self.now)


def simulate(world: World, load: Load) -> dict[str, Any]:
    """Every request in the order in which it was taken up: start_s, first_s, last_s (inf if it was cut), tokens, phase, turn;
    `cut_s`; and `leaps` with `begins`, of which `arrivals` makes the time of each token."""
    server = Server(world, load)
    while not load.done and server.now < load.stop_s and server.event():
        pass
    n, cut = server.seen, min(server.now, load.stop_s)
    ended = np.array([server.last.get(i, math.inf) for i in range(n)])
    ended[ended > cut] = math.inf
    return {
        "start_s": np.array(load.comes[:n]),
        "first_s": np.array([server.first.get(i, math.inf) for i in range(n)]),
        "last_s": ended,
        "begins": np.array([server.begins.get(i, -1) for i in range(n)]),
        "tokens": np.array(load.tokens[:n]),
        "phase": np.array(load.phase[:n]),
        "turn": np.array(load.turn[:n]),
        "inputs": np.array(load.inputs[:n]),
        "scenario": load.scenario if load.known else None,
        "cut_s": cut,
        "leaps": np.array(server.leaps).reshape(-1, 4),
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
