"""Simulated servers for searches of a capacity, in virtual time: a loop over the decode steps of a server with continuous
batching, and a few that behave otherwise. With numba (`uv run --with numba ...`) a search takes a tenth of a second, without
it a minute.

A block is Poisson arrivals at a rate (or a number of users), on a server that has drained; drift, stalls and warm caches go on
between blocks.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from basetenkit.emulator.engine_options import EngineOptions

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])


def njit(**options: Any) -> Callable[[F], F]:
    """numba's compiler; without numba the same function, slower."""
    try:
        compiled: Callable[[F], F] = importlib.import_module("numba").njit(**options)
    except ImportError:
        return lambda function: function
    return compiled


SLOTS, STEP_S, PER_REQUEST_S, PREFILL_S, PREFILL_MOST, RING = 32, 0.015, 0.00025, 0.0001, 2048, 8192
LIMIT_PER_S, BURST = 4.0, 8.0


@dataclass(frozen=True, slots=True)
class Server:
    """`lengths`: 0 log-normal, 1 equal, 2 bimodal. `limited`: a limiter of 4/s; `stalls`: a second; `drift`: (sd, correlation
    time in s); `workers`: M/D/K instead of batches; `light_s`: E2E alone; `ttft_s`, `tpot_s`: the limits; `users`: a closed
    loop; `batched`: it waits for company; `sticky`: after an overload it stays so many times as slow; `unknown`: share of
    requests without a figure."""

    light_s: float
    ttft_s: float
    tpot_s: float
    lengths: int = 0
    limited: bool = False
    stalls: float = 0.0
    drift: tuple[float, float] = (0.0, 1.0)
    workers: int = 0
    users: bool = False
    batched: bool = False
    sticky: float = 1.0
    unknown: float = 0.0
    engine: EngineOptions | None = None
    turns: int = 1

    @property
    def slo(self) -> dict[str, float]:
        return {"ttft_s": self.ttft_s, "tpot_s": self.tpot_s}


SERVERS = {
    "clean": Server(2.0, 0.5, 0.04),
    "equal lengths": Server(2.0, 0.5, 0.04, lengths=1),
    "drift 30 s": Server(2.0, 0.5, 0.04, drift=(0.1, 30.0)),
    "bimodal lengths": Server(3.0, 1.0, 0.05, lengths=2),
    "limiter": Server(2.0, 0.5, 0.04, limited=True),
    "M/D/4": Server(0.12, 0.2, 9.0, workers=4),
    "stalls": Server(2.0, 1.0, 9.0, stalls=1 / 60),
    "slow drift 300 s": Server(2.0, 0.5, 0.04, drift=(0.1, 300.0)),
    "closed loop": Server(2.0, 0.5, 0.019, users=True),
    "closed loop, equal": Server(2.0, 0.5, 0.019, lengths=1, users=True),
    "2% undetermined": Server(2.0, 0.5, 0.04, unknown=0.02),
    "hysteresis": Server(2.0, 0.5, 0.04, sticky=1.25),
    "batching gains": Server(0.5, 1.2, 9.0, batched=True),
    "nothing is kept": Server(2.0, 0.01, 0.04),
}


@njit(cache=True)
def load_of_time(seed: int, seconds: int, sd: float, tau: float) -> Array:
    """A factor on each second's step times: AR(1), log-normal, with mean 1."""
    np.random.seed(seed)
    out = np.ones(max(seconds, 1))
    if sd > 0:
        keep = np.exp(-1 / tau)
        fresh = np.sqrt(1 - keep * keep) * sd
        x = sd * np.random.standard_normal()
        for i in range(seconds):
            out[i] = np.exp(x - 0.5 * sd * sd)
            x = keep * x + fresh * np.random.standard_normal()
    return out


@njit(cache=True)
def stalls_of_time(seed: int, seconds: float, per_s: float) -> Array:
    """(start, length) of stalls of 2 s on average."""
    np.random.seed(seed)
    n = int(seconds * per_s * 1.3) + 1
    out = np.full((n, 2), 1e18)
    t = 0.0
    for i in range(n):
        if per_s > 0:
            t += -np.log(1 - np.random.random()) / per_s
            out[i, 0] = t
            out[i, 1] = -np.log(1 - np.random.random()) * 2.0
    return out


