"""Names of other tools -> the names here.

A field or a value from another tool is not translated silently: it is refused, and the error gives the name that is used
here. The names are those of genai-bench, vLLM's and SGLang's benchmarks, GuideLLM, AIPerf and the OpenAI SDK.
"""

from __future__ import annotations

import math
from collections.abc import Collection

_COUNT = (
    "a level ends at max_requests or max_seconds, whichever comes first: give large numbers for a level without a limit"
)
_ALL_AT_ONCE = "to send all requests at once, use concurrency=[N] with max_requests=N"
# field here -> its names in other tools
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
# field here -> {value in other tools: the value here}
_VALUES: dict[str, dict[str, str]] = {
    "request_rate": dict.fromkeys(("inf", "infinity", "-1", "0", "unlimited", "max", "throughput"), _ALL_AT_ONCE),
    "concurrency": dict.fromkeys(
        ("inf", "infinity", "-1", "0", "unlimited", "none"),
        "for a load without a limit on requests in flight, use request_rate=[RATE]",
    ),
    "max_requests": dict.fromkeys(("inf", "infinity", "-1", "0", "none", "unlimited"), _COUNT),
    "max_seconds": dict.fromkeys(
        ("inf", "infinity", "-1", "0", "none", "unlimited"), f"{_COUNT}; the maximum is 86400"
    ),
    "timeout_s": dict.fromkeys(("inf", "infinity", "-1", "0", "none"), "for no timeout, use the maximum, 86400"),
    "max_in_flight": dict.fromkeys(("inf", "infinity", "-1", "0", "unlimited"), "for no limit, use None"),
    "arrival": {
        **dict.fromkeys(("exponential", "poisson_process", "concurrency_poisson"), "use arrival='poisson'"),
        **dict.fromkeys(("static", "fixed", "deterministic", "steady", "fixed_schedule"), "use arrival='constant'"),
        **dict.fromkeys(
            ("concurrent", "concurrency", "closed", "synchronous", "throughput"),
            "for a closed loop, use concurrency=[N] without request_rate",
        ),
    },
    "task": {
        **dict.fromkeys(
            ("chat", "completion", "completions", "text-generation", "generate", "text", "llm"),
            "use task='text-to-text'; Endpoint.request_format sets the form of the payload",
        ),
        **dict.fromkeys(("embedding", "embeddings", "embed", "feature-extraction"), "use task='text-to-embeddings'"),
        **dict.fromkeys(("vision", "multimodal", "image", "vlm"), "use task='image-text-to-text'"),
    },
    "request_format": {
        **dict.fromkeys(
            ("openai", "openai-chat", "openai_chat", "chat-completions", "chat_completions", "messages"),
            "use request_format='chat'",
        ),
        **dict.fromkeys(
            ("completion", "completions", "openai-completions", "text", "text_completions"),
            "use request_format='prompt'",
        ),
    },
    "auth_scheme": {
        **dict.fromkeys(("api-key", "api_key", "apikey"), "use auth_scheme='Api-Key'"),
        "bearer": "use auth_scheme='Bearer'",
    },
    "capture": {
        "true": "use capture='all'",
        "false": "use capture='none'",
        "error": "use capture='errors'",
        "failed": "use capture='errors'",
    },
    "workers": {
        "-1": "give the number of processes",
        "auto": "give the number of processes",
        "none": "use workers=0",
    },
}


def field_hint(name: str, known: Collection[str]) -> str | None:
    """The field in `known` that other tools call `name`; None if there is none."""
    bare = name.lower().replace("-", "_").removesuffix("_s") if name.lower() not in known else name.lower()
    for field, others in _FIELDS.items():
        if field in known and (bare in others or name.lower().replace("-", "_") in others):
            return field
    return None


def value_hint(field: str, value: object) -> str | None:
    """The value to write instead of a value that other tools take for `field`; None if it is unknown."""
    text = str(value).strip().lower()
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        text = str(int(value))
    return _VALUES.get(field, {}).get(text)
