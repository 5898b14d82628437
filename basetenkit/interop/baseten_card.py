"""Baseten's card of a model: the BenchmarkSnapshot of its management API, from runs, each figure with its interval beside it.

Baseten's schema names its figures and does not define them. The definitions used here are in DEFINITIONS, and in each card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from ..analysis.figures import summary_wide
from ..analysis.given import Given, as_run
from ..config.baseten_prices import ManagementApi
from ..config.endpoint import Endpoint
from ..config.loads import ClosedLoop
from ..config.run_config import RunConfig
from ..config.tasks import TASKS
from ..core.errors import ConfigError
from ..core.tables import html_table, interval, show
from ..core.types import Row
from ..results.run_data import RunData

TPOT_S = 0.05  # the limit in the name max_concurrent_users_at_50ms_tpot
PRESET: dict[str, Any] = {
    "scenarios": ["D(512,256)"],
    "concurrency": [1, 2, 4, 8, 16, 32, 64, 128],
    "max_requests": "auto",
}
PRESET |= {"slo": {"tpot_s": TPOT_S}}
AT = ("baseten_card", "upload")
LLM = {
    "ttft_ms_p50": "median TTFT at the lowest number of users",
    "output_tokens_per_sec_per_user_p50": "median of 1 / TPOT at the lowest number of users",
    "max_concurrent_users_at_50ms_tpot": "the highest measured number of users at which the median TPOT is at most 50 ms, as at "
    "each lower one; its interval: from the highest at which the whole interval of the median is, to the last before the "
    "first at which none of it is",
    "requests_per_sec_p50": "successes per second at that number of users: the mean of the measured time",
    "cost_per_1m_tokens_usd": "US dollars per million tokens, input and output together, at that number of users",
}
EMBEDDING = {
    "e2e_latency_ms_p50": "median E2E at the lowest number of requests in flight",
    "e2e_latency_ms_p99": "99th percentile of E2E at the lowest number of requests in flight",
    "input_tokens_per_sec": "input tokens per second at the number of requests in flight that has the most of them",
    "requests_per_sec": "successes per second at that number of requests in flight",
}
DEFINITIONS = LLM | EMBEDDING
_FIXED = re.compile(r"D\((\d+),(\d+)\)")
_Figure = tuple[float | None, float | None, float | None]  # value, low, high
_UNKNOWN: _Figure = (None, None, None)


class BasetenCard(dict[str, Any]):
    """What `bk.baseten_card` returns: a dict with the fields of Baseten's BenchmarkSnapshot (`run_id`, `measured_at`, `llm` or
    `embedding`, `replicas`, `profile`), and beside them `intervals` (figure -> [low, high] of 95%; None if a bound is not
    known), `definitions` (figure -> words), `reasons` (figure that is None -> why) and `price` (source and date, or None)."""

    @property
    def snapshot(self) -> dict[str, Any]:
        """Only the fields of Baseten's schema."""
        return {name: self[name] for name in ("run_id", "measured_at", "llm", "embedding", "replicas", "profile")}

    def upload(
        self,
        listing: str,
        version: str,
        *,
        api_key: str | SecretStr | None = None,
        base_url: str | None = None,
    ) -> dict[str, Any]:
        """Writes the snapshot to a version of a library listing through Baseten's management API, where it replaces the stored
        one. Nothing else of this package writes there.

        Parameters
        ----------
        listing : the listing's user-defined id.
        version : the tag of the listing's version.
        api_key : else BASETEN_API_KEY, then MODEL_API_KEY from the environment. It is sent only to baseten.co or to this machine.
        base_url : address of the management API; None: https://api.baseten.co.

        Returns
        -------
        dict : the version as the API returns it.

        Raises
        ------
        ConfigError : the card has no figure, no key, an address that must not get the key, no such listing, or no answer.
        """
        figures = (self["llm"] or {}) | (self["embedding"] or {})
        if all(value is None for value in figures.values()):
            raise ConfigError("the card has no figure, so nothing was written", at=AT)
        path = f"/v1/library_listings/{quote(listing, safe='')}/versions/{quote(version, safe='')}"
        with ManagementApi(base_url, api_key, AT) as api:
            return api.ask("PATCH", path, {"benchmark": self.snapshot})

    @property
    def _rows(self) -> list[dict[str, str]]:
        rows = []
        for name, value in ((self["llm"] or {}) | (self["embedding"] or {})).items():
            low, high = self["intervals"][name]
            shown = interval(value, low, high) if value is not None else f"unknown: {self['reasons'][name]}"
            rows.append({"figure": name, "value with 95% interval": shown, "definition": DEFINITIONS[name]})
        return rows

    @property
    def _caption(self) -> str:
        replicas = "unknown" if self["replicas"] is None else show(self["replicas"])
        price = f", {self['price']}" if self["price"] else ""
        return f"{self['profile']}, run {self['run_id']} of {self['measured_at']}, replicas: {replicas}{price}"

    def __repr__(self) -> str:
        return repr(html_table(self._rows, self._caption))

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return html_table(self._rows, self._caption)._repr_mimebundle_()


