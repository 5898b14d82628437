"""The options of the emulator's engine model, and the numbers that they must be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """A server with continuous batching. Off while `batch_slots` is 0.

    An iteration of a replica is a decode step of its running requests and the prefill of those that it admits; it takes
    `decode_ms + decode_slope_ms * running`, plus the new prompt tokens over `prefill_tokens_per_s`. Times in ms unless the name
    ends in `_s`; 0 means no limit for `kv_tokens`, `rate_limit`, `scale_down_s`. ValueError for a number that cannot be.
    """

    batch_slots: int = 0
    prefill_tokens_per_s: float = 10_000.0
    prefill_chunk: int = 2048
    decode_ms: float = 15.0
    decode_slope_ms: float = 0.25
    step_noise: float = 0.0
    kv_tokens: int = 0
    prefix_cache_tokens: int = 0
    prefix_block: int = 16
    replicas: int = 1
    warm_replicas: int = -1
    cold_start_s: float = 0.0
    scale_at: int = 0
    scale_down_s: float = 0.0
    rate_limit: float = 0.0
    rate_burst: int = 1

    @property
    def modelled(self) -> bool:
        """Whether the engine model makes the times."""
        return self.batch_slots > 0

    @property
    def first_replicas(self) -> int:
        """How many replicas are ready at the start."""
        return self.replicas if self.warm_replicas < 0 else min(self.warm_replicas, self.replicas)

    @property
    def most_per_replica(self) -> int:
        """Requests in flight per replica from which another one starts."""
        return self.scale_at or self.batch_slots


LEAST = {"prefill_tokens_per_s": 1e-9, "prefill_chunk": 1, "prefix_block": 1, "replicas": 1, "warm_replicas": -1}
LEAST |= {"rate_burst": 1} | dict.fromkeys(("batch_slots", "decode_slope_ms", "step_noise", "kv_tokens"), 0)
LEAST |= dict.fromkeys(
    ("prefix_cache_tokens", "cold_start_s", "scale_at", "scale_down_s", "rate_limit", "decode_ms"), 0
)

ENGINE_HELP = {
    "batch_slots": "requests decoded at once per replica; turns on the engine model, which then makes all times; 0: off",
    "prefill_tokens_per_s": "prompt tokens per second of a replica",
    "prefill_chunk": "prompt tokens in one iteration at most; a longer prompt has an iteration to itself",
    "decode_ms": "milliseconds of a decode step",
    "decode_slope_ms": "milliseconds more of a decode step for each running request",
    "step_noise": "coefficient of variation of an iteration's time",
    "kv_tokens": "tokens in the KV cache of a replica; when it is full, the latest request is preempted; 0: no limit",
    "prefix_cache_tokens": "tokens of prompts that a replica keeps, by blocks, the least recently used leave first; 0: no cache",
    "prefix_block": "tokens of a block of the prefix cache",
    "replicas": "replicas at most",
    "warm_replicas": "replicas that are ready at the start and never stop; -1: all",
    "cold_start_s": "seconds until a new replica is ready",
    "scale_at": "requests in flight per replica from which another one starts; 0: batch_slots",
    "scale_down_s": "seconds without a request after which a replica stops; 0: never",
    "rate_limit": "requests per second that are accepted; others get 429 with Retry-After; 0: all",
    "rate_burst": "requests that the limiter accepts at once after a pause",
}


def check_least(options: object, least: Mapping[str, float]) -> None:
    """ValueError, one sentence, if a number is below its least or not finite."""
    for name, lowest in least.items():
        value = getattr(options, name)
        if not lowest <= value < math.inf:
            raise ValueError(f"{name} is {value:g}; it must be at least {lowest}")
