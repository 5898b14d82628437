"""A run over a Dask cluster: the load divided exactly, each time from one clock, and the loss of machines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from distributed import Client, LocalCluster

import basetenkit as bk
from basetenkit.core.errors import ConfigError, WorkerError
from basetenkit.execution.cluster import executor

from ..processes.test_executor import until, workers_of

KEY = "planted-key-2718"


def config(server: bk.emulator.Emulator, **fields: Any) -> bk.RunConfig:
    endpoint = bk.Endpoint(url=server.url, model="m", api_key=KEY)
    plan = {"scenarios": "D(30,10)", "concurrency": 6, "max_requests": 60, "steady": False, "preflight": False}
    return bk.RunConfig(endpoint=endpoint, **(plan | fields))


def measured(run: bk.Run) -> pl.DataFrame:
    return run.requests.filter(pl.col("phase") == "measured")


def test_the_load_is_shared_out_exactly_and_each_row_says_where_from(
    server: bk.emulator.Emulator, client: Client
) -> None:
    server.truth(reset=True)
    run = bk.run_sync(config(server, concurrency=64, max_requests=256, warmup_requests=2), cluster=client)
    rows = run.requests
    assert rows["outcome"].to_list() == ["ok"] * 258
    assert rows["request_id"].n_unique() == rows["number"].n_unique() == 258
    assert rows["phase"].value_counts(name="n").sort("phase")["n"].to_list() == [256, 2]
    assert len(server.truth()["requests"]) == 258
    assert server.truth()["peak_in_flight"] == run.metadata["levels"][0]["peak_in_flight"] == 64
    assert sorted(measured(run)["worker"].value_counts()["count"]) == [85, 85, 86]
    assert run.complete
    hosts = run.metadata["hosts"]
    assert {host["address"] for host in hosts} == set(rows["worker"])
    assert sum(host["sent"] for host in hosts) == 258
    for host in hosts:
        assert abs(host["clock_offset_s"]) <= host["clock_offset_error_s"], "it is one machine, and its clock is one"


RATE = {"request_rate": 80.0, "concurrency": []}


@pytest.mark.parametrize("fields", [{"steady": True, "concurrency": 9}, RATE, RATE | {"steady": True}], ids=str)
def test_each_kind_of_load_measures_as_many_as_were_asked_for(
    server: bk.emulator.Emulator, client: Client, fields: dict[str, Any]
) -> None:
    run = bk.run_sync(config(server, warmup_requests=4, **fields), cluster=client)
    rows = measured(run)
    assert rows.height == 60
    assert run.requests["request_id"].n_unique() == run.requests.height
    assert set(rows["outcome"]) == {"ok"}
    assert run.requests.filter(pl.col("phase") == "warmup").height == 4
    assert run.complete


@pytest.mark.parametrize("load", [{"concurrency": 3}, {"request_rate": 50.0, "concurrency": []}], ids=str)
def test_conversations_are_held_from_one_machine_each(
    server: bk.emulator.Emulator, client: Client, load: dict[str, Any]
) -> None:
    talks = [[{"role": "user", "content": f"{n} {turn}?"} for turn in "ab"] for n in range(12)]
    data = pl.DataFrame({"messages": talks})
    run = bk.run_sync(config(server, dataset=data, scenarios="RDC(4)", max_requests=24, **load), cluster=client)
    rows = run.requests
    assert Counter(rows["turn"]) == {1: 12, 2: 12}
    assert set(rows["outcome"]) == {"ok"}
    assert rows["conversation_id"].n_unique() == 12
    assert rows["request_id"].n_unique() == 24
    per_talk = rows.group_by("conversation_id").agg(pl.col("worker").n_unique())
    assert set(per_talk["worker"]) == {1}


def test_every_entry_of_a_data_set_is_sent_once(server: bk.emulator.Emulator, client: Client) -> None:
    entries = [f"Question {n}?" for n in range(28)]
    server.truth(reset=True)
    data = pl.DataFrame({"prompt": entries})
    bk.run_sync(config(server, dataset=data, scenarios="RDC(4)", max_requests=28, concurrency=4), cluster=client)
    sent = [json.loads(seen["body"])["messages"][0]["content"] for seen in server.truth()["bodies"]]
    assert Counter(sent) == dict.fromkeys(entries, 1)


@pytest.mark.thorough
def test_a_slow_machine_hands_requests_over_and_each_entry_is_sent_once(
    server: bk.emulator.Emulator, client: Client
) -> None:
    data = pl.DataFrame({"prompt": ["word " * n for n in range(1, 181)]})  # of another number of tokens each
    plan = config(server, dataset=data, scenarios="RDC(100)", max_requests=180, concurrency=3)
    live = bk.start(plan, cluster=client)
    slow, pid = next(iter(client.run(os.getpid).items()))
    until(lambda: slow in live.requests["worker"])
    with mostly_stopped(workers_of(pid)):
        run = live.result(120)
    rows = measured(run)
    assert rows["input_tokens_client"].n_unique() == 180
    assert Counter(rows["outcome"]) == {"ok": 180}
    assert rows["number"].n_unique() == 180
    assert rows.filter(pl.col("worker") == slow).height < 55
    assert run.complete


@contextlib.contextmanager
def mostly_stopped(pids: list[int]) -> Iterator[None]:
    """Lets these processes run a tenth of the time."""
    over = threading.Event()

    def hold() -> None:
        while not over.is_set():
            for sign, seconds in ((signal.SIGSTOP, 0.45), (signal.SIGCONT, 0.05)):
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, sign)
                time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_dead_endpoint_ends_the_level_for_all(client: Client) -> None:
    endpoint = bk.Endpoint(url="http://127.0.0.1:9/v1/chat/completions", model="m")
    plan = {"scenarios": "D(30,10)", "concurrency": 6, "max_requests": 3000, "steady": False, "preflight": False}
    run = bk.run_sync(bk.RunConfig(endpoint=endpoint, abort_after_failures=30, **plan), cluster=client)
    assert run.metadata["levels"][0]["ended_by"]["reason"] == "failures"
    assert not run.complete
    assert "ok" not in set(run.requests["outcome"])


def test_a_stop_reaches_all_and_keeps_what_was_there(server: bk.emulator.Emulator, client: Client) -> None:
    live = bk.start(config(server, max_requests=100_000), cluster=client)
    until(lambda: live.progress["finished"] > 50)
    live.stop()
    run = live.result(20)
    assert not run.complete
    assert measured(run).filter(pl.col("outcome") == "ok").height > 50
    assert until(lambda: server.truth()["in_flight"] == 0)


def test_a_worker_that_is_killed_loses_its_own_requests_alone_and_resume_does_the_rest(
    server: bk.emulator.Emulator, client: Client, tmp_path: Path
) -> None:
    plan = config(server, scenarios="D(30,200)", max_requests=90, concurrency=9)
    live = bk.start(plan, save_to=tmp_path / "run", cluster=client)
    until(lambda: live.progress["finished"] >= 9)
    victim, pid = next(iter(client.run(os.getpid).items()))
    os.kill(pid, signal.SIGKILL)
    run = live.result(90)
    rows = measured(run)
    others = rows.filter(pl.col("worker") != victim)
    assert others.height == 60
    assert set(others["outcome"]) == {"ok"}
    lost = rows.filter((pl.col("worker") == victim) & (pl.col("outcome") != "ok"))
    assert set(lost["outcome"]) <= {"cancelled"}
    assert not run.complete
    assert [note.code for note in run.findings if note.code == "worker_lost"]
    again = bk.run_sync(plan, save_to=tmp_path / "run", cluster=client)
    assert again.complete
    assert Counter(measured(again)["outcome"]) == {"ok": 90}


def test_no_secret_is_kept_by_the_cluster(server: bk.emulator.Emulator, client: Client, tmp_path: Path) -> None:
    live = bk.start(config(server, max_requests=100_000), cluster=client)
    until(lambda: live.progress["finished"] > 20)
    client.dump_cluster_state(str(tmp_path / "dump"), format="yaml")
    specs = client.run_on_scheduler(_task_specs)
    logs = json.dumps([client.get_scheduler_logs(), client.get_worker_logs(), client.get_events()], default=str)
    live.stop()
    live.result(20)
    dump = "".join(path.read_text() for path in tmp_path.glob("dump*"))
    assert "basetenkit-" in dump, "the run's tasks stand in what was dumped"
    for text in (dump, specs, logs):
        assert KEY not in text


def _task_specs(dask_scheduler: Any) -> str:
    return "".join(repr(task.run_spec) for task in dask_scheduler.tasks.values())


def served(server: bk.emulator.Emulator) -> int:
    return len(server.truth()["requests"])


@pytest.mark.thorough
def test_a_load_whose_leader_is_killed_ends_by_itself(server: bk.emulator.Emulator, cluster: LocalCluster) -> None:
    script = f"""
