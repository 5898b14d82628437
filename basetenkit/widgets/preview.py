"""What a configuration means before it is paid for: the body of its first request, and what the plan asks for."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import orjson

from ..conductor import level_scenarios, plan
from ..config import RunConfig
from ..display import show
from ..fields import without_secrets
from ..scenario import parse_scenario
from ..workload import datasets
from ..workload.conversations import Speaker
from ..workload.sampler import Sampler
from ..workload.tokenizer import load_tokenizer

# With fewer independent requests the order statistics have no upper bound at 95%.
LEAST_FOR_BOUNDS = {"p50": 6, "p90": 36, "p95": 72, "p99": 368}
_DRAWS = 200


def first_body(config: RunConfig) -> str:
    """The JSON body of a request of the first scenario, as the engine builds it, indented; secrets as ***: of conversations
    the first turn of one. The words differ from a run's, which has a salt of its own."""
    scenario, tokenizer = parse_scenario(level_scenarios(config)[0]), load_tokenizer(config.tokenizer)
    entries, salt = datasets.load(config), config.salt or "preview"
    maker: Speaker | Sampler
    if entries is not None and entries.conversations and scenario.needs_data:
        own: dict[str, Any] = {"salt": salt, "stream": "0", "params": entries.params}
        maker = Speaker(config, scenario, entries.conversations, tokenizer.count, **own)
    else:
        maker = Sampler(config, scenario, tokenizer, salt=salt, stream="0", entries=entries)
    return json.dumps(without_secrets(orjson.loads(maker.request("").body)), indent=2, ensure_ascii=False)


def plan_of(config: RunConfig) -> dict[str, str]:
    """What will be sent at most, in words: levels, requests, tokens (the mean of draws), minutes, and the bounds to expect."""
    keys = plan(config)
    levels, measured = len(keys), [config.requests_of(key.load, key.level) for key in keys]
    around = sum(config.around_of(key.load, key.level) for key in keys)
    requests = sum(measured) + levels * config.warmup_requests + around + config.preflight
    each = [_mean_tokens(text, config) for text in level_scenarios(config)]
    known = [n for n in each if n is not None]
    tokens = (
        f"about {show(round(sum(known) / len(each) * requests))}" if len(known) == len(each) else "not known beforehand"
    )
    if config.max_total_tokens is not None:
        tokens += f", stopped at {show(config.max_total_tokens)}"
    return {
        "levels": show(levels),
        "requests at most": show(requests)
        + (f", about {show(around)} of them to keep the load steady" if around else ""),
        "tokens expected": tokens,
        "minutes at most": show(round(levels * config.max_seconds / 60, 1)),
        "sharpness": _sharpness(min(measured) * config.repeats),
    }


def _mean_tokens(text: str, config: RunConfig) -> float | None:
    """Tokens of a request by its scenario; None where that does not say how long texts are, or shows images."""
    scenario, rng = parse_scenario(text), Random(config.seed)
    shapes = [scenario.sample(rng) for _ in range(_DRAWS)]
    if any(s.input_tokens is None or s.images for s in shapes):
        return None
    return (
        sum((s.input_tokens or 0) * (s.inputs or config.batch_size[0]) + (s.output_tokens or 0) for s in shapes)
        / _DRAWS
    )


def _sharpness(requests: int) -> str:
    bound = [name for name, least in LEAST_FOR_BOUNDS.items() if requests >= least]
    open_top = [f"{name} (needs {least})" for name, least in LEAST_FOR_BOUNDS.items() if requests < least]
    said = f"with {show(requests)} requests a level, all good and independent: "
    said += f"two-sided 95% bounds for {', '.join(bound)}" if bound else "no two-sided bounds"
    return said + (f"; none for {', '.join(open_top)}" if open_top else "")
