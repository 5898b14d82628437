"""A run's workers: the load shared out exactly, a worker that is lost, a stop that reaches all, nobody left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import WorkerError
from basetenkit.execution.processes import group

KEY = "planted-key-1618"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=20, itl_ms=2) as server:
        yield server


def config(server: Any, **kw: Any) -> bk.RunConfig:
    endpoint = bk.Endpoint(url=server.url, model="m", api_key=KEY, **kw.pop("endpoint", {}))
    fields = {"scenarios": "D(30,10)", "concurrency": 5, "max_requests": 40, "workers": 2}
    return bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, **(fields | kw))


def workers_of(pid: int) -> list[int]:
    """The processes of workers whose parent is `pid`; a dead one that nobody waited for is not among them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent, line = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1], (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == pid and b"basetenkit.execution.processes.worker" in line:
            found.append(int(folder.name))
    return sorted(found)


def until(true: Callable[[], Any], within_s: float = 30) -> Any:
    over = time.monotonic() + within_s
    while not (value := true()):
        assert time.monotonic() < over
        time.sleep(0.01)
    return value


@pytest.fixture(scope="module")
def run(server: Any, tmp_path_factory: pytest.TempPathFactory) -> bk.Run:
    """Five users and a schedule, by two processes, with a warm-up, everything captured and saved."""
    server.truth(reset=True)
    c = config(server, request_rate=[100], arrival="constant", warmup_requests=4, capture="all")
    return bk.run_sync(c, save_to=tmp_path_factory.mktemp("crew") / "r")


def test_a_level_is_shared_out_exactly(run: bk.Run, server: Any) -> None:
    assert run.complete
    assert workers_of(os.getpid()) == []
    closed, paced = run.metadata["levels"]
    assert (closed["sent"], closed["peak_in_flight"], closed["held_back"], closed["ended_by"]) == (44, 5, 0, None)
    assert [x["sent"] for x in paced["workers"]] == [22, 22]
    assert sum(x["sent"] for x in closed["workers"]) == 44
    assert closed["workers_lost"] == []
    assert closed["loop_lag_p99_s"] > 0
    assert 0 < closed["cpu_share"] < 2
    assert run.fates["sent"].to_list() == [44, 44]
    assert run.fates["never_sent"].to_list() == [0, 0]
    truth = server.truth()
    assert sorted(r["request_id"] for r in truth["requests"]) == sorted(run.requests["request_id"])


def test_each_request_is_one_row_with_an_id_and_a_prompt_of_its_own(run: bk.Run) -> None:
    rows = run.requests
    assert (rows["outcome"] == "ok").all()
    for level in (0, 1):
        ids = [i for i in rows["request_id"] if f"-{level:03d}-" in i]
        assert sorted(int(i.rsplit("-", 1)[1]) for i in ids) == list(range(44))
    assert (rows["phase"] == "warmup").sum() == 8
    assert all((row["phase"] == "warmup") == (int(row["request_id"][-6:]) < 4) for row in rows.iter_rows(named=True))
    exchanges = [run.exchange(i) for i in rows["request_id"]]
    prompts = [json.loads(x.request.body)["messages"][0]["content"] for x in exchanges]
    assert len({" ".join(p.split()[:6]) for p in prompts}) == 88
    assert all(x.arrivals for x in exchanges)
    assert run.chunks.collect().height == rows["output_chunks"].sum() == 880


def test_a_schedule_is_one_schedule_whoever_sends_it(run: bk.Run) -> None:
    rows = run.requests.filter(pl.col("load") == "request_rate").sort("scheduled_s")
    assert rows["scheduled_s"].to_list() == pytest.approx([i / 100 for i in range(44)], abs=1e-6)
    assert [int(i[-6:]) for i in rows["request_id"]] == list(range(44))
    assert (rows["start_s"] >= rows["scheduled_s"]).all()


def test_it_is_loaded_as_any_run_and_the_key_is_nowhere(run: bk.Run) -> None:
    folder = run.path
    assert folder is not None
    again = bk.load(folder)
    assert again.requests.equals(run.requests)
    assert again.reparse()["changed"].list.len().sum() == 0
    assert KEY.encode() not in b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_workers_draw_the_shapes_that_one_alone_draws(server: Any) -> None:
    def shapes(workers: int) -> list[tuple[int, int]]:
        c = config(server, scenarios="N(40,10)/(6,2)", concurrency=[], request_rate=[200], salt="s", workers=workers)
        rows = bk.run_sync(c).requests.sort("request_id")
        return list(rows.select("input_tokens_target", "output_tokens_target").iter_rows())

    assert shapes(0) == shapes(2)


def test_a_level_smaller_than_the_crew_has_as_many_workers_as_users(server: Any) -> None:
    run = bk.run_sync(config(server, concurrency=[1, 2], max_requests=5))
    assert [x["peak_in_flight"] for x in run.metadata["levels"]] == [1, 2]
    assert [len(x["workers"]) for x in run.metadata["levels"]] == [1, 2]
    assert run.requests.height == 10


def test_a_guard_on_what_is_in_flight_is_shared_out_and_counted(server: Any) -> None:
    c = config(server, concurrency=[], request_rate=[500], max_in_flight=3, max_requests=30)
    run = bk.run_sync(c)
    (level,) = run.metadata["levels"]
    assert level["peak_in_flight"] == 3
    assert level["held_back"] > 0
    assert run.requests.height == 30
    codes = {f.code for f in run.findings}
    assert "in_flight_capped" in codes
    assert "schedule_lag" not in codes  # held back by the guard: no lag of the client's


def test_a_guard_on_tokens_holds_over_all_and_over_levels(server: Any) -> None:
    run = bk.run_sync(config(server, concurrency=[4, 3], max_total_tokens=400, max_requests=100))
    assert [x["sent"] for x in run.metadata["levels"]] == [10, 0]  # 40 tokens each
    assert "tokens_spent" in [f.code for f in run.findings]


def test_a_level_whose_first_requests_all_fail_is_given_up_by_all() -> None:
    endpoint = bk.Endpoint(url="http://127.0.0.1:9/")
    c = bk.RunConfig(
        steady=False,
        preflight=False,
        endpoint=endpoint,
        concurrency=[4, 2],
        max_requests=5000,
        abort_after_failures=6,
        workers=2,
    )
    run = bk.run_sync(c)
    assert not run.complete
    assert [f.code for f in run.findings if f.code == "gave_up"]
    assert all(x["ended_by"]["reason"] == "failures" for x in run.metadata["levels"])
    assert 12 <= run.requests.height < 200


@pytest.mark.parametrize("load", [{"concurrency": 6}, {"concurrency": [], "request_rate": [60]}])
def test_a_worker_that_is_killed_loses_its_own_requests_and_no_others(server: Any, load: dict[str, Any]) -> None:
    server.truth(reset=True)
    live = bk.start(config(server, scenarios="D(30,60)", max_requests=60, **load))
    until(lambda: live.progress["finished"] >= 6)
    victim = workers_of(os.getpid())[1]
    os.kill(victim, signal.SIGKILL)
    run = live.result(60)
    rows, (level,) = run.requests, run.metadata["levels"]
    lost = rows.filter(
        pl.col("error_message").str.contains("the worker that sent it was lost (killed by SIGKILL)", literal=True)
    )
    (told,) = level["workers_lost"]
    assert told["requests"] == lost.height >= 1
    assert (lost["outcome"] == "cancelled").all()
    assert lost["start_s"].null_count() == lost.height
    assert (rows.filter(~pl.col("request_id").is_in(lost["request_id"].to_list()))["outcome"] == "ok").all()
    assert rows["request_id"].is_unique().all()
    assert {r["request_id"] for r in server.truth()["requests"]} <= set(rows["request_id"])
    assert [f.code for f in run.findings].count("worker_lost") == 1
    assert level["sent"] == rows.height
    assert run.fates["sent"].sum() == rows.height
    assert (rows.height == 60) == ("request_rate" not in load)  # its users' share is taken over, its schedule's is not
    assert not run.complete
    assert run.summary.height == 1
    assert workers_of(os.getpid()) == []


def test_the_next_level_has_a_new_worker_in_the_place_of_one_that_was_lost(server: Any) -> None:
    live = bk.start(config(server, scenarios="D(30,60)", concurrency=[4, 3], max_requests=24))
    until(lambda: live.progress["finished"] >= 2)
    before = workers_of(os.getpid())
    os.kill(before[0], signal.SIGKILL)
    until(lambda: live.progress["levels_done"] == 1 and live.progress["sent"])
    assert len(set(workers_of(os.getpid())) - set(before)) == 1
    run = live.result(60)
    assert [len(x["workers"]) for x in run.metadata["levels"]] == [1, 2]
    assert run.metadata["levels"][1]["peak_in_flight"] == 3


def test_when_all_are_lost_the_level_ends_and_is_not_done(server: Any) -> None:
    live = bk.start(config(server, scenarios="D(30,300)", max_requests=1000))
    until(lambda: live.progress["in_flight"])
    for pid in workers_of(os.getpid()):
        os.kill(pid, signal.SIGKILL)
    run = live.result(30)
    assert not run.complete
    assert run.metadata["levels"][0]["ended_by"] == {"reason": "workers_lost"}
    assert run.requests.height >= 5
    assert (run.requests["outcome"] == "cancelled").all()


def test_stop_reaches_all_and_keeps_what_finished(server: Any) -> None:
    live = bk.start(config(server, scenarios="D(30,150)", max_requests=1000, concurrency=[5, 3]))
    until(lambda: live.progress["finished"] and live.requests.height)
    assert live.summary.height == 1
    live.stop()
    run = live.result(20)
    assert not run.complete
    counts = dict(run.requests["outcome"].value_counts().iter_rows())
    assert counts["cancelled"] == 5
    assert set(counts) == {"ok", "cancelled"}
    assert "stop() was called" in run.requests.filter(pl.col("outcome") == "cancelled")["error_message"][0]
    assert [x["done"] for x in run.metadata["levels"]] == [False, False]
    assert workers_of(os.getpid()) == []


def test_one_that_does_not_answer_a_stop_is_ended(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "STOP_WITHIN_S", 0.5)
    live = bk.start(config(server, scenarios="D(30,300)", max_requests=1000))
    until(lambda: live.progress["in_flight"] == 5)
    os.kill(workers_of(os.getpid())[0], signal.SIGSTOP)
    live.stop()
    run = live.result(20)
    (lost,) = run.metadata["levels"][0]["workers_lost"]
    assert lost["why"] == "it did not stop when requested"
    assert dict(run.requests["outcome"].value_counts().iter_rows()) == {"cancelled": run.requests.height}
    assert workers_of(os.getpid()) == []


def test_max_seconds_ends_a_level_for_all(server: Any) -> None:
    run = bk.run_sync(config(server, scenarios="D(30,400)", max_requests=1000, max_seconds=0.5))
    assert not run.complete
    assert (run.requests["outcome"] == "cancelled").sum() == 5
    assert run.metadata["levels"][0]["ended_by"]["reason"] == "time"


def test_cancelling_an_awaited_run_ends_its_workers(server: Any) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(bk.run(config(server, scenarios="D(30,500)", max_requests=1000)))
        await asyncio.to_thread(until, lambda: len(workers_of(os.getpid())) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    until(lambda: not workers_of(os.getpid()))


CHILD = """
import basetenkit as bk
endpoint = bk.Endpoint(url={url!r}, model="m")
config = bk.RunConfig(steady=False,
    preflight=False, endpoint=endpoint, scenarios="D(10,300)", concurrency=4, max_requests=100000, workers=2)
try:
    bk.run_sync(config, save_to={folder!r})
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(server: Any, tmp_path: Path, how: signal.Signals) -> None:
    code = CHILD.format(url=server.url, folder=str(tmp_path / "r"))
    left = {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | left)
    until(lambda: list((tmp_path / "r").glob("levels/000/requests-*.parquet")))
    pids = workers_of(process.pid)
    assert len(pids) == 2
    process.send_signal(how)
    out, _ = process.communicate(timeout=30)
    assert out.strip() == ("interrupted" if how is signal.SIGINT else "")
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert not list(tmp_path.glob("basetenkit-tally-*"))
    run = bk.load(tmp_path / "r")
    assert not run.complete
    assert (run.requests["outcome"] == "ok").any()
    assert (run.requests["outcome"] == "cancelled").sum() == (4 if how is signal.SIGINT else 0)


def test_a_worker_that_cannot_start_is_one_sentence(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the installation is broken: its polars is one that cannot be imported."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['polars'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server.truth(reset=True)
    with pytest.raises(WorkerError) as caught:
        bk.run_sync(config(server))
    assert str(caught.value).startswith("worker 1 of 2 did not start: ModuleNotFoundError")
    assert "\n" not in str(caught.value)
    assert server.truth()["requests"] == []
    assert workers_of(os.getpid()) == []