def baseten_card(
    run_or_runs: Given | Sequence[Given], *, replicas: int | None = None, run_id: str | None = None
) -> BasetenCard:
    """Baseten's BenchmarkSnapshot of runs at several numbers of users, each figure with its interval beside it; nothing is sent.

    Parameters
    ----------
    run_or_runs : a Run, or the folder of a saved one, or several of one endpoint; `bk.card_config(endpoint)` makes the config that
        measures all figures.
    replicas : how many replicas served; None: those of the price, if it has any.
    run_id : a name of the measurement; None: the name of the first run's folder, else its salt.

    Raises
    ------
    ConfigError : no run, runs of several endpoints or tasks, or no level with a number of users.

    Examples
    --------
    >>> run = bk.run_sync(bk.card_config(endpoint, price=price))
    >>> card = bk.baseten_card(run)
    >>> card["llm"]["ttft_ms_p50"], card["intervals"]["ttft_ms_p50"]
    """
    many = isinstance(run_or_runs, Iterable) and not isinstance(run_or_runs, str | bytes | RunData)
    runs = [as_run(given, "baseten_card") for given in (run_or_runs if many else [run_or_runs])]  # type: ignore[union-attr]
    if not runs:
        raise ConfigError("baseten_card: no run was given")
    if len({(run.config.endpoint.url, run.config.endpoint.model, run.config.task) for run in runs}) > 1:
        raise ConfigError("baseten_card: the runs are of several endpoints, models or tasks; a card is of one")
    scenario, levels = _levels(runs)
    generates = TASKS[runs[0].config.task].generates
    found = _llm(levels) if generates else _embedding(levels)
    price = next((run.config.price for run in runs if run.config.price is not None), None)
    fixed = _FIXED.fullmatch(scenario)
    started = min((at for run in runs if (at := run.manifest.metadata.started_at) is not None), default=None)
    first = runs[0]
    figures = {name: value for name, (value, _, _) in found.items()}
    reasons = {name: _reason(name, price is not None) for name, value in figures.items() if value is None}
    return BasetenCard(
        run_id=run_id or (first.path.name if first.path is not None else first.manifest.metadata.salt or "unknown"),
        measured_at=None if started is None else f"{datetime.fromtimestamp(started, UTC):%Y-%m-%d}",
        llm=figures if generates else None,
        embedding=None if generates else figures,
        replicas=replicas or (price.replicas if price is not None and price.dedicated else None),
        profile=f"{fixed[1]}x{fixed[2]}" if fixed else scenario,
        intervals={name: [low, high] for name, (_, low, high) in found.items()},
        definitions={name: DEFINITIONS[name] for name in figures},
        reasons=reasons,
        price=price.origin if price is not None else None,
    )