import basetenkit as bk
from basetenkit.execution.cluster import executor
executor.LEASE_S, executor.ALIVE_EVERY_S = 4.0, 1.0
endpoint = bk.Endpoint(url={server.url!r}, model="m")
bk.run_sync(bk.RunConfig(endpoint=endpoint, scenarios="D(30,10)", concurrency=3, max_requests=100_000, max_seconds=600),
    cluster={cluster.scheduler_address!r})
"""
    server.truth(reset=True)
    leader = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: served(server) > 30, 60)
    leader.kill()
    leader.wait()
    assert until(lambda: _quiet(server), 40)


def _quiet(server: bk.emulator.Emulator) -> bool:
    before = served(server)
    time.sleep(2)
    return served(server) == before


@pytest.mark.thorough
def test_a_frozen_worker_is_given_up_and_sends_no_more(
    server: bk.emulator.Emulator, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("LEASE_S", 4.0), ("ALIVE_EVERY_S", 1.0), ("SILENCE_S", 5.0)):
        monkeypatch.setattr(executor, name, seconds)
    live = bk.start(config(server, max_requests=100_000, concurrency=3), cluster=client)
    frozen, pid = next(iter(client.run(os.getpid).items()))
    until(lambda: frozen in live.requests["worker"])
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: _lost(live, frozen), 60)
        assert until(lambda: not workers_of(pid)), "the process that sends has ended, though its Dask worker is frozen"
    finally:
        os.kill(pid, signal.SIGCONT)
    live.stop()
    run = live.result(30)
    (lost,) = run.metadata["levels"][0]["workers_lost"]
    assert "nothing came from it" in lost["why"]


def _lost(live: bk.LiveRun, worker: str) -> bool:
    """Whether the leader has given a worker up: its rows come no more, and the others' go on."""
    leader: Any = live._controller._executor
    return any(member.lost for member in leader._members if member.machine.address == worker)


