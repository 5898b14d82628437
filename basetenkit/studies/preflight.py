"""One small request before many: does the endpoint answer, what does it speak, and what is to be mended.

A run never does this by itself; and it is one request, not a probe of variants: what it says of `ignore_eos` or usage is what
this one answer showed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from ..config import RunConfig
from ..display import html_table
from ..endpoint import Endpoint
from ..fields import redact_url
from ..runs import run_sync

_BY_STATUS = {
    400: "The server does not accept this payload. Where it takes a bare prompt: request_format='prompt'. Where it takes no "
    "ignore_eos or stream_options: request_params={{'ignore_eos': None}} leaves it out.",
    401: "The key is missing or wrong. It was sent as {scheme}: dedicated models on Baseten take Api-Key, others take Bearer.",
    402: "The account has a payment to settle.",
    403: "The key is good, but not for this model. Use a key of the model's own workspace.",
    404: "There is nothing at this URL. Check the model id, the environment, and the path: …/predict, or "
    "…/sync/v1/chat/completions.",
    413: "The request is too large for the server.",
    422: "The server understood the payload and refuses a field of it; its message says which.",
    429: "The server limits requests at present. Lower the load, or wait.",
    503: "The model is not ready. Wake it, wait for it, and try again.",
}
_BY_OUTCOME = {
    "connection_error": "Check host and port, and that the server runs and can be reached from here.",
    "timeout": "The model may be starting: a first request can wait minutes for a replica. Try again, or raise timeout_s.",
    "malformed": "The answer is not in a form that can be read. bk.parse(body).explain() says why; response_path may help.",
    "empty": "The server answered with nothing. On a stream, llama.cpp does so where the context is too short.",
    "incomplete": "The answer broke off. Look at the model's own log.",
    "api_error": "The server answered 200 with an error inside; its message says what is wrong.",
}
_OPTIONS = "ignore_eos", "stream_options"
_TIMES = (
    ("dns_s", "DNS"),
    ("connect_s", "TCP"),
    ("tls_s", "TLS"),
    ("ttft_s", "first token"),
    ("e2e_s", "whole answer"),
)


@dataclass(frozen=True)
class Preflight:
    """What one request showed. `checks`: what was found, in words; `advice`: what to mend, most urgent first."""

    ok: bool
    outcome: str
    status: int | None
    message: str | None
    checks: dict[str, str] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)

    def _table(self) -> Any:
        rows = [{"what": name, "found": found} for name, found in self.checks.items()]
        return html_table(rows + [{"what": "to mend", "found": sentence} for sentence in self.advice])

    def _repr_mimebundle_(self, **kw: Any) -> dict[str, str]:
        bundle: dict[str, str] = self._table()._repr_mimebundle_(**kw)
        return bundle

    def __repr__(self) -> str:
        return repr(self._table())


def preflight(endpoint: Endpoint | str) -> Preflight:
    """Sends one small request and says what it showed. ConfigError where the endpoint's key is missing; what the endpoint does
    is never raised."""
    endpoint = Endpoint.of(endpoint, "preflight")
    config = RunConfig(endpoint=endpoint, scenarios=["D(16,8)"], concurrency=[1], max_requests=1, capture="all")
    run = run_sync(config)
    row = run.requests.row(0, named=True)
    authorization = endpoint.authorization()
    scheme = "no key" if authorization is None else authorization.partition(" ")[0]
    return Preflight(
        ok=row["outcome"] == "ok",
        outcome=row["outcome"],
        status=row["status"],
        message=row["error_message"],
        checks=_checks(row, endpoint, scheme) | _options(row, run.exchange(row["request_id"]).request.body),
        advice=_advice(row, endpoint, scheme),
    )


def _checks(row: dict[str, Any], endpoint: Endpoint, scheme: str) -> dict[str, str]:
    out = {"URL": redact_url(endpoint.url), "key": scheme if scheme == "no key" else f"sent as {scheme}"}
    answered = row["status"] is not None
    out["answer"] = f"{row['outcome']}, status {row['status']}" if answered else row["outcome"]
    if row["error_message"]:
        out["message"] = row["error_message"]
    if row["outcome"] == "ok":
        out["wire format"] = row["wire_format"]
        out["streamed"] = f"yes, {row['output_chunks']} chunk(s)" if row["ttft_s"] is not None else "no"
        out["usage"] = "reported" if row["output_tokens_server"] is not None else "not reported: the tokenizer counts"
        if row["output_tokens_target"] is not None:
            out["length"] = f"{row['output_tokens']} of {row['output_tokens_target']} tokens asked for"
        out["text"] = repr(row["text"][:80])
    for name, title in _TIMES:
        if row[name] is not None:
            out[title] = f"{row[name] * 1e3:.1f} ms"
    return out


def _options(row: dict[str, Any], body: bytes) -> dict[str, str]:
    """What became of the options that some servers refuse; a refusal that does not name one may mean any."""
    sent, said = orjson.loads(body), row["error_message"] or ""
    refused = row["status"] in (400, 422)
    out = {}
    for name in _OPTIONS:
        if name not in sent:
            out[name] = "not sent"
        elif row["outcome"] == "ok":
            out[name] = "accepted"
        elif refused:
            out[name] = "refused: the message names it" if name in said else "sent; the refusal does not name it"
    return out


def _advice(row: dict[str, Any], endpoint: Endpoint, scheme: str) -> list[str]:
    out = []
    if row["outcome"] == "http_error":
        status = row["status"]
        known = _BY_STATUS.get(status, "The server failed; its message and its log say more." if status >= 500 else "")
        out.append(known.format(scheme=scheme))
    elif row["outcome"] != "ok":
        out.append(_BY_OUTCOME.get(row["outcome"], ""))
    elif endpoint.stream and row["ttft_s"] is None and row["batch_size"] is None:
        out.append(
            "A stream was asked for and one document came: TTFT cannot be measured. Check the model's own stream switch."
        )
    if row["outcome"] == "ok" and (row["output_tokens"] or 0) < 0.9 * (row["output_tokens_target"] or 0):
        out.append("The answer is shorter than asked for: output lengths will not be those of the scenario.")
    return [sentence for sentence in out if sentence]
