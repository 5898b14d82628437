"""What a group of members comes to, whoever they are."""

from __future__ import annotations

import basetenkit as bk
from basetenkit.core.findings import finding
from basetenkit.execution.checks import prepare
from basetenkit.execution.processes.executor import ProcessExecutor
from basetenkit.results.manifest import LevelReport


def group(**fields: object) -> ProcessExecutor:
    plan = {"scenarios": "D(10,5)", "concurrency": 5, "max_requests": 20, "workers": 3, "preflight": False}
    config = bk.RunConfig(endpoint={"url": "http://127.0.0.1:9/"}, **(plan | fields))
    return ProcessExecutor(prepare(config), salt="s", spent=0)


def test_a_group_that_was_not_asked_for_anything_has_nothing() -> None:
    executor = group()
    assert (executor.status().sent, executor.take(), executor.waiting(), executor.notes()) == (0, [], [], [])
    assert executor.report() == LevelReport()
    assert executor.hosts() == []


def test_what_members_note_is_told_once_with_the_sum_and_the_largest() -> None:
    executor = group()
    executor._notes = {
        0: [finding("capture_full", n=2, limit=256), finding("clock_stepped", step_ms=3.0)],
        1: [finding("capture_full", n=5, limit=256), finding("clock_stepped", step_ms=9.0)],
    }
    full, stepped = executor.notes()
    assert (full.fields["n"], stepped.fields["step_ms"]) == (7, 9.0)
