"""The cause of a refusal, from its message: a model that is not ready, or a field of the payload that the server does not take.
The advice is about that field. It names only fields that the message names; anything else would be a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..config.run_config import RunConfig
from ..core.types import Row
from ..workload.payload import LIMIT_NAMES

_WAITING = re.compile(
    r"model_not_ready|model_unavailable|not[ _](?:yet[ _])?(?:ready|deployed|loaded|running|active)\b|isn't (?:ready|loaded)|"
    r"\bdeploying\b|being deployed|deployment (?:is |has )?(?:in progress|not active|inactive|starting|pending)|"
    r"scaled? (?:down )?to (?:zero|0)\b|scaling up|waking up|\bwake[sd]? up|\bis asleep|\bis sleeping|cold[ -]start|"
    r"\b(?:still|currently|is|being) (?:loading|loaded|starting|initiali[sz]ing|warming|building|booting)\b|"
    r"\bloading (?:the )?model|model (?:is )?loading|warming up|starting up|no (?:ready |running |active )?replicas?\b",
    re.I,
)
# A complaint about a value, not about the field itself.
_VALUE = re.compile(
    r"at least|at most|greater than|less than|too (?:large|long|small|short|many|big)|minimum|maximum (?:of|is|value|allowed)|"
    r"exceed|between|out of range|within|must be|should be|>=|<=|context (?:length|window)|cannot be",
    re.I,
)
_TOO_LONG = re.compile(r"context (?:length|window|size)|maximum (?:sequence|model) length|max_model_len", re.I)
_MISSING = re.compile(
    r"missing|required|must (?:be )?(?:provide|contain|include|have)|is needed|not (?:given|provided|found in)|expected",
    re.I,
)
_COMMON = (
    "model",
    "messages",
    "prompt",
    "input",
    "stream",
    "user",
    "seed",
    "stop",
    "n",
    "tools",
    "text",
    "data",
    "inputs",
)
_OF_A_PAYLOAD = (200, 400, 422, 500, 501)  # custom models answer 500 to a key they do not know
_OURS = ("ignore_eos", "stream_options")


def not_ready(row: Mapping[str, object]) -> bool:
    """Whether a refusal says, whatever its status, that the model is not there yet: deploying, loading, scaled to zero."""
    said = f"{row.get('error_code') or ''} {row['error_message'] or ''}"
    return row["outcome"] in ("http_error", "api_error") and _WAITING.search(said) is not None


def names(message: str, field: str) -> int | None:
    """The place in `message` that names the field, or None. A name that is also a common word must be marked as a name."""
    word = re.escape(field)
    if field in _COMMON:
        marked: tuple[str, ...] = (rf"[\'\"`]{word}[\'\"`]", rf"(?:^|[.\s;(\[]){word}: ", rf"\bbody\.{word}\b")
        marked += (r"^stream(?:ing)? ", r"\bstreaming (?:is |responses? )") if field == "stream" else ()
        pattern = "|".join((*marked, rf"\b(?:field|parameter|argument|key|property) {word}\b"))
    else:
        pattern = rf"(?<![\w-]){word}(?![\w-])"
    found = re.search(pattern, message, re.I)
    return None if found is None else found.start()


def of_refused_field(row: Row, config: RunConfig, sent: Mapping[str, Any]) -> Iterator[str]:
    """Advice on the field that a refusal names: the first of those that were sent, or one that is missing."""
    message, keys = row["error_message"] or "", _sent_keys(config, sent)
    if row["status"] not in _OF_A_PAYLOAD:
        return
    if _TOO_LONG.search(message):
        yield "Input and output together are longer than the model's context: ask for fewer tokens in the scenario."
        return
    at = {key: place for key in keys if (place := names(message, key)) is not None}
    missing = _of_missing(message, config, keys) if _MISSING.search(message) else ""
    if missing:
        yield missing
    elif at:
        yield _of_sent(min(at, key=lambda key: at[key]), message, config)


def _sent_keys(config: RunConfig, sent: Mapping[str, object]) -> list[str]:
    """The keys of the payload; if it is not known, those that a payload of this config has."""
    if sent:
        return list(sent)
    endpoint = config.endpoint
    return [endpoint.max_tokens_key, "stream", *_OURS, *(["model"] if endpoint.model else []), *config.request_params]


def _of_missing(message: str, config: RunConfig, keys: list[str]) -> str:
    cures = {
        "model": "The server requires the name of a model: Endpoint(model='...').",
        "messages": "The server requires messages: use request_format='chat'.",
        "prompt": "The server requires a bare prompt: use request_format='prompt'.",
        "inputs": "The server requires the text under another name: use request_format='prompt' with prompt_key='inputs'.",
        "input": "The server requires `input`, as endpoints for embeddings do: use task='text-to-embeddings'.",
    }
    if config.endpoint.request_format == "prompt":
        cures["model"] += " If the name is not sent then, use request_params={'model': '...'}."
        cures["prompt"] = "The server requires the text under 'prompt': leave prompt_key out."
    for name, cure in cures.items():
        if name not in keys and names(message, name) is not None:
            return cure
    return ""


def _of_sent(field: str, message: str, config: RunConfig) -> str:
    endpoint = config.endpoint
    if field == endpoint.max_tokens_key:
        return _of_the_limit(field, message)
    if field in config.request_params:
        return f"The server refuses {field!r}, which request_params gives: leave it out, or give a value that its message allows."
    cures = {
        "stream": "The server refuses `stream`: use Endpoint(stream=False); TTFT is then not measured.",
        "model": f"The server refuses the model {endpoint.model!r}: check Endpoint.model.",
        "messages": "The server refuses `messages`. If it takes a bare prompt, use request_format='prompt'.",
        endpoint.prompt_key: f"The server refuses {field!r}. If the prompt has another name there, set prompt_key. If it takes "
        "messages, use request_format='chat'.",
    } | {
        name: f"The server does not take {name}: request_params={{{name!r}: None}} leaves the field out."
        for name in _OURS
    }
    return cures.get(field, f"The server refuses {field!r}, which this client sends; its message says why.")


def _of_the_limit(field: str, message: str) -> str:
    other = next((name for name in LIMIT_NAMES if name != field and names(message, name) is not None), None)
    if other is None and _VALUE.search(message):
        return f"The server refuses the value of {field}, and its message says why: choose other output lengths in the scenario."
    better = other or "max_completion_tokens"
    return f"The server does not take {field}. Give its own name for the limit: Endpoint(max_tokens_key={better!r})."
