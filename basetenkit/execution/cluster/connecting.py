"""Connects to a Dask cluster, and refuses, before anything is sent, a cluster that cannot be used or must not get the key."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...core.errors import ConfigError, WorkerError
from ...core.version import __version__

if TYPE_CHECKING:
    from distributed import Client

CONNECT_WITHIN_S = 15.0
ANSWER_WITHIN_S = 20.0
ALLOW_PLAIN = "BASETENKIT_ALLOW_PLAIN_TCP"
LOCAL = "local"
_EXAMPLE = 'a distributed.Client, the address of a scheduler, for example "tcp://10.0.0.1:8786", or "local"'


@dataclass(frozen=True, slots=True)
class Machine:
    """One Dask worker: its address, how many tasks it takes at once, and what it said of itself."""

    address: str
    threads: int
    facts: dict[str, str | int]

    @property
    def host(self) -> str:
        return str(self.facts["host"])


def check_cluster(cluster: object) -> None:
    """ConfigError, in one sentence, if `cluster` is not a cluster."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise ConfigError(
            'cluster= needs the package distributed: pip install "basetenkit[cluster]"', at=("cluster",)
        ) from None
    if isinstance(cluster, str):
        if cluster != LOCAL and urlsplit(cluster).scheme not in ("tcp", "tls", "ws", "wss", "ucx"):
            raise ConfigError(
                f"cluster={cluster!r} is not the address of a scheduler; give {_EXAMPLE}", at=("cluster",)
            )
    elif _address(cluster) is None:
        raise ConfigError(f"cluster is a {type(cluster).__name__}; give {_EXAMPLE}", at=("cluster",))


def _address(cluster: Any) -> str | None:
    """The scheduler's address of a Client or a Cluster of Dask; None of anything else, or of one that is closed."""
    if (address := getattr(cluster, "scheduler_address", None)) is not None:  # a Cluster
        return str(address) or None
    scheduler = getattr(cluster, "scheduler", None)  # a Client
    address = getattr(scheduler, "address", None)
    return str(address) if address else None


@contextlib.asynccontextmanager
async def connected(cluster: Any) -> AsyncIterator[Client]:
    """A client of our own, on the running loop. WorkerError, in one sentence, if the scheduler cannot be reached."""
    from distributed import Client, LocalCluster

    async with contextlib.AsyncExitStack() as stack:
        if cluster == LOCAL:
            cores = os.cpu_count() or 1
            cluster = await stack.enter_async_context(
                LocalCluster(
                    n_workers=max(cores - 1, 1),
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address="127.0.0.1:0",
                    asynchronous=True,
                )
            )
        address = cluster if isinstance(cluster, str) else _address(cluster)
        security = getattr(cluster, "security", None)
        try:
            client = Client(
                address, security=security, asynchronous=True, set_as_default=False, timeout=CONNECT_WITHIN_S
            )
            client = await stack.enter_async_context(client)
        except (OSError, TypeError, RuntimeError, ValueError) as error:
            raise WorkerError(
                f"the Dask scheduler at {address} cannot be reached: {_reason(error, str(address))}"
            ) from None
        yield client


def _reason(error: BaseException, address: str) -> str:
    text = str(error)
    if isinstance(error, TypeError) and "ssl_context" in text:
        return "it requires TLS; give a Client that was made with its Security"
    if isinstance(error, TypeError) and "n_workers" in text:
        return "it has an older version of distributed; install the same on all machines"
    if "certificate" in text:
        return "its TLS certificate is not the one of the given Security"
    if "encryption required" in text:
        return "the given Security requires encryption, but the scheduler has none"
    if isinstance(error, TimeoutError | OSError):
        return f"nothing answered within {CONNECT_WITHIN_S:g} s; is a scheduler running there, and is the port right?"
    return text or type(error).__name__


async def machines(client: Client) -> list[Machine]:
    """The workers of the cluster, each asked once. WorkerError if there is none, or one whose versions are not ours."""
    from . import stage

    identity = await client.scheduler.identity(n_workers=-1)
    found = {address: info["nthreads"] for address, info in identity["workers"].items()}
    if not found:
        raise WorkerError(
            f"the Dask cluster at {client.scheduler.address} has no workers; start some and wait for them: "
            "client.wait_for_workers(2)"
        )
    ours = stage.facts()
    check_versions(await client.get_versions(check=False), ours)

    async def ask(address: str) -> Machine:
        try:
            said = await asyncio.wait_for(client.run(stage.facts, workers=[address]), ANSWER_WITHIN_S)
        except TimeoutError:
            raise WorkerError(f"the Dask worker {address} did not answer within {ANSWER_WITHIN_S:g} s") from None
        except ImportError:
            raise WorkerError(
                f"basetenkit {__version__} is not installed on the Dask worker {address}; install it there"
            ) from None
        if said[address]["basetenkit"] != ours["basetenkit"]:
            raise WorkerError(_other("basetenkit", address, said[address]["basetenkit"], ours["basetenkit"]))
        return Machine(address, found[address], said[address])

    return list(await asyncio.gather(*(ask(address) for address in sorted(found))))


def check_versions(versions: dict[str, Any], ours: dict[str, str | int]) -> None:
    """WorkerError if a version differs that makes Dask hang without a word. `versions`: as `Client.get_versions` has them."""
    python = ".".join(str(ours["python"]).split(".")[:2])
    for address, node in {"scheduler": versions["scheduler"], **versions["workers"]}.items():
        theirs = dict(node["host"])["python"] if isinstance(node.get("host"), dict) else ""
        theirs = ".".join(theirs.split(".")[:2])
        if theirs and theirs != python:
            raise WorkerError(_other("Python", address, theirs, python))
        for name in ("distributed", "msgpack", "cloudpickle"):
            if (other := node["packages"].get(name)) and other != ours[name]:
                raise WorkerError(_other(name, address, other, ours[name]))


def _other(what: str, address: str, theirs: object, ours: object) -> str:
    where = "the Dask scheduler" if address == "scheduler" else f"the Dask worker {address}"
    return f"{where} has {what} {theirs}, and this machine {ours}; install the same version on all machines"


def may_carry_secrets(address: str) -> bool:
    """Whether a key may go over this connection: it is encrypted, does not leave the machine, or was allowed by the host's name."""
    parts = urlsplit(address)
    if parts.scheme in ("tls", "wss", "inproc"):
        return True
    host = parts.hostname or ""
    allowed = {name.strip() for name in os.environ.get(ALLOW_PLAIN, "").split(",")}
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback or host in allowed
    return host == "localhost" or host in allowed


def placed(machines: Iterable[Machine], wanted: int) -> list[Machine]:
    """The Dask worker of each stage: on each host `wanted` stages (0: one a core less one), at least one on each Dask worker and
    no more than it takes tasks; the first stages are spread over all hosts."""
    machines = list(machines)
    on_host = Counter(machine.host for machine in machines)
    stages = []
    for machine in machines:
        host = wanted or max(int(machine.facts["cores"]) - 1, 1)
        stages.append(max(1, min(math.ceil(host / on_host[machine.host]), machine.threads)))
    return [m for turn in range(max(stages)) for m, n in zip(machines, stages, strict=True) if turn < n]
