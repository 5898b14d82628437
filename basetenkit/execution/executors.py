"""Which executor sends a run: the first of `EXECUTORS` that takes its configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..loadgen.counters import SharedCounters
from ..loadgen.executor import Executor
from ..loadgen.generator import LoadGenerator
from ..loadgen.prepared import Prepared
from ..transport.clock import Poller
from .processes.executor import ProcessExecutor


@dataclass(frozen=True, slots=True)
class Start:
    """What an executor starts from: the run's salt, the tokens that earlier levels of it spent, and the selector of the
    controller's loop, which stamps what is read on that loop; `cluster`: a Dask cluster to send from, None: this machine."""

    salt: str
    spent: int
    poller: Poller
    cluster: object = None


Make = Callable[[Prepared, Start], Executor | None]


def on_a_cluster(prepared: Prepared, start: Start) -> Executor | None:
    """The machines of a Dask cluster, if one is given."""
    if start.cluster is None:
        return None
    from .cluster.executor import ClusterExecutor

    return ClusterExecutor(prepared, salt=start.salt, spent=start.spent, cluster=start.cluster)


def in_processes(prepared: Prepared, start: Start) -> Executor | None:
    """Processes of their own, if `workers` asks for them."""
    return ProcessExecutor(prepared, salt=start.salt, spent=start.spent) if prepared.config.workers else None


def in_this_process(prepared: Prepared, start: Start) -> Executor:
    """The controller's own thread and loop."""
    tally = SharedCounters()
    tally.spend(start.spent)
    return LoadGenerator(prepared, salt=start.salt, poller=start.poller, tally=tally)


EXECUTORS: list[Make] = [on_a_cluster, in_processes, in_this_process]


def make_executor(prepared: Prepared, start: Start) -> Executor:
    """The executor of the run that `prepared` describes."""
    made = (make(prepared, start) for make in EXECUTORS)
    return next(executor for executor in made if executor is not None)
