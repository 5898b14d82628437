"""The form in a person's words: what a field is called there, and its help without the words of Python."""

from __future__ import annotations

import re

LABELS = {
    "url": "URL",
    "api_key": "API key",
    "auth_scheme": "key is sent as",
    "stream": "stream the answer",
    "headers": "more HTTP headers",
    "verify": "check certificates",
    "client_cert": "client certificate",
    "http2": "use HTTP/2",
    "timeout_s": "time limit per request, s",
    "connect_timeout_s": "time limit to connect, s",
    "first_byte_timeout_s": "time limit to the first byte, s",
    "between_bytes_timeout_s": "longest pause between bytes, s",
    "response_path": "place of the text in the answer",
    "prompt_key": "name of the prompt's field",
    "max_tokens_key": "name of the length's field",
    "concurrency": "requests in flight",
    "request_rate": "requests per second",
    "arrival": "gaps between arrivals",
    "max_in_flight": "most requests in flight",
    "batch_size": "inputs per request",
    "max_requests": "requests per level",
    "max_seconds": "time limit per level, s",
    "warmup_requests": "warm-up requests",
    "warmup_retries": "warm-up retries",
    "dataset": "data set",
    "history_from": "replies in the history",
    "steady": "steady load",
    "request_params": "more payload fields",
    "salt": "salt of the prompts",
    "workers": "worker processes",
    "max_total_tokens": "most tokens of the run",
    "capture": "keep raw bytes of",
    "capture_limit_mb": "raw bytes at most, MB",
    "until": "end when precise",
    "slo": "service levels (SLO)",
    "stop_on_overload": "stop on overload",
    "abort_after_failures": "stop after failures",
    "preflight": "try one request first",
}
_FOR_PEOPLE = ((r",? or None\b", "; may be left empty"), (r"\bNone\b", "empty"))


def label(name: str) -> str:
    """What the field is called in the form."""
    return LABELS.get(name) or re.sub("_s$", ", s", name).replace("_", " ")


def for_people(text: str) -> str:
    """A field's description as the form shows it: there, None is an empty field."""
    for pattern, words in _FOR_PEOPLE:
        text = re.sub(pattern, words, text)
    return text


def unquoted(text: str) -> str:
    """Text as it was meant: an example may be typed with its quotation marks."""
    text = text.strip()
    same = len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and text[0] not in text[1:-1]
    return text[1:-1] if same else text
