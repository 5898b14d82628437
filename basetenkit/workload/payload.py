"""The JSON body of a request: chat or prompt format, as Baseten's endpoints and OpenAI-compatible ones take it.

The chat format adds the fields that a measurement needs: `ignore_eos` if the scenario sets the output length, so that the model
does not stop early, and `stream_options.include_usage`, so that the server reports its tokens. The prompt format sends only the
prompt, the limit, the stream switch and the user's own fields: many custom models pass their whole input to the sampler, and
answer 500 to an unknown key.

`request_params` are added to the payload and replace its fields, with three exceptions: `stream` comes from the endpoint,
`use_prompt_format` chooses the format and is never sent, and null for an automatic key (`max_tokens`, `ignore_eos`,
`stream_options`) leaves it out. They are the same for all requests.

A row of a data set can have parameters for its own request (a limit, tools, a temperature): `row`. `request_params`, and a
length that the scenario sets, replace them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import orjson

from ..config.run_config import RunConfig
from ..config.tasks import TASKS
from ..core.types import JsonObject

# What servers call the limit on output tokens, and the objects of a payload in which some of them want it.
LIMIT_NAMES = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "max_tokens_to_sample",
    "max_gen_len",
    "maxTokens",
    "maxOutputTokens",
    "num_predict",
    "n_predict",
)
LIMIT_PLACES = ("options", "parameters", "sampling_params", "generation_config", "generationConfig", "inferenceConfig")
_NEVER_SENT = frozenset({"stream", "use_prompt_format"})


def uses_prompt_format(config: RunConfig) -> bool:
    """Whether payloads have the prompt format: by the endpoint, or by `use_prompt_format` in request_params."""
    return config.endpoint.request_format == "prompt" or bool(config.request_params.get("use_prompt_format"))


def build_payload(
    config: RunConfig,
    prompt: str,
    max_tokens: int | None,
    *,
    fixed_output: bool,
    images: Sequence[str] = (),
    system: str = "",
    row: Mapping[str, object] | None = None,
) -> JsonObject:
    """The payload of one request, its keys in the order of Baseten's documentation; all of it a fresh copy but what `row` holds.

    `max_tokens` None: no limit is sent. `fixed_output`: the scenario fixes the output length. `images`: data URLs, which
    are after the text in the chat format; the prompt format has no place for them, and none for `system`, a message before
    the user's. `row`: the parameters that the data set has for this request.
    """
    own = dict(row or {})
    limit = _limit(own.pop("max_tokens", None))
    max_tokens = limit if max_tokens is None else max_tokens
    params = own | _own_params(config)
    if uses_prompt_format(config):
        return _prompt_payload(config, prompt, max_tokens, params)
    content: str | list[JsonObject] = prompt
    if images:
        content = [{"type": "text", "text": prompt}]
        content += [{"type": "image_url", "image_url": {"url": url}} for url in images]
    messages: list[JsonObject] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": content})
    return _chat_payload(config, messages, max_tokens, params, fixed_output)


# The tasks whose payload `build_payload` does not build: task -> a function with the same arguments.
BUILDERS: dict[str, Callable[..., JsonObject]] = {}


def build_embeddings_payload(config: RunConfig, documents: list[str]) -> dict[str, object]:
    """The payload of one request for embeddings: model, `input`, and what request_params add to them or give instead."""
    payload: dict[str, object] = {} if config.endpoint.model is None else {"model": config.endpoint.model}
    payload["input"] = documents
    return payload | {k: copy.deepcopy(v) for k, v in config.request_params.items() if k not in _NEVER_SENT}


def payload_bytes(config: RunConfig, prompt: str, max_tokens: int | None, *, fixed_output: bool) -> bytes:
    """`build_payload` as it goes on the wire: compact UTF-8 JSON."""
    return orjson.dumps(build_payload(config, prompt, max_tokens, fixed_output=fixed_output))


def carries_own_text(config: RunConfig) -> bool:
    """Whether request_params give the messages, the prompt or the input themselves, so that no text of ours is sent."""
    if not TASKS[config.task].generates:
        return "input" in config.request_params
    key = config.endpoint.prompt_key if uses_prompt_format(config) else "messages"
    return key in config.request_params


def output_limit(config: RunConfig, payload: JsonObject) -> int | None:
    """The limit on output tokens that a payload carries, or None. Under any other name than the endpoint's it is the user's,
    and counts before the scenario's; of several it is the smallest."""
    key, params = config.endpoint.max_tokens_key, config.request_params
    places = [payload, *(payload[name] for name in LIMIT_PLACES if isinstance(payload.get(name), dict))]
    found = {(at, name): _limit(place.get(name)) for at, place in enumerate(places) for name in LIMIT_NAMES}
    own = _limit(payload.get(key))
    theirs = [limit for (at, name), limit in found.items() if limit is not None and (at, name) != (0, key)]
    if own is not None and (key in params or "max_tokens" in params or not theirs):
        theirs.append(own)
    return min(theirs, default=None)


def _limit(value: object) -> int | None:
    """A number of tokens; None for anything else, such as Ollama's -1 for no limit."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0 or value != value // 1:
        return None
    return int(value)


def _own_params(config: RunConfig) -> dict[str, object]:
    """The user's parameters, copied; `max_tokens` under the name that this endpoint has for it."""
    params = {k: copy.deepcopy(v) for k, v in config.request_params.items() if k not in _NEVER_SENT}
    key = config.endpoint.max_tokens_key
    if key != "max_tokens" and "max_tokens" in params:
        limit = params.pop("max_tokens")
        params.setdefault(key, limit)
    return params


def _prompt_payload(
    config: RunConfig, prompt: str, max_tokens: int | None, params: dict[str, object]
) -> dict[str, object]:
    endpoint = config.endpoint
    openai = (
        urlsplit(endpoint.url).path.rstrip("/").endswith("/completions")
    )  # its own path for a bare prompt wants a model
    payload: dict[str, object] = {"model": endpoint.model} if openai and endpoint.model is not None else {}
    payload |= {endpoint.prompt_key: prompt, endpoint.max_tokens_key: max_tokens}
    payload |= params
    _drop_null(payload, endpoint.max_tokens_key)
    payload["stream"] = endpoint.stream
    return payload


def _chat_payload(
    config: RunConfig, messages: object, max_tokens: int | None, params: dict[str, object], fixed_output: bool
) -> dict[str, object]:
    endpoint = config.endpoint
    options = params.pop("stream_options", {})
    payload: dict[str, object] = {} if endpoint.model is None else {"model": endpoint.model}
    payload["messages"] = messages
    payload[endpoint.max_tokens_key] = max_tokens
    payload |= params
    if fixed_output:
        payload.setdefault("ignore_eos", True)
    _drop_null(payload, endpoint.max_tokens_key, "ignore_eos")
    payload["stream"] = endpoint.stream
    # Servers refuse stream_options in a request that is not streamed, so then not even the user's are sent.
    if endpoint.stream and options is not None:
        payload["stream_options"] = {"include_usage": True, **options} if isinstance(options, dict) else options
    return payload


def _drop_null(payload: dict[str, object], *keys: str) -> None:
    for key in keys:
        if key in payload and payload[key] is None:
            del payload[key]
