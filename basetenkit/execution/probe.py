"""The one request before a run: does the endpoint answer?

If the endpoint does not answer, the run then costs one request, not `abort_after_failures` requests per level. The request is
like one of the first level to run, with different words, so that it does not fill a cache for the level. It is sent from the
run's own process, also if workers send the levels. Its row has the phase "preflight" and is in its own folder: no level and no
figure includes it.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from ..analysis.advice import advise
from ..analysis.refusals import not_ready
from ..config.plan import PlannedLevel
from ..config.run_config import RunConfig
from ..config.scenarios import Scenario
from ..core.types import Cause, Exchange, Outcome, Request
from ..loadgen.counters import SharedCounters
from ..loadgen.generator import LoadGenerator, Shard
from ..loadgen.prepared import Prepared
from ..loadgen.request_source import connections, quota
from ..results.interpret import interpret
from ..results.store import redact_exchange
from ..transport.clock import Poller, mono
from ..transport.http_request import HttpRequest

PHASE = "preflight"
MOST_TOKENS = 128  # of output: a long answer would only keep the run waiting
# Of a URL, a key or a path that is wrong: every further request would come to the same.
_DEAD = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 407, 410})


class Probe(LoadGenerator):
    """A LoadGenerator that sends one request. `level`: the level whose requests it is like; its index names the row's folder."""

    @classmethod
    def of(cls, prepared: Prepared, salt: str, poller: Poller) -> Probe:
        alone = {"max_requests": 1, "warmup_requests": 0, "steady": False, "until": {}, "max_total_tokens": None}
        config = prepared.config
        # Another seed and salt: lengths as the scenario draws them, and other words than the level's own first request has.
        single = config.model_copy(update=alone | {"seed": -1 - config.seed})
        return cls(replace(prepared, config=single), salt=f"{salt}-{PHASE}", poller=poller, tally=SharedCounters())

    async def ask(self, level: PlannedLevel) -> dict[str, object]:
        """Sends it and keeps its row, which `take` hands over; gives the row, with `error_code` and `advice` beside it."""
        endpoint = self._config.endpoint
        self._tally.begin(quota(self._config, level.load))
        self.prefetch(Shard(level, users=1))
        request, message = _shortened(*self._source.unnumbered(), config=self._config, scenario=level.scenario)
        exchange = Exchange(request, scheduled_ns=(now := mono()), start_ns=now)
        table = self._batch.table
        table.start(now)
        pool = connections(endpoint, self._poller, self._wall)
        try:
            await pool.exchange(exchange, message)
        finally:
            await pool.close()
            redact_exchange(exchange, self._secrets)
            parsed = interpret(exchange, endpoint)
            row = table.append(table.read(exchange, parsed))
            if self._config.capture == "all" or (self._config.capture == "errors" and parsed.outcome is not Outcome.OK):
                self._capture(exchange, self._batch)
        row = row | {"error_code": parsed.error_code}
        return row | {"advice": advise(row, self._config, orjson.loads(request.body))}


def _shortened(
    request: Request, message: HttpRequest, config: RunConfig, scenario: Scenario
) -> tuple[Request, HttpRequest]:
    """The request under the phase "preflight", its output no longer than MOST_TOKENS if that is ours to say."""
    request = replace(request, phase=PHASE)
    key, asked = config.endpoint.max_tokens_key, request.output_tokens_target
    body = orjson.loads(request.body)
    ours = not scenario.needs_data and not any(name.startswith("min_") for name in body)
    if not ours or asked is None or asked <= MOST_TOKENS or body.get(key) != asked or key in config.request_params:
        return request, message
    data = orjson.dumps(body | {key: MOST_TOKENS})
    return replace(request, body=data, output_tokens_target=MOST_TOKENS), replace(message, body=data)


def nothing_answers(row: dict[str, object], waits: bool) -> bool:
    """Whether no request of the run could succeed: there is no server, or the URL, the key or the path is wrong. A model that
    is not ready, a refused field, a slow answer or a limit of this machine is not that. `waits`: the warm-up waits for a
    server."""
    if row["outcome"] == "http_error":
        return row["status"] in _DEAD and not not_ready(row)
    if row["outcome"] not in ("connection_error", "timeout") or row["sent_s"] is not None:
        return False
    return row["error_cause"] != Cause.OWN_LIMIT and not (waits and row["error_cause"] == Cause.REFUSED)
