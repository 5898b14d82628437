"""Which executor a run has, and that one which goes on counts the tokens that were spent before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from basetenkit.execution import executors
from basetenkit.execution.checks import prepare
from basetenkit.execution.executors import Start, make_executor
from basetenkit.execution.processes.executor import ProcessExecutor
from basetenkit.loadgen.executor import Executor
from basetenkit.loadgen.generator import LoadGenerator
from basetenkit.loadgen.prepared import Prepared
from basetenkit.transport.clock import Poller

from ..making import config


@pytest.fixture
def start() -> Iterator[Start]:
    poller = Poller()
    yield Start("salt", 0, poller)
    poller.close()


@pytest.mark.parametrize(("workers", "kind"), [(0, LoadGenerator), (2, ProcessExecutor)])
def test_processes_send_only_if_they_are_asked_for(workers: int, kind: type[Executor], start: Start) -> None:
    assert type(make_executor(prepare(config(workers=workers)), start)) is kind


def test_the_first_that_takes_the_config_sends(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    asked: list[str] = []

    def refuses(prepared: Prepared, start: Start) -> Executor | None:
        asked.append(start.salt)
        return None

    monkeypatch.setattr(executors, "EXECUTORS", [refuses, *executors.EXECUTORS])
    assert isinstance(make_executor(prepare(config()), start), LoadGenerator)
    assert asked == ["salt"]
