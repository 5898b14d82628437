"""One small request before a run: whether the endpoint answers, in which dialect, and what to fix.

It is one request, not a probe of variants: what it says of `ignore_eos` or usage is what this one answer showed. A run begins with
one request of its own (`RunConfig.preflight`), which looks only at whether anybody answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson

from ..analysis.advice import advise
from ..config.endpoint import Endpoint
from ..config.run_config import RunConfig
from ..config.tasks import TASKS
from ..core.markup import render
from ..core.secrets import redact_url
from ..core.tables import Html, html_table, stacked
from ..core.types import NewRow
from ..results.interpret import interpret
from ..results.row_notes import restored
from ..session import run_sync

_USUAL = "text-to-text"
_OPTIONS = "ignore_eos", "stream_options"
ONE: dict[str, object] = {"steady": False, "preflight": False}  # one request, and none before or behind it
_FIRST = """
<p role="{{ "status" if ok else "alert" }}" class="bk-{{ "fine" if ok else "wrong" }}"
 style="font-weight: 600{% if not ok %}; color: var(--jp-error-color1, #b00020){% endif %}">{{ sentence }}</p>"""
_TIMES = (
    ("dns_s", "DNS"),
    ("connect_s", "TCP"),
    ("tls_s", "TLS"),
    ("ttft_s", "first token"),
    ("e2e_s", "whole answer"),
)


@dataclass(frozen=True)
class Preflight:
    """The result of one request. `checks`: the results as text; `advice`: what to fix, most urgent first."""

    ok: bool
    outcome: str
    status: int | None
    message: str | None
    checks: dict[str, str] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """Whether a run can start, and if not, why not and what to do first."""
        if self.ok:
            return "✓ The endpoint answers. A run can start."
        status = "" if self.status is None else f" (status {self.status})"
        return " ".join([f"✗ The endpoint does not answer as it should: {self.outcome}{status}.", *self.advice[:1]])

    def _table(self) -> Html:
        rows = [{"what": name, "found": found} for name, found in self.checks.items()]
        return html_table(rows + [{"what": "to fix", "found": sentence} for sentence in self.advice])

    def _repr_mimebundle_(self, **kw: object) -> dict[str, str]:
        first = render(_FIRST, ok=self.ok, sentence=self.sentence)
        return {"text/html": stacked(first, self._table()), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"{self.sentence}\n{self._table()!r}"


def preflight(
    endpoint: Endpoint | RunConfig | str,
    *,
    task: str | None = None,
    request_params: Mapping[str, object] | None = None,
) -> Preflight:
    """Sends one small request and reports what works and what to fix. ConfigError if the endpoint's key is missing; a failure
    of the endpoint raises no error.

    `endpoint`: an Endpoint, its URL, or a RunConfig with endpoint, task and request_params. `task`: None means
    "text-to-embeddings" if the URL's path ends in /embeddings, else "text-to-text". `request_params`: further payload fields.
    No tokenizer is needed.
    """
    config = _config(endpoint, task, request_params)
    run = run_sync(config)
    row = run.requests.row(0, named=True)
    row["notes"] = restored(row["notes"])
    exchange = run.exchange(row["request_id"])
    sent, code = exchange.request.body, interpret(exchange, config.endpoint).error_code
    arrivals = run.chunks.select("arrival_s", "error_s").collect().rows()
    return Preflight(
        ok=row["outcome"] == "ok",
        outcome=row["outcome"],
        status=row["status"],
        message=row["error_message"],
        checks=_checks(row, config.endpoint) | _options(row, sent),
        advice=advise(row | {"error_code": code}, config, orjson.loads(sent), arrivals),
    )


def _config(
    endpoint: Endpoint | RunConfig | str, task: str | None, request_params: Mapping[str, object] | None
) -> RunConfig:
    """The config of one small request."""
    if isinstance(endpoint, RunConfig):
        task, request_params = task or endpoint.task, request_params or endpoint.request_params
        endpoint = endpoint.endpoint
    else:
        endpoint = Endpoint.of(endpoint, "preflight")
    path = urlsplit(endpoint.url).path.rstrip("/")
    by_path = (name for name, known in TASKS.items() if not known.generates and path.endswith(known.route))
    task = task or next(by_path, _USUAL)
    given: dict[str, object] = {"task": task, "request_params": request_params or {}}
    scenario = TASKS.get(task, TASKS[_USUAL]).probe  # RunConfig refuses an unknown task
    return RunConfig(
        endpoint=endpoint, scenarios=[scenario], concurrency=[1], max_requests=1, capture="all", **ONE, **given
    )


def _checks(row: NewRow, endpoint: Endpoint) -> dict[str, str]:
    authorization = endpoint.authorization()
    scheme = "no key" if authorization is None else authorization.partition(" ")[0]
    out = {"URL": redact_url(endpoint.url), "key": scheme if scheme == "no key" else f"sent as {scheme}"}
    answered = row["status"] is not None
    out["answer"] = f"{row['outcome']}, status {row['status']}" if answered else row["outcome"]
    if row["error_message"]:
        out["message"] = row["error_message"]
    if row["outcome"] == "ok":
        out["wire format"] = row["wire_format"]
        if row["batch_size"] is not None:
            out["vectors"] = f"{row['batch_size']}, of {row['embedding_dimension']} numbers each"
            return out | _times(row)
        out["streamed"] = f"yes, {row['output_chunks']} chunk(s)" if row["ttft_s"] is not None else "no"
        above = next((note.sentence for note in row["notes"] if note.code == "over_max_tokens"), None)
        reported = "reported" if row["output_tokens_server"] is not None else "not reported: the tokenizer counts"
        out["usage"] = above or reported
        if row["output_tokens_target"] is not None:
            out["length"] = f"{row['output_tokens']} of {row['output_tokens_target']} tokens asked for"
        out["text"] = repr(row["text"][:80])
    return out | _times(row)


def _times(row: NewRow) -> dict[str, str]:
    return {title: f"{row[name] * 1e3:.1f} ms" for name, title in _TIMES if row[name] is not None}


def _options(row: NewRow, body: bytes) -> dict[str, str]:
    """What happened to the options that some servers refuse; a refusal that does not name one may mean any."""
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
