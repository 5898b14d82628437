"""The search for the capacity of an endpoint: the largest load at which the share of requests within the SLO is at least a
target, as a posterior with a 95% interval, from blocks of requests at several loads. docs/concepts/capacity.md describes the
method and its limits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from ..analysis.cost import spent
from ..analysis.expected import mean_tokens
from ..config.budget import Budget
from ..config.coercions import from_json
from ..config.loads import ClosedLoop, OpenLoop
from ..config.plan import scenarios_of
from ..config.run_config import RunConfig
from ..config.scenarios import parse_scenario
from ..core.errors import ConfigError
from ..core.pending import awaited
from ..core.progress import ProgressLine
from ..core.types import JsonObject
from ..execution.waiting import wait_for
from ..results.documents import read_document
from ..results.store import RUN_FILE
from ..runs import Run
from ..session import load as load_run
from ..session import start
from ..stats import capacity_search as cs
from ..stats.capacity import Posterior
from ..storage.address import Place, Storage, as_place
from . import capacity_blocks as blocks
from .capacity_control import SearchControl, SearchProgress
from .capacity_result import Capacity, made
from .capacity_state import SearchState

SINGLES, IDLE_TRIES, IDLE_TIMES = 20, 5, 1.5
LOADS = {OpenLoop.kind: "requests/s", ClosedLoop.kind: "requests in flight"}


@awaited("bk.capacity(...)", "bk.capacity_sync(...) if nothing can be awaited")
async def capacity(
    config: RunConfig,
    *,
    slo: Mapping[str, float | str] | None = None,
    goodput: float = 0.95,
    load: Literal["request_rate", "concurrency"] = "request_rate",
    low: float | None = None,
    high: float | None = None,
    precision: float = 0.10,
    budget: Budget | Mapping[str, float] | None = None,
    save_to: Place | None = None,
    certificate: bool = True,
    control: SearchControl | None = None,
    cluster: object = None,
) -> Capacity:
    """Finds the largest load at which at least `goodput` of all requests meet the SLO; await it in a cell.

    Parameters
    ----------
    config : one scenario; its loads, `max_requests`, `repeats` and `until` are not used.
    slo : limits in s, e.g. {"ttft_s": 0.5}; None: those of the config.
    goodput : the share of requests that must be within every limit, e.g. 0.95. Failed, refused and timed-out requests are not.
    load : "request_rate" (requests per second, Poisson arrivals by default) or "concurrency" (requests in flight).
    low, high : the range of loads to search; None: no limit.
    precision : the search stops when the 97.5% quantile divided by the 2.5% quantile is below (1 + precision)**2, about 1.2 for
        0.10.
    budget : a Budget, or its fields; None: 30 minutes. The search exceeds it by at most one block.
    save_to : a folder, here or in a bucket. The same call with the same folder continues with the block that was not finished.
    certificate : whether to test the low end, the load to plan with, in a last block.
    control : a SearchControl, to watch the search and to stop it from elsewhere.
    cluster : as in `bk.run`: the blocks are sent from a Dask cluster's workers, the single requests from here.

    Returns
    -------
    Capacity : `value`, `low`, `high`, `resolved`, `certificate`, `frame`, `runs`, `caveats`, `chart()`.

    Raises
    ------
    ConfigError : the settings are impossible, or differ from those of the search in `save_to`. A failure of the endpoint raises
    no error.

    Examples
    --------
    >>> found = await bk.capacity(config, slo={"ttft_s": 0.5}, goodput=0.95, budget=bk.Budget(minutes=30))
    >>> found.low, found.certificate
    """
    config, limits = _checked(config, slo, goodput, load, precision)
    spendable = _budget(budget, config)
    settings: JsonObject = {"goodput": goodput, "load": load, "low": low, "high": high, "precision": precision}
    root = None if save_to is None else as_place(save_to, "capacity: save_to")
    state = SearchState.open(root, config, settings, limits)
    going = _Going(config, state, spendable, root, control, cluster)
    answer, history = await _search(going, state, settings, certificate)
    return made(answer, config, settings, state.records, going.runs, (1 + precision) ** 2, history)


async def _search(
    going: _Going, state: SearchState, settings: JsonObject, certify: bool
) -> tuple[cs.Answer, Sequence[Posterior | None]]:
    """Performs the search from where it is; the answer, and the posterior after each block."""
    nothing = cs.Answer(cs.SearchOutcome.NO_DATA, None, False, 1.0)
    ratio, users = (1 + settings["precision"]) ** 2, settings["load"] == ClosedLoop.kind
    rules = cs.Rules(
        settings["goodput"], going.whole, going.left, ratio, users, settings["low"], settings["high"], certify
    )
    try:
        await going.singles()
        if state.e2e_s is None:
            return nothing, ()
        search = cs.Search(rules, state.e2e_s, state.singles)
        try:
            search.replay([record.load for record in state.records], [record.block for record in state.records])
        except ValueError as error:
            raise ConfigError(f"capacity: save_to holds another search: {error}; give a new folder") from None
        while (ask := search.next()) is not None:
            record = None if going.stopped() else await going.block(ask, settings["goodput"], search.now)
            if record is None:
                search.stop()
            else:
                search.take(record.block)
    finally:
        going.line.close(going.shown)
    return search.answer or nothing, search.history


def capacity_sync(config: RunConfig, **options: Any) -> Capacity:
    """`capacity` for a script, or for a cell that cannot await; it blocks the calling thread. It has the same arguments and
    errors."""
    return wait_for(lambda: capacity(config, **options))


def _checked(
    config: RunConfig, slo: Mapping[str, float | str] | None, goodput: float, load: str, precision: float
) -> tuple[RunConfig, dict[str, float]]:
    if not isinstance(config, RunConfig):
        raise ConfigError(
            f"capacity takes a RunConfig, not {type(config).__name__}; e.g. bk.capacity(bk.RunConfig(...))"
        )
    if slo is not None:
        config = config.with_(slo=slo)
    if not config.slo:
        raise ConfigError("capacity: no limit is given; e.g. slo={'ttft_s': 0.5}")
    if not 0 < goodput < 1:
        raise ConfigError(f"capacity: goodput={goodput}; it is a share between 0 and 1, e.g. 0.95")
    if load not in LOADS:
        raise ConfigError(f"capacity: load={load!r}; it is one of {', '.join(LOADS)}")
    if not 0 < precision < 1:
        raise ConfigError(f"capacity: precision={precision}; it is a share between 0 and 1, e.g. 0.1")
    if len(scenarios_of(config)) != 1:
        raise ConfigError("capacity: one scenario and one batch size at a time, e.g. scenarios='D(100,100)'")
    return config.with_whole_url(), dict(config.slo)


def _budget(given: Budget | Mapping[str, float] | None, config: RunConfig) -> Budget:
    fields = {"minutes": 30} if given is None else from_json(given)
    budget = fields if isinstance(fields, Budget) else Budget.model_validate(fields)
    if budget.usd is not None and config.price is None:
        raise ConfigError("capacity: a budget in US dollars needs a price: RunConfig(price=bk.Price(...))")
    return budget


class _Going:
    """A search on an endpoint while it goes on: performs blocks, and knows what was spent."""

    def __init__(
        self,
        config: RunConfig,
        state: SearchState,
        budget: Budget,
        root: Path | Storage | None,
        control: SearchControl | None,
        cluster: object,
    ) -> None:
        self._config, self._state, self._budget, self._root = config, state, budget, root
        self._control, self._cluster = control, cluster
        self.runs: list[Run] = []
        self.line, self.shown = ProgressLine(hidden=control is not None), {"level": ""}
        tokens = mean_tokens(parse_scenario(scenarios_of(config)[0]), config)
        self._per_request = None if tokens is None else sum(tokens)
        price = config.price
        self._usd_each = None if price is None or tokens is None else price.of_tokens(*tokens)
        self._usd_per_s = None if price is None else price.of_seconds(1)
        if root is not None:
            folders = [self._folder(k) for k in range(len(state.records))]
            self.runs = [load_run(folder) for folder in folders if read_document(folder / RUN_FILE) is not None]

    def _folder(self, index: int) -> Path | Storage:
        assert self._root is not None
        return self._root / f"block-{index:03d}"

    def whole(self, load: float) -> float:
        """Requests that the whole budget pays for at a load."""
        limits = {name: getattr(self._budget, name) for name in type(self._budget).model_fields}
        return self._payable(load, {name: limit for name, limit in limits.items() if limit is not None})

    def left(self, load: float) -> float:
        """Requests that are left of the budget at a load."""
        return self._payable(load, self._state.left(self._budget))

    def _payable(self, load: float, left: Mapping[str, float]) -> float:
        rate, found = self._state.rate_at(load), [math.inf]
        if "minutes" in left:
            found.append(60 * left["minutes"] * rate)
        if "requests" in left:
            found.append(left["requests"])
        if "tokens" in left and self._per_request:
            found.append(left["tokens"] / self._per_request)
        if "usd" in left and self._usd_per_s:
            found.append(left["usd"] / self._usd_per_s * rate)
        elif "usd" in left and self._usd_each:
            found.append(left["usd"] / self._usd_each)
        return max(min(found), 0.0)

    def stopped(self) -> bool:
        """Whether the search was told to stop."""
        return self._control is not None and self._control.stopped

    def _tell(self, doing: str, seen: JsonObject, seconds: float = 0.0, posterior: Posterior | None = None) -> None:
        """Shows how far the search is: in a line, or through the SearchControl that was given."""
        self.shown = seen | {"level": doing}
        self.line.show(self.shown)
        if self._control is not None:
            s, left = self._state, self._state.left(self._budget)
            if "minutes" in left:
                left["minutes"] = max(left["minutes"] - seconds / 60, 0.0)
            sent, planned = int(seen.get("sent") or 0), int(seen.get("planned") or 0)
            self._control.progress = SearchProgress(
                doing,
                LOADS[str(s.about["load"])],
                float(s.about["goodput"]),
                sent,
                planned,
                tuple(s.records),
                posterior,
                s.seconds + seconds,
                s.sent + sent,
                None if self._config.price is None else s.usd,
                left,
            )

    async def singles(self) -> None:
        """Single requests on an idle endpoint: how long one takes."""
        state = self._state
        if state.begun:
            return
        began = time.monotonic()
        self._tell(f"{SINGLES} single requests: how long does one take?", {})
        config = self._as_block(OpenLoop.kind, 1.0, SINGLES, 0).with_(concurrency=[1], request_rate=[])
        live = start(config.with_(preflight=self._config.preflight))
        run = await live
        self.runs.append(run)
        took = run.rows.filter(pl.col("outcome") == "ok")["e2e_s"].drop_nulls()
        if len(took):
            state.e2e_s, state.slowest_s = float(took.median()), float(took.max())  # type: ignore[arg-type]
            state.begun, state.singles = True, blocks.pace(run.rows)
        state.extra += run.rows.height
        self._spend(run, time.monotonic() - began)
        state.save(self._root)

    def _as_block(self, kind: str, load: float, requests: int, index: int) -> RunConfig:
        loads: JsonObject = {"concurrency": [], "request_rate": [load]}
        if kind == ClosedLoop.kind:
            loads = {"concurrency": [int(load)], "request_rate": []}
        return self._config.with_(
            **loads,
            max_requests=requests,
            max_seconds=86_400 if self._budget.minutes is None else max(60 * self._budget.minutes, 1),
            warmup_requests=0,
            repeats=1,
            until={},
            steady=False,
            preflight=False,
            stop_on_overload=False,
            abort_after_failures=None,
            max_total_tokens=None,
            seed=self._config.seed + index,
            salt=f"{self._state.salt}-{index}",
        )

    async def block(self, ask: cs.Ask, goodput: float, now: Posterior | None) -> blocks.BlockRecord | None:
        """Performs a block, waits until the endpoint is idle, and saves both. None if the search was stopped meanwhile: the block's
        run is kept, but a block that was cut anywhere is not evidence."""
        state, began = self._state, time.monotonic()
        index, kind = len(state.records), str(state.about["load"])
        config = self._as_block(kind, ask.load, ask.total, index + 1)
        folder = None if self._root is None else self._folder(index)
        where = f"{ask.kind} block {index + 1} at {ask.load:.3g} {LOADS[kind]}"
        known = "" if now is None else f", capacity {now.low:.3g} to {now.high:.3g} so far"

        def show(seen: JsonObject) -> None:
            self._tell(where + known, seen, time.monotonic() - began, now)

        run, abandoned = await blocks.perform(config, ask, goodput, folder, show, self.stopped, self._cluster)
        self.runs.append(run)
        sent_s = time.monotonic() - began
        if self.stopped() and not run.complete:
            self._spend(run, sent_s)
            return None
        found = blocks.record(run, ask, abandoned, sent_s)
        if abandoned:
            self._tell(f"waiting until the endpoint is idle after {where}", {}, sent_s, now)
            limit = IDLE_TIMES * state.slowest_s
            after = await blocks.until_idle(config, limit, found.p95_s or state.slowest_s, IDLE_TRIES)
            state.extra += after.height
            found = replace(found, singles=blocks.pace(after.tail(blocks.AFTER_OVERLOAD)))
        state.records.append(found)
        self._spend(run, time.monotonic() - began)
        state.save(self._root)
        return found

    def _spend(self, run: Run, seconds: float) -> None:
        state, price = self._state, self._config.price
        ok = run.rows.filter(pl.col("outcome") == "ok")
        state.seconds += seconds
        state.tokens += int(ok["input_tokens"].fill_null(0).sum()) + int(ok["output_tokens"].fill_null(0).sum())
        if price is not None:
            state.usd += spent(run.rows, [seconds], price) or 0.0
