"""When a level stops, condition by condition: where there is reason for it, and where there is none yet."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pytest

from basetenkit.analysis.precision import precision
from basetenkit.config.loads import ClosedLoop, OpenLoop
from basetenkit.core.reasons import Stop, StopReason
from basetenkit.loadgen.stop_conditions import (
    AFTER_FAILURES,
    EACH_SECOND,
    FirstFailures,
    Overload,
    PrecisionReached,
    Seen,
    StopRequest,
    TimeLimit,
    TokenLimit,
    conditions,
    first_stop,
)
from basetenkit.results.schema import CHUNK_SCHEMA

from ..analysis.frames import rows
from ..making import config


@dataclass
class Counted:
    finished: int = 0
    successes: int = 0
    tokens: int = 0


@pytest.mark.parametrize(("finished", "successes", "stops"), [(4, 0, False), (5, 0, True), (9, 0, True), (9, 1, False)])
def test_the_first_failures(finished: int, successes: int, stops: bool) -> None:
    stop = FirstFailures(5).check(Seen(Counted(finished, successes)))
    assert stop == (Stop(StopReason.FAILURES, {"requests": 5}) if stops else None)


def test_an_overload_is_a_rise_for_good() -> None:
    rising, level = [3 * i for i in range(60)], [40 + i % 3 for i in range(60)]
    stop = Overload().check(Seen(Counted(), 400, rising))
    assert stop is not None
    assert stop.reason is StopReason.OVERLOAD
    assert 0 < stop.fields["early"] < stop.fields["late"] <= max(rising)
    assert Overload().check(Seen(Counted(), 400, level)) is None
    assert Overload().check(Seen(Counted(), 400, rising[:5])) is None


@pytest.mark.parametrize(
    ("limit", "spent", "promised", "forbidden"), [(None, 10**9, 1, False), (10, 4, 6, False), (10, 5, 6, True)]
)
def test_the_tokens_of_a_run(limit: int | None, spent: int, promised: int, forbidden: bool) -> None:
    assert TokenLimit(limit).forbids(promised, Counted(tokens=spent)) is forbidden


def test_the_time_of_a_level() -> None:
    assert TimeLimit(2.5).stop == Stop(StopReason.TIME, {"seconds": 2.5})


def test_precision_is_looked_at_after_the_warm_up_and_then_seldom() -> None:
    until = {"ttft_s_p50": 0.5}
    reached = PrecisionReached(
        config(until=until, warmup_requests=10, max_requests=1000), lambda rows, chunks: precision(rows, chunks, until)
    )
    assert [reached.due(n) for n in (209, 210)] == [False, True]
    before = reached.enough
    reached.look(rows(200, in_window=True), pl.LazyFrame(schema=CHUNK_SCHEMA))
    assert (before, reached.enough) == (False, True)
    assert [reached.due(n) for n in (309, 310)] == [False, True]
    assert not PrecisionReached(config(), lambda rows, chunks: precision(rows, chunks, {})).due(10**6)


def test_who_asks_first_for_a_stop_is_named() -> None:
    request, first = StopRequest(), Stop(StopReason.STOPPED, {"why": "first"})
    assert request.made is None
    request.ask(first)
    request.ask(Stop(StopReason.STOPPED, {"why": "second"}))
    assert request.made == first


def test_a_config_names_its_conditions() -> None:
    closed, scheduled = ClosedLoop(2), OpenLoop(3.0)
    assert conditions(AFTER_FAILURES, config(abort_after_failures=None), closed) == []
    assert conditions(AFTER_FAILURES, config(abort_after_failures=7), closed) == [FirstFailures(7)]
    watched = config(stop_on_overload=True)
    assert [conditions(EACH_SECOND, watched, load) for load in (closed, scheduled)] == [[], [Overload()]]
    assert conditions(EACH_SECOND, config(), scheduled) == []
    both = [FirstFailures(9), FirstFailures(2)]
    assert first_stop(both, Seen(Counted(3))) == Stop(StopReason.FAILURES, {"requests": 2})
    assert first_stop([], Seen(Counted(3))) is None
