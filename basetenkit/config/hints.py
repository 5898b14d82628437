"""What other tools call things -> what they are called here.

A field or a value that is usual elsewhere is not guessed: it is refused, and the sentence says under which name the same thing
exists here. The names are those of genai-bench, vLLM's and SGLang's benchmarks, GuideLLM, AIPerf and the OpenAI SDK.
"""

from __future__ import annotations

import math
from typing import Any

_COUNT = (
    "a level ends at max_requests or max_seconds, whichever comes first: give large numbers for a level without a limit"
)
_ALL_AT_ONCE = "to send all requests at once, use concurrency=[N] with max_requests=N"
# field here -> what it is called elsewhere
_FIELDS: dict[str, tuple[str, ...]] = {
    "endpoint": ("server", "backend", "target_endpoint"),
    "url": ("base_url", "api_base", "host", "target", "endpoint_url", "api_url", "base", "uri"),
    "model": ("model_name", "api_model_name", "served_model_name", "model_id"),
    "api_key": ("key", "token", "model_api_key", "apikey"),
    "stream": ("streaming", "disable_streaming"),
    "timeout_s": ("timeout", "request_timeout", "request_timeout_seconds"),
    "headers": ("extra_headers", "header", "default_headers"),
    "verify": ("verify_ssl", "insecure", "tls_verify", "ssl_verify"),
    "concurrency": ("num_concurrency", "max_concurrency", "users", "num_users", "in_flight", "streams", "clients"),
    "request_rate": ("qps", "rate", "rps", "qps_level", "rates", "arrival_rate", "requests_per_second"),
    "arrival": ("distribution", "arrival_pattern", "arrival_process"),
    "max_requests": ("num_requests", "num_prompts", "n_requests", "request_count", "max_requests_per_run", "requests"),
    "max_seconds": ("duration", "max_time", "max_time_per_run", "duration_s", "benchmark_duration", "seconds"),
    "warmup_requests": ("warmup", "num_warmups", "warmup_ratio", "warmup_request_count", "warmup_percent"),
    "scenarios": ("traffic_scenario", "scenario", "traffic_scenarios", "shapes"),
    "request_params": ("additional_request_params", "extra_body", "extra_inputs", "sampling_params", "params", "extra"),
    "dataset": ("dataset_path", "data", "input_file", "prompts"),
    "seed": ("random_seed", "seeds"),
    "slo": ("goodput", "slos", "limits"),
    "capture": ("save_raw", "export_level", "save_bodies"),
    "workers": ("num_workers", "max_workers", "workers_max", "processes"),
    "batch_size": ("batch", "batch_sizes"),
    "repeats": ("repeat", "runs", "num_runs", "iterations"),
}
# field here -> {value elsewhere: what to write here}
_VALUES: dict[str, dict[str, str]] = {
    "request_rate": dict.fromkeys(("inf", "infinity", "-1", "0", "unlimited", "max", "throughput"), _ALL_AT_ONCE),
    "concurrency": dict.fromkeys(
        ("inf", "infinity", "-1", "0", "unlimited", "none"),
        "for a load without a limit on requests in flight, use request_rate=[RATE]",
    ),
    "max_requests": dict.fromkeys(("inf", "infinity", "-1", "0", "none", "unlimited"), _COUNT),
    "max_seconds": dict.fromkeys(("inf", "infinity", "-1", "0", "none", "unlimited"), f"{_COUNT}; 86400 is the most"),
    "timeout_s": dict.fromkeys(("inf", "infinity", "-1", "0", "none"), "for no timeout, use 86400, the most"),
    "max_in_flight": dict.fromkeys(("inf", "infinity", "-1", "0", "unlimited"), "for no limit, use None"),
    "arrival": {
        **dict.fromkeys(("exponential", "poisson_process", "concurrency_poisson"), "that is arrival='poisson'"),
        **dict.fromkeys(("static", "fixed", "deterministic", "steady", "fixed_schedule"), "that is arrival='constant'"),
        **dict.fromkeys(
            ("concurrent", "concurrency", "closed", "synchronous", "throughput"),
            "a closed loop is given by concurrency=[N], without request_rate",
        ),
    },
    "task": {
        **dict.fromkeys(
            ("chat", "completion", "completions", "text-generation", "generate", "text", "llm"),
            "that is task='text-to-text', whose form is Endpoint.request_format",
        ),
        **dict.fromkeys(
            ("embedding", "embeddings", "embed", "feature-extraction"), "that is task='text-to-embeddings'"
        ),
        **dict.fromkeys(("vision", "multimodal", "image", "vlm"), "that is task='image-text-to-text'"),
    },
    "request_format": {
        **dict.fromkeys(
            ("openai", "openai-chat", "openai_chat", "chat-completions", "chat_completions", "messages"),
            "that is request_format='chat'",
        ),
        **dict.fromkeys(
            ("completion", "completions", "openai-completions", "text", "text_completions"),
            "that is request_format='prompt'",
        ),
    },
    "auth_scheme": {
        **dict.fromkeys(("api-key", "api_key", "apikey"), "that is auth_scheme='Api-Key'"),
        "bearer": "that is auth_scheme='Bearer'",
    },
    "capture": {
        "true": "that is capture='all'",
        "false": "that is capture='none'",
        "error": "that is capture='errors'",
        "failed": "that is capture='errors'",
    },
    "workers": {
        "-1": "give the number of processes",
        "auto": "give the number of processes",
        "none": "that is workers=0",
    },
}


def field_hint(name: str, known: Any) -> str | None:
    """The field in `known` that other tools call `name`; None if there is none."""
    bare = name.lower().replace("-", "_").removesuffix("_s") if name.lower() not in known else name.lower()
    for field, others in _FIELDS.items():
        if field in known and (bare in others or name.lower().replace("-", "_") in others):
            return field
    return None


def value_hint(field: str, value: object) -> str | None:
    """What to write instead of a value that other tools take for `field`; None if nothing is known of it."""
    text = str(value).strip().lower()
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        text = str(int(value))
    return _VALUES.get(field, {}).get(text)
