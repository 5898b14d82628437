"""The emulator's engine model among the servers of the benchmark, also in conversations; and single requests of each server."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np

from basetenkit.emulator.engine_options import EngineOptions
from basetenkit.emulator.virtual import RequestMix, Virtual, kept_limits, true_capacity
from tests.benchmarks.capacity_servers import Array, Server, block, draw

TRUTH_REQUESTS = 30_000
BATCHED: dict[str, Any] = {"batch_slots": 32, "step_noise": 0.05}
ENGINES = {
    "engine": Server(2.0, 0.5, 0.04, engine=EngineOptions(**BATCHED)),
    "engine, preemption": Server(2.0, 0.5, 0.04, engine=EngineOptions(**BATCHED, kv_tokens=12_000)),
    "engine, closed loop": Server(2.0, 0.5, 0.025, users=True, engine=EngineOptions(**BATCHED)),
    "engine, autoscaler": Server(
        *(2.0, 0.5, 0.04),
        engine=EngineOptions(**BATCHED, replicas=2, warm_replicas=1, cold_start_s=60.0, scale_down_s=300.0),
    ),
    "engine, sessions": Server(
        *(2.0, 0.5, 0.04), turns=4, engine=EngineOptions(**BATCHED, prefix_cache_tokens=400_000)
    ),
}


def log_normal(rng: random.Random) -> tuple[int, int]:
    """(prompt, output) tokens, as `draw` draws them."""
    prompt, output = (math.floor(rng.lognormvariate(math.log(middle), 0.6)) for middle in (500.0, 120.0))
    return min(max(prompt, 16), 8000), min(max(output, 8), 1000)


def mix_of(server: Server) -> RequestMix:
    """The requests that are sent to the engine model."""
    return RequestMix(log_normal, turns=server.turns, shared_prefix=256 if server.turns > 1 else 0)


def engine_truth(server: Server, goodput: float) -> float | None:
    """The largest load whose true share is at least `goodput`; None if there is none."""
    assert server.engine is not None
    return true_capacity(server.engine, mix_of(server), server.slo, goodput, server.users, TRUTH_REQUESTS).load


def engine_block(virtual: Virtual, server: Server, n: int, load: float) -> tuple[Array, Array, Array, Array]:
    """The same from the emulator's engine model. Of sessions there is one entry per session: good is the share of its turns."""
    virtual.at_s += 1
    jobs = virtual.closed_loop(int(load), n) if server.users else virtual.open_loop(load, n)
    rows = [
        (j.session, j.arrived_s, j.first_s or 0.0, j.end_s or j.arrived_s, float(kept_limits(j, server.slo)))
        for j in jobs
    ]
    session, arrival, first, end, good = np.array(rows).T
    if server.turns == 1:
        return arrival, first, end, good
    begins = np.flatnonzero(np.diff(session[np.argsort(session, kind="stable")], prepend=-1))
    order = np.argsort(session, kind="stable")
    last = np.maximum.reduceat(end[order], begins)
    shares = np.add.reduceat(good[order], begins) / np.add.reduceat(np.ones(len(order)), begins)
    return arrival[order][begins], first[order][begins], last, shares


def single_times(
    server: Server, seed: int, n: int, t0: float, world: tuple[Array, Array], factor: float
) -> list[float]:
    """Seconds per token of `n` single requests, one after the other."""
    _, first, end, _ = block(replace(server, users=True, limited=False), seed, n, 1.0, t0, world, factor)
    tokens = draw(seed, n, server.lengths)[1] if not server.workers and not server.batched else np.full(n, 2.0)
    found: list[float] = ((end - first) / np.maximum(tokens - 1, 1))[first > 0].tolist()
    return [took for took in found if took > 0]
