from __future__ import annotations

import pytest

from basetenkit.execution.processes.executor import ProcessExecutor
from basetenkit.loadgen.executor import Executor
from basetenkit.loadgen.generator import LoadGenerator

METHODS = [name for name in vars(Executor) if not name.startswith("_")]


@pytest.mark.parametrize("kind", [LoadGenerator, ProcessExecutor])
def test_a_thread_and_processes_do_all_that_a_run_asks_of_where_it_is_sent_from(kind: type[Executor]) -> None:
    assert {"open", "level", "stop", "halt", "take", "report", "close"} <= set(METHODS)
    assert [name for name in METHODS if not callable(getattr(kind, name, None))] == []
