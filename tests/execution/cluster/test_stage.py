"""What runs on a Dask worker: it begins once, says how it ended, and lets nothing of an order into a log."""

from __future__ import annotations

import platform
import time

from distributed import Client

from basetenkit.execution.cluster import stage
from basetenkit.execution.processes.handle import how_it_ended


def test_its_clock_is_the_one_that_stamps() -> None:
    before = time.monotonic_ns()
    assert before <= stage.ping() <= time.monotonic_ns()
    assert stage.facts()["host"] == platform.node()


def test_an_order_that_cannot_be_kept_raises_nothing() -> None:
    assert stage.deliver([], b"order with a key") is False  # type: ignore[arg-type]
    assert stage.deliver("a stage", b"order") is True


def test_a_stage_begins_once_and_a_second_time_sends_nothing(client: Client) -> None:
    address = next(iter(client.scheduler_info(n_workers=-1)["workers"]))
    for expected in ("exit code 0", "is not sent a second time"):
        task = client.submit(stage.run_stage, "stage-of-a-test", "up-of-a-test", workers=[address], pure=False)
        client.run(stage.deliver, "stage-of-a-test", stage.END, workers=[address])
        assert expected in task.result(timeout=30)


def test_how_a_process_ended_is_told_in_a_few_words() -> None:
    assert how_it_ended(-9, "") == "killed by SIGKILL"
    assert how_it_ended(1, "Traceback\nImportError: no basetenkit\n") == "ImportError: no basetenkit"
    assert how_it_ended(3, "") == "it ended with exit code 3"
