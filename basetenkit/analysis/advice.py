"""What to do about one answer: a row -> sentences, most urgent first. Preflight shows them, and a run that ends because nothing
answers. Each names the very field, header or option that would mend it, as far as the answer itself tells.
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
    402: "The account has a payment to settle.",
    403: "The key is good, but not for this model. Use a key of the model's own workspace.",
    404: "There is nothing at this URL. Check the model id, the environment, and the path: …/predict, or "
    "…/sync/v1/chat/completions.",
    405: "This URL takes no POST. Check its path: …/predict, or …/sync/v1/chat/completions.",
    407: "The proxy wants a user and a password: Endpoint(proxy='http://user:password@host:port').",
    413: "The request is too large for the server.",
    422: "The server understood the payload and refuses a field of it; its message says which.",
    429: "The server limits requests at present. Lower the load, or wait.",
    503: "The model is not ready. Wake it, wait for it, and try again.",
}
NOT_READY = "The model is not ready. Wake it, wait for it, and try again; warmup_requests wait for it within a run."
_BY_OUTCOME = {
    "connection_error": "Check host and port, and that the server runs and can be reached from here.",
    "timeout": "The model may be starting: a first request can wait minutes for a replica. Try again, or raise timeout_s.",
    "malformed": "The answer is not in a form that can be read. bk.parse(body).explain() says why; response_path may help.",
    "empty": "The server answered with nothing. On a stream, llama.cpp does so if the context is too short.",
    "incomplete": "The answer broke off. Look at the model's own log.",
    "api_error": "The server answered 200 with an error inside; its message says what is wrong.",
}
_CONNECTING = {
    Cause.TLS_CERTIFICATE: "If an authority of your own signed the certificate, give its file: Endpoint(verify='/path/to/ca.pem'). "
    "If it is expired or for another name, mend it at the server.",
    Cause.TLS_HANDSHAKE: "Check that this port speaks TLS; if it does not, the URL begins with http://.",
    Cause.UNRESOLVED: "Check the host name in Endpoint.url, and that this machine can resolve it.",
    Cause.OWN_LIMIT: "Raise that limit of this machine, or lower the load; it says nothing of the endpoint.",
}
_NOT_STREAMED = (
    "A stream was asked for and one document came: TTFT cannot be measured. Check the model's own stream switch."
)
_HELD_BACK = (
    "{what}: a gateway, or the server itself, holds the stream back. TTFT and TPOT would be the gateway's and not the model's. "
    "Turn its response buffering off (nginx: proxy_buffering off; haproxy: option http-no-delay; "
    "lighttpd: server.stream-response-body = 2)."
)
SAME_S, SURE_S, HELD_SHARE, LEAST_EVENTS = 0.0005, 0.002, 0.75, 4


def advise(
    row: Mapping[str, object],
    config: RunConfig,
    sent: Mapping[str, object] | None = None,
    arrivals: Sequence[tuple[float, float]] = (),
) -> list[str]:
    """What to mend, of one request's row. `sent`: its payload if it is at hand; `arrivals`: (s since the send, proven error in s)
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
        return "Give the address that it names as Endpoint.url: a redirect to another host, port or scheme is not followed."
    if status == 400:
        return _BAD_REQUEST_PROMPT if config.endpoint.request_format == "prompt" else _BAD_REQUEST_CHAT
    known = _BY_STATUS.get(status, "The server failed; its message and its log say more." if status >= 500 else "")
    authorization = config.endpoint.authorization() if status == 401 else None
    return known.format(scheme="no key" if authorization is None else authorization.partition(" ")[0])


_BAD_REQUEST_CHAT = (
    "The server does not accept this payload. If it takes a bare prompt: request_format='prompt'. If it takes no "
    "ignore_eos or stream_options: request_params={'ignore_eos': None} leaves it out."
)
_BAD_REQUEST_PROMPT = (
    "The server does not accept this payload. If it takes messages: request_format='chat'. If the prompt has another name: "
    "prompt_key. Further fields go into request_params."
)


def _wrong_task(row: Mapping[str, object], config: RunConfig) -> str:
    """What a URL's own path says of the task, if the answer was a refusal."""
    embeds = urlsplit(config.endpoint.url).path.rstrip("/").endswith("/embeddings")
    if row["outcome"] == "http_error" and embeds and config.task != "text-to-embeddings":
        return "This URL's path is one for embeddings: use task='text-to-embeddings'."
    return ""


def _of_what_works(row: Row, config: RunConfig, arrivals: Sequence[tuple[float, float]]) -> Iterator[str]:
    ahead = any(note.code == "length_ahead" for note in row["notes"] or [])
    if ahead:
        yield _HELD_BACK.format(what="A content-length stood before the stream")
    elif config.endpoint.stream and row["ttft_s"] is None and row["batch_size"] is None:
        yield _NOT_STREAMED
    elif (times := held_back(arrivals)) is not None:
        yield _HELD_BACK.format(what=f"{len(arrivals)} events of the stream came at {times} time(s)")
    if (row["output_tokens"] or 0) < 0.9 * (row["output_tokens_target"] or 0):
        yield "The answer is shorter than asked for: output lengths will not be those of the scenario."


def held_back(arrivals: Sequence[tuple[float, float]]) -> int | None:
    """At how many times a response's events came, if nearly all of them came together, and certainly so: an event that this
    client was late to read has a wide error, and proves nothing. None otherwise."""
    if len(arrivals) < LEAST_EVENTS:
        return None
    at = [time for time, _ in arrivals]
    joined = [b - a <= SAME_S for a, b in pairwise(at)]
    sure = sum(same and error <= SURE_S for same, (_, error) in zip(joined, arrivals[1:], strict=True))
    return 1 + joined.count(False) if sure >= HELD_SHARE * len(joined) else None