@njit(cache=True)
def draw(seed: int, n: int, lengths: int) -> tuple[Array, Array]:
    """(input, output) tokens."""
    np.random.seed(seed + 77)
    inputs, outputs = np.empty(n), np.empty(n)
    for i in range(n):
        if lengths == 0:
            outputs[i] = min(max(np.floor(np.exp(np.log(120.0) + 0.6 * np.random.standard_normal())), 8.0), 1000.0)
            inputs[i] = min(max(np.floor(np.exp(np.log(500.0) + 0.6 * np.random.standard_normal())), 16.0), 8000.0)
        elif lengths == 1:
            outputs[i], inputs[i] = 128.0, 512.0
        elif np.random.random() < 0.2:
            outputs[i], inputs[i] = 800.0, 3000.0
        else:
            outputs[i], inputs[i] = 20.0, 200.0
    return inputs, outputs


@njit(cache=True)
def arrivals(rate: float, users: int, t0: float, refused: Array) -> tuple[Array, Array]:
    """(arrival, end) as far as they are known beforehand; numbers from the seed of the caller."""
    n = len(refused)
    arrival, end, t = np.full(n, 1e18), np.zeros(n), t0
    if users > 0:
        for i in range(min(users, n)):
            arrival[i] = t0
        return arrival, end
    for i in range(n):
        t += -np.log(1 - np.random.random()) / rate
        arrival[i] = t
        if refused[i]:
            end[i] = t
    return arrival, end


@njit(cache=True)
def step_time(decoding: int, prompt: float) -> float:
    """Seconds of one iteration: a decode step of so many requests, and the prefill of so many prompt tokens."""
    took = 0.0
    if decoding > 0:
        took = (STEP_S + PER_REQUEST_S * decoding) * (1 + 0.05 * np.random.standard_normal())
    return took + (PREFILL_S * prompt + 0.003 if prompt > 0 else 0.0)


@njit(cache=True)
def first_stall(stalls: Array, at: int, t: float) -> int:
    """The first stall from `at` on that is not over at time `t`."""
    while at < len(stalls) and stalls[at, 0] + stalls[at, 1] < t:
        at += 1
    return at


@njit(cache=True)
def enter(new: Array, t: float, step: int, outputs: Array, first: Array, head: Array, follow: Array) -> None:
    """Notes the first tokens of new requests, and at which step each one ends."""
    for i in new:
        first[i] = t
        slot = (step + int(outputs[i]) - 1) % RING
        follow[i] = head[slot]
        head[slot] = i


@njit(cache=True)
def batch_server(
    seed: int,
    rate: float,
    users: int,
    t0: float,
    inputs: Array,
    outputs: Array,
    refused: Array,
    load: Array,
    stalls: Array,
    factor: float,
) -> tuple[Array, Array, Array]:
    """(arrival, first token or 0, end) of each request: an iteration is a decode step. `rate` per s, or `users` in flight."""
    np.random.seed(seed)
    n, first = len(inputs), np.zeros(len(inputs))
    arrival, end = arrivals(rate, users, t0, refused)
    head, follow = np.full(RING, -1), np.full(n, -1)
    taken = np.empty(SLOTS, np.int64)
    next_one, running, step, t, begun = 0, 0, 0, t0, min(users, n)
    due = first_stall(stalls, 0, t)
    while True:
        while next_one < n and refused[next_one]:
            next_one += 1
        if running == 0:
            if next_one >= n:
                break
            if arrival[next_one] > t:
                t = arrival[next_one]
                due = first_stall(stalls, due, t)
        prompt, new, decoding = 0.0, 0, running
        while running < SLOTS and next_one < n and arrival[next_one] <= t:
            if refused[next_one]:
                next_one += 1
                continue
            if prompt > 0 and prompt + inputs[next_one] > PREFILL_MOST:
                break
            prompt += inputs[next_one]
            running += 1
            taken[new] = next_one
            new += 1
            next_one += 1
        took = step_time(decoding, prompt)
        took *= load[int(t) % len(load)] * factor
        if due < len(stalls) and t + took > stalls[due, 0]:
            took += max(0.0, stalls[due, 1] - max(0.0, t - stalls[due, 0]))
            due += 1
        t += took
        step += 1
        enter(taken[:new], t, step, outputs, first, head, follow)
        slot = step % RING
        i = head[slot]
        head[slot] = -1
        while i >= 0:
            end[i] = t
            running -= 1
            if users > 0 and begun < n:
                arrival[begun] = t
                begun += 1
            i = follow[i]
    return arrival, first, end