def card_config(endpoint: Endpoint | str, **fields: Any) -> RunConfig:
    """The config that measures all figures of Baseten's card: 512 input and 256 output tokens, 1 to 128 users. `fields`: further
    fields of RunConfig, e.g. `price`, or others than these, e.g. `concurrency`.

    >>> import basetenkit as bk
    >>> bk.card_config("http://127.0.0.1:8099/v1/chat/completions").scenarios
    ['D(512,256)']
    """
    return RunConfig(**{**PRESET, "endpoint": endpoint, **fields})


def _levels(runs: Sequence[RunData]) -> tuple[str, list[Row]]:
    """(the scenario, the rows of its closed levels by users). Of a level in several runs, the last one's row; of several scenarios
    that of Baseten's own profile."""
    rows = [row for run in runs for row in summary_wide(run).iter_rows(named=True) if row["load"] == ClosedLoop.kind]
    scenarios = list(dict.fromkeys(str(row["scenario"]) for row in rows))
    if not scenarios:
        raise ConfigError("baseten_card: the runs have no level with a number of users; run bk.card_config(endpoint)")
    scenario = PRESET["scenarios"][0] if PRESET["scenarios"][0] in scenarios else scenarios[0]
    if len(scenarios) > 1 and scenario != PRESET["scenarios"][0]:
        raise ConfigError(f"baseten_card: the runs have several scenarios ({', '.join(scenarios)}); a card is of one")
    levels = {float(row["level"]): row for row in rows if row["scenario"] == scenario and row["ok"]}
    return scenario, [levels[users] for users in sorted(levels)]


def _figure(row: Row | None, name: str, factor: float = 1.0) -> _Figure:
    if row is None:
        return _UNKNOWN
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return tuple(None if x is None else factor * x for x in (value, low, high))  # type: ignore[return-value]


def _llm(levels: Sequence[Row]) -> dict[str, _Figure]:
    lowest = levels[0] if levels else None
    users, at = _users(levels)
    return {
        "ttft_ms_p50": _figure(lowest, "ttft_s_p50", 1e3),
        "output_tokens_per_sec_per_user_p50": _figure(lowest, "output_inference_speed_p50"),
        "max_concurrent_users_at_50ms_tpot": users,
        "requests_per_sec_p50": _figure(at, "requests_per_s"),
        "cost_per_1m_tokens_usd": _figure(at, "usd_per_million_tokens"),
    }


def _users(levels: Sequence[Row]) -> tuple[_Figure, Row | None]:
    """The most users within the TPOT, with an interval, and the row of that level; None if the lowest level is not within it."""
    within: list[Row] = []
    for row in levels:
        if row["tpot_s_p50"] is None or row["tpot_s_p50"] > TPOT_S:
            break
        within.append(row)
    surely = [row["level"] for row in within if (row["tpot_s_p50_high"] or float("inf")) <= TPOT_S]
    beyond = [row["level"] for row in levels if (row["tpot_s_p50_low"] or 0.0) > TPOT_S]
    if not within:
        return _UNKNOWN, None
    high = int(min(beyond)) - 1 if beyond else None
    return (int(within[-1]["level"]), int(max(surely)) if surely else None, high), within[-1]


def _embedding(levels: Sequence[Row]) -> dict[str, _Figure]:
    lowest = levels[0] if levels else None
    fastest = max(levels, key=lambda row: row["input_tokens_per_s"] or 0.0, default=None)
    return {
        "e2e_latency_ms_p50": _figure(lowest, "e2e_s_p50", 1e3),
        "e2e_latency_ms_p99": _figure(lowest, "e2e_s_p99", 1e3),
        "input_tokens_per_sec": _figure(fastest, "input_tokens_per_s"),
        "requests_per_sec": _figure(fastest, "requests_per_s"),
    }


def _reason(name: str, priced: bool) -> str:
    if name == "cost_per_1m_tokens_usd" and not priced:
        return "no price is given"
    if name in ("max_concurrent_users_at_50ms_tpot", "requests_per_sec_p50", "cost_per_1m_tokens_usd"):
        return "no measured number of users is within 50 ms of TPOT, or TPOT was not measured"
    return "it was not measured"
