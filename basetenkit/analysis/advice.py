"""Advice about one response: a row -> sentences, most urgent first. Preflight shows them, and so does a run that ends because
no request can succeed. Each names the field, header or option to change, if the response reveals it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from ..config.run_config import RunConfig
from ..core.types import Cause, Row
from .refusals import not_ready, of_refused_field

_BY_STATUS = {
    401: "The key is missing or wrong. It was sent as {scheme}: dedicated models on Baseten take Api-Key, others take Bearer.",
    402: "The account has an unpaid bill.",
    403: "The key is valid, but not for this model. Use a key from the model's workspace.",
    404: "There is nothing at this URL. Check the model id, the environment, and the path: …/predict, or "
    "…/sync/v1/chat/completions.",
    405: "This URL does not accept POST. Check its path: …/predict, or …/sync/v1/chat/completions.",
    407: "The proxy requires a user and a password: Endpoint(proxy='http://user:password@host:port').",
    413: "The request is too large for the server.",
    422: "The server understood the payload but rejects one of its fields; its message says which.",
    429: "The server is limiting requests. Lower the load, or wait.",
    503: "The model is not ready. Wake it, wait until it is ready, and try again.",
}
NOT_READY = (
    "The model is not ready. Wake it, wait until it is ready, and try again; in a run, warmup_requests wait for it."
)
_BY_OUTCOME = {
    "connection_error": "Check the host and the port, and that the server is running and reachable from here.",
    "timeout": "The model may be starting: a first request can wait minutes for a replica. Try again, or raise timeout_s.",
    "malformed": "The response could not be parsed. bk.parse(body).explain() shows why; response_path may help.",
    "empty": "The response is empty. llama.cpp returns an empty stream if the context is too short.",
    "incomplete": "The response broke off. Check the model's log.",
    "api_error": "The server returned 200 with an error in the body; its message says what is wrong.",
}
_CONNECTING = {
    Cause.TLS_CERTIFICATE: "If a private authority signed the certificate, give its file: Endpoint(verify='/path/to/ca.pem'). "
    "If the certificate has expired or is for another name, replace it on the server.",
    Cause.TLS_HANDSHAKE: "Check that this port uses TLS; if it does not, the URL must begin with http://.",
    Cause.UNRESOLVED: "Check the host name in Endpoint.url, and that this machine can resolve it.",
    Cause.OWN_LIMIT: "Raise that limit on this machine, or lower the load; the failure says nothing about the endpoint.",
}
_NOT_STREAMED = (
    "A stream was requested, but the response is one document: no TTFT. Check the model's own setting for streaming."
)
_HELD_BACK = (
    "{what}: a gateway, or the server itself, buffers the stream. TTFT and TPOT would describe the gateway, not the model. "
    "Turn off its response buffering (nginx: proxy_buffering off; haproxy: option http-no-delay; "
    "lighttpd: server.stream-response-body = 2)."
)
SAME_S, SURE_S, HELD_SHARE, LEAST_EVENTS = 0.0005, 0.002, 0.75, 4


def advise(
    row: Mapping[str, object],
    config: RunConfig,
    sent: Mapping[str, object] | None = None,
    arrivals: Sequence[tuple[float, float]] = (),
) -> list[str]:
    """What to fix, from one request's row. `sent`: its payload, if available; `arrivals`: (s since the send, proven error in s)
    of each output event."""
    return [sentence for sentence in _sentences(row, config, sent or {}, arrivals) if sentence]


def _sentences(
    row: Row, config: RunConfig, sent: Mapping[str, Any], arrivals: Sequence[tuple[float, float]]
) -> Iterator[str]:
    if row["outcome"] == "ok":
        yield from _of_what_works(row, config, arrivals)
        return
    yield _wrong_task(row, config)
    if row["outcome"] in ("http_error", "api_error"):
        if not_ready(row):
            yield NOT_READY
            return
        named = list(of_refused_field(row, config, sent))
        yield from named
        if named and row["status"] != 500:
            return
    if row["outcome"] == "http_error":
        yield _of_status(row["status"], config)
    elif row["outcome"] == "connection_error":
        yield _CONNECTING.get(row["error_cause"], _BY_OUTCOME["connection_error"])
    elif row["outcome"] == "timeout" and row["sent_s"] is None:
        yield _BY_OUTCOME["connection_error"]
    else:
        yield _BY_OUTCOME.get(row["outcome"], "")


def _of_status(status: int, config: RunConfig) -> str:
    if 300 <= status < 400:
        return "Use the redirect's target as Endpoint.url: a redirect to another host, port or scheme is not followed."
    if status == 400:
        return _BAD_REQUEST_PROMPT if config.endpoint.request_format == "prompt" else _BAD_REQUEST_CHAT
    known = _BY_STATUS.get(status, "The server failed; see its message and its log." if status >= 500 else "")
    authorization = config.endpoint.authorization() if status == 401 else None
    return known.format(scheme="no key" if authorization is None else authorization.partition(" ")[0])


_BAD_REQUEST_CHAT = (
    "The server does not accept this payload. If it expects a bare prompt, use request_format='prompt'. If it does not accept "
    "ignore_eos or stream_options, leave it out with request_params={'ignore_eos': None}."
)
_BAD_REQUEST_PROMPT = (
    "The server does not accept this payload. If it expects messages, use request_format='chat'. If the prompt's field has "
    "another name, set prompt_key. Put further fields into request_params."
)


def _wrong_task(row: Mapping[str, object], config: RunConfig) -> str:
    """Advice if the request failed and the URL's path is for another task."""
    embeds = urlsplit(config.endpoint.url).path.rstrip("/").endswith("/embeddings")
    if row["outcome"] == "http_error" and embeds and config.task != "text-to-embeddings":
        return "This URL's path is for embeddings: use task='text-to-embeddings'."
    return ""


def _of_what_works(row: Row, config: RunConfig, arrivals: Sequence[tuple[float, float]]) -> Iterator[str]:
    ahead = any(note.code == "length_ahead" for note in row["notes"] or [])
    if ahead:
        yield _HELD_BACK.format(what="The stream had a Content-Length")
    elif config.endpoint.stream and row["ttft_s"] is None and row["batch_size"] is None:
        yield _NOT_STREAMED
    elif (times := held_back(arrivals)) is not None:
        yield _HELD_BACK.format(what=f"{len(arrivals)} events of the stream arrived at {times} time(s)")
    if (row["output_tokens"] or 0) < 0.9 * (row["output_tokens_target"] or 0):
        yield "The response is shorter than requested: output lengths will not match the scenario."


def held_back(arrivals: Sequence[tuple[float, float]]) -> int | None:
    """At how many times a response's events arrived, if nearly all of them certainly arrived together; otherwise None. An event
    that this client read late has a wide error and does not count."""
    if len(arrivals) < LEAST_EVENTS:
        return None
    at = [time for time, _ in arrivals]
    joined = [b - a <= SAME_S for a, b in pairwise(at)]
    sure = sum(same and error <= SURE_S for same, (_, error) in zip(joined, arrivals[1:], strict=True))
    return 1 + joined.count(False) if sure >= HELD_SHARE * len(joined) else None