@njit(cache=True)
def fixed_server(seed: int, rate: float, n: int, t0: float, workers: int) -> tuple[Array, Array, Array]:
    """M/D/K: each request takes 0.12 s on one of `workers`."""
    np.random.seed(seed)
    arrival, first, end, free = np.empty(n), np.empty(n), np.empty(n), np.full(workers, t0)
    t = t0
    for i in range(n):
        t += -np.log(1 - np.random.random()) / rate
        arrival[i] = t
        j = np.argmin(free)
        start = max(t, free[j])
        free[j] = start + 0.12
        first[i], end[i] = start + 0.02, start + 0.12
    return arrival, first, end


@njit(cache=True)
def gathering_server(seed: int, rate: float, n: int, t0: float) -> tuple[Array, Array, Array]:
    """It waits for 8 requests, or for 1 s, and then serves all that came at once, at most 16, in 0.4 s: slow when there is little
    to do, quick with more, and too slow with more still."""
    np.random.seed(seed)
    arrival, first, end = np.empty(n), np.empty(n), np.empty(n)
    t = t0
    for i in range(n):
        t += -np.log(1 - np.random.random()) / rate
        arrival[i] = t
    i, free = 0, t0
    while i < n:
        start = arrival[i] + 1.0
        if i + 7 < n:
            start = min(start, arrival[i + 7])
        start = max(start, free)
        j = i
        while j < n and arrival[j] <= start and j - i < 16:
            j += 1
        free = start + 0.4
        for k in range(i, j):
            first[k], end[k] = free, free
        i = j
    return arrival, first, end


def block(
    server: Server, seed: int, n: int, load: float, t0: float, world: tuple[Array, Array], factor: float = 1.0
) -> tuple[Array, Array, Array, Array]:
    """(arrival, first, end, good) of `n` requests from `t0` s on; good is NaN where it cannot be known."""
    inputs, outputs = draw(seed, n, server.lengths)
    if server.workers:
        arrival, first, end = fixed_server(seed, load, n, t0, server.workers)
    elif server.batched:
        arrival, first, end = gathering_server(seed, load, n, t0)
    else:
        refused = np.zeros(n, np.bool_)
        users = int(load) if server.users else 0
        if server.limited:
            refused = _refused(seed, load, n)
        arrival, first, end = batch_server(seed, load, users, t0, inputs, outputs, refused, *world, factor)
    good = (first > 0) & (first - arrival <= server.ttft_s)
    good &= (end - first) <= server.tpot_s * np.maximum(outputs - 1, 1)
    found = good.astype(float)
    if server.unknown:
        found[np.random.default_rng(seed).random(n) < server.unknown] = np.nan
    return arrival, first, end, found


def _refused(seed: int, rate: float, n: int) -> Array:
    """The requests that a token bucket refuses, as marks; its arrivals are those of `batch_server` for the same seed."""
    refused: Array = _bucket(seed, rate, n)
    return refused


@njit(cache=True)
def _bucket(seed: int, rate: float, n: int) -> Array:
    np.random.seed(seed)
    out, tokens = np.zeros(n, np.bool_), BURST
    for i in range(n):
        tokens = min(BURST, tokens - np.log(1 - np.random.random()) / rate * LIMIT_PER_S)
        if tokens >= 1:
            tokens -= 1
        else:
            out[i] = True
    return out


def world_of(server: Server, seed: int, seconds: int = 40_000) -> tuple[Array, Array]:
    """What goes on at the server beside its requests: its load by the second, and its stalls."""
    load = load_of_time(seed, seconds if server.drift[0] else 1, *server.drift)
    return load, stalls_of_time(seed + 7, float(seconds), server.stalls)


def share(server: Server, load: float, n: int, seed: int = 1) -> float:
    """The true share of good requests at a load."""
    seconds = int(n / (load if not server.users else load / server.light_s) * 2) + 1000
    *_, good = block(server, seed, n, load, 0.0, world_of(server, seed, seconds))
    return float(np.nanmean(good[2000:]))


def truth(server: Server, goodput: float, n: int = 400_000) -> float | None:
    """The largest load whose true share is at least `goodput`; None if there is none."""
    if server.users:
        level = 1
        while level < 64 and share(server, level + 1, n) >= goodput:
            level += 1
        return float(level) if share(server, level, n) >= goodput else None
    low, high = 0.2 / server.light_s, 16 / server.light_s
    if share(server, low, n) < goodput:
        return None
    for _ in range(12):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if share(server, middle, n) >= goodput else (low, middle)
    return float((low * high) ** 0.5)
