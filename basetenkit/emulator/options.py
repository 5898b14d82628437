"""How the embedded endpoint behaves: the options that `serve(...)` takes by keyword and the command line by flag."""

from __future__ import annotations

from dataclasses import dataclass, field

from .engine_options import LEAST, EngineOptions, check_least

FORMS = ("text", "output", "response", "generated_text", "result", "string")
FAILURES = ("http_500", "http_429", "http_503", "html", "error_event", "truncate", "reset", "stall", "empty")
_LEAST = {"tokens_per_chunk": 1, "output_tokens": 1, "dimension": 1, "max_concurrency": 0, "stop_after": 0}
_LEAST |= dict.fromkeys(("ttft_ms", "itl_ms", "jitter", "batch_slope_ms", "tail_ms"), 0)


@dataclass(frozen=True)
class Options(EngineOptions):
    """How the endpoint behaves. Times in ms; `jitter` is a coefficient of variation; `fail` maps a failure to its share. With
    `batch_slots` the engine model makes the times of tokens instead of `ttft_ms`, `itl_ms`, `jitter` and `batch_slope_ms`.
    ValueError, one sentence, for a number that cannot be."""

    ttft_ms: float = 50.0
    itl_ms: float = 20.0
    jitter: float = 0.0
    batch_slope_ms: float = 0.0
    tail_ms: float = 0.0
    role_frame: bool = True
    tokens_per_chunk: int = 1
    output_tokens: int = 100
    stop_after: int = 0
    form: str = "output"
    usage: bool = True
    stamp_frames: bool = False
    dimension: int = 64
    api_key: str | None = None
    max_concurrency: int = 0
    fail: dict[str, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        check_least(self, _LEAST | LEAST)
        for kind, share in self.fail.items():
            if not 0 <= share <= 1:
                raise ValueError(f"the share of {kind} is {share:g}; it must be from 0 to 1, e.g. 0.05")
        if sum(self.fail.values()) > 1 + 1e-9:
            raise ValueError(f"the shares of fail add up to {sum(self.fail.values()):g}; together they are at most 1")