BAD: list[tuple[Callable[[], object], str]] = [
    (lambda: 7, "cluster is a int"),
    (lambda: "10.0.0.1:8786", "is not the address of a scheduler"),
]


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=["number", "no scheme"])
def test_what_is_no_cluster_is_told_before_anything_is_sent(
    server: bk.emulator.Emulator, given: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        bk.run_sync(config(server), cluster=given())


def test_a_scheduler_that_is_not_there_is_told_in_one_sentence(server: bk.emulator.Emulator) -> None:
    with pytest.raises(WorkerError, match=r"the Dask scheduler at tcp://127\.0\.0\.1:9 cannot be reached") as told:
        bk.run_sync(config(server), cluster="tcp://127.0.0.1:9")
    assert "\n" not in str(told.value)


def test_a_cluster_without_workers_is_told_in_one_sentence(server: bk.emulator.Emulator) -> None:
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as empty,
        pytest.raises(WorkerError, match="has no workers"),
    ):
        bk.run_sync(config(server), cluster=empty)


@pytest.mark.thorough
def test_a_cluster_of_its_own_is_made_and_ended(server: bk.emulator.Emulator) -> None:
    run = bk.run_sync(config(server, max_requests=12), cluster="local")
    assert set(run.requests["outcome"]) == {"ok"}
    assert run.requests["worker"].null_count() == 0
