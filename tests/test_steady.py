"""A level that is stationary from its first measured request to its last: which requests go around the measured ones, and that no
figure, gate or fate counts them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.config.loads import ClosedLoop
from basetenkit.config.scenarios import parse_scenario
from basetenkit.workload.sampler import Sampler
from basetenkit.workload.tokenizer import load_tokenizer

from .making import config as of_fields
from .making import number

MIXED = "0.8*D(10,4)+0.2*D(10,60)"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=2) as server:
        yield server


def config(server: Any, **kw: Any) -> bk.RunConfig:
    fields: dict[str, Any] = {"scenarios": MIXED, "concurrency": 4, "max_requests": 30, "salt": "s"}
    return bk.RunConfig(endpoint=bk.Endpoint(url=server.url, model="m"), **(fields | kw))


def phases(run: bk.Run) -> dict[str, int]:
    return dict(run.requests.filter(pl.col("phase") != "preflight")["phase"].value_counts().iter_rows())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_closed_loop_measures_exactly_what_was_planned_with_load_around_it(server: Any, workers: int) -> None:
    run = bk.run_sync(config(server, workers=workers))
    counts, rows = phases(run), run.requests
    assert counts["measured"] == 30
    assert 4 <= counts["ramp"] <= 12 + 4
    assert counts.get("cooldown", 0) >= 1
    measured, cooldown = (rows.filter(pl.col("phase") == name) for name in ("measured", "cooldown"))
    assert (measured["outcome"] == "ok").all()
    assert measured["in_window"].all()
    assert not rows.filter(pl.col("phase") != "measured")["in_window"].any()
    assert number(cooldown["start_s"].min()) >= number(measured["start_s"].max())
    cut = cooldown.filter(pl.col("outcome") == "cancelled")
    assert (cut["end_s"] >= measured["end_s"].max()).all()
    assert all("kept the load on" in message for message in cut["error_message"])
    assert rows["request_id"].is_unique().all()
    assert run.metadata["levels"][0]["peak_in_flight"] == 4


def test_what_goes_around_is_in_no_count_but_its_own(server: Any) -> None:
    run = bk.run_sync(config(server, slo={"e2e_s": 30}))
    fates, found = run.fates.row(0, named=True), run.summary_wide.row(0, named=True)
    assert (fates["planned"], fates["sent"], fates["ok"], fates["cancelled"], fates["never_sent"]) == (30, 30, 30, 0, 0)
    assert (fates["ramp"], fates["cooldown"]) == (phases(run)["ramp"], phases(run)["cooldown"])
    assert (found["sent"], found["ok"], found["cancelled"], found["in_window"]) == (30, 30, 0, 30)
    assert (found["goodput"], found["error_rate"]) == (1.0, 0.0)
    assert run.complete
    assert not {f.code for f in run.findings} & {"some_failed", "unfinished", "window_uncut"}
    assert bk.check_gates(run).failed == []


def test_without_it_exactly_the_measured_requests_are_sent(server: Any) -> None:
    assert phases(bk.run_sync(config(server, steady=False, preflight=False))) == {"measured": 30}


def test_the_measured_requests_are_the_same_whatever_goes_around_them(server: Any) -> None:
    bodies = []
    with bk.emulator.serve(ttft_ms=60, itl_ms=1) as slow:
        for one, steady in ((server, True), (slow, True), (server, False)):
            run = bk.run_sync(config(one, steady=steady, capture="all", scenarios="U(10,30)/(2,20)"))
            rows = run.requests.filter(pl.col("phase") == "measured").sort("start_s")
            bodies.append(sorted(zip(rows["input_tokens_target"], rows["output_tokens_target"], strict=True)))
    assert bodies[0] == bodies[1] == bodies[2]


def test_the_first_requests_are_drawn_by_their_length_and_cut_at_a_random_place() -> None:
    """Of 4 and 60 tokens at 0.8 and 0.2, a stationary load is in a long one in 60 * 0.2 / (60 * 0.2 + 4 * 0.8) = 79% of its time;
    the rest of it is uniform, so 30.5 tokens in the mean."""
    c = of_fields(scenarios=MIXED)
    sampler = Sampler(c, parse_scenario(c.scenarios[0]), load_tokenizer(None), salt="s", stream="x")
    drawn = [sampler.opening().output_tokens_target or 0 for _ in range(2000)]
    long = 12 / (12 + 3.2)
    assert sum(n > 4 for n in drawn) / 2000 == pytest.approx(long * 56 / 60, abs=0.03)
    assert sum(drawn) / 2000 == pytest.approx(long * 30.5 + (1 - long) * 2.5, rel=0.05)
    assert min(drawn) >= 1
    assert max(drawn) <= 60


def test_an_open_loop_warms_up_by_time_and_goes_on_to_the_end(server: Any) -> None:
    run = bk.run_sync(config(server, concurrency=[], request_rate=[40], scenarios="D(10,40)", max_requests=40))
    rows = run.requests.filter(pl.col("phase") != "preflight")
    ramp, measured, cooldown = (rows.filter(pl.col("phase") == name) for name in ("ramp", "measured", "cooldown"))
    assert measured.height == 40
    assert ramp.height >= 2
    first = rows.sort("start_s").row(0, named=True)
    assert number(measured["start_s"].min()) >= 2 * (first["end_s"] - first["start_s"]) * 0.5
    assert number(ramp["scheduled_s"].max()) < number(measured["scheduled_s"].min())
    assert number(cooldown["scheduled_s"].min()) > number(measured["scheduled_s"].max())
    assert (measured["outcome"] == "ok").all()


def test_a_data_set_of_unknown_lengths_begins_user_by_user(server: Any) -> None:
    texts = pl.DataFrame({"prompt": [f"question number {i}" for i in range(20)]})
    run = bk.run_sync(config(server, scenarios="dataset", dataset=texts, request_params={"max_tokens": 40}))
    first = run.requests.filter(pl.col("phase") == "ramp").sort("start_s").head(4)
    starts = first["start_s"].to_list()
    assert starts[1] >= first["end_s"][0] - first["start_s"][0] or starts[1] > starts[0] + 0.02
    assert phases(run)["measured"] == 30


@pytest.mark.parametrize("load", [{"concurrency": 3}, {"concurrency": [], "request_rate": [60]}])
def test_conversations_are_measured_whole(server: Any, load: dict[str, Any]) -> None:
    talk = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}] * 3
    data = pl.DataFrame({"messages": [talk] * 6})
    run = bk.run_sync(config(server, scenarios="RD(6)", dataset=data, max_requests=24, **load))
    measured = run.requests.filter(pl.col("phase") == "measured")
    assert measured.height == 24
    assert measured.group_by("turn").len()["len"].to_list() == [8, 8, 8]
    assert phases(run)["ramp"] >= 1
    assert run.complete


def test_the_guard_on_tokens_counts_what_goes_around(server: Any) -> None:
    run = bk.run_sync(config(server, scenarios="D(10,10)", max_total_tokens=300, max_requests=500))
    rows = run.requests.filter(pl.col("phase") != "preflight")
    assert number(rows["input_tokens"].sum()) + number(rows["output_tokens"].sum()) <= 300
    assert run.fates["never_sent"].sum() > 400
    assert any(f.code == "unfinished" and "max_total_tokens" in f.sentence for f in run.findings)


def test_warm_up_requests_come_first_and_are_the_ramp_then(server: Any) -> None:
    run = bk.run_sync(config(server, warmup_requests=6))
    rows = run.requests.filter(pl.col("phase") != "preflight").sort("start_s")
    assert rows["phase"][:4].to_list() == ["warmup"] * 4
    assert (phases(run)["warmup"], phases(run)["measured"]) == (6, 30)
    assert run.fates["planned"][0] == 36


@pytest.mark.parametrize("workers", [0, 2])
def test_a_level_ends_when_it_is_precise_enough(server: Any, workers: int) -> None:
    c = config(
        server, scenarios="D(10,4)", until={"e2e_s_mean": 0.9}, max_requests=20_000, max_seconds=60, workers=workers
    )
    run = bk.run_sync(c)
    (entry,) = run.metadata["levels"]
    assert entry["until"]["enough"]
    assert 200 <= entry["goal"] == phases(run)["measured"] < 20_000
    assert run.complete
    (found,) = [f for f in run.findings if f.code == "precise"]
    assert "(±90.0% asked for)" in found.sentence


def test_a_level_that_is_not_precise_enough_says_so(server: Any) -> None:
    run = bk.run_sync(config(server, until={"ttft_s_p99": 0.01}, max_requests=60))
    (found,) = [f for f in run.findings if f.code == "not_precise"]
    assert "ttft_s_p99 without an upper bound (±1.0% asked for)" in found.sentence
    assert run.metadata["levels"][0]["until"]["n"] == 60


def test_until_alone_may_take_many_requests_and_auto_grows_with_the_level() -> None:
    assert of_fields(max_requests=6).requests_of(ClosedLoop(1)) == 6
    assert bk.RunConfig(endpoint={"url": "http://127.0.0.1:9/"}, until={"e2e_s_p50": 0.05}).max_requests == 10_000
    auto = of_fields(max_requests="auto")
    assert [auto.requests_of(ClosedLoop(c)) for c in (1, 8, 64)] == [200, 200, 640]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"until": {"ttft_s_p95": 2}}, "until"),
        ({"until": {"speed": 0.05}}, "speed"),
        ({"max_requests": "many"}, "auto"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(server: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(bk.errors.ConfigError, match=words):
        bk.run_sync(config(server, **fields))
