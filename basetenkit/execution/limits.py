"""The limits of this machine: local ports, open files, memory and disk space; checked before anything is sent."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from ..config.plan import loads_of, scenarios_of
from ..config.run_config import RunConfig
from ..config.scenarios import parse_scenario
from ..core.errors import ConfigError
from ..results.store import RunFolder

OPEN_FILES_SPARE = 64
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Measured in runs against the embedded endpoint, and rounded up: bytes of a row and of a chunk on the disk; bytes of a chunk in
# flight (its message of the body, its timestamps, its parsed output); and the most that one process receives per second, so that
# a time limit bounds a plan, too.
ROW_BYTES, CHUNK_BYTES, IN_FLIGHT_BYTES = 400, 16, 600
ROWS_A_SECOND, CHUNKS_A_SECOND = 5_000, 500_000


def check_ports(config: RunConfig) -> None:
    """ConfigError if the levels need more connections to one server than this machine has local ports (Linux says how many)."""
    try:
        low, high = map(int, PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return
    name, wanted = _most_in_flight(config)
    if wanted > high - low + 1:
        raise ConfigError(
            f"{wanted} connections to one server are needed, and this machine has {high - low + 1} local ports "
            f"for them (net.ipv4.ip_local_port_range is {low} to {high}); give fewer, or widen that range",
            at=("RunConfig", name),
        )


def _most_in_flight(config: RunConfig) -> tuple[str, int]:
    """(the field that says it, the most requests in flight at once) of a config's levels."""
    wanted = {"concurrency": max(config.concurrency, default=0), "max_in_flight": config.max_in_flight or 0}
    name = max(wanted, key=lambda n: wanted[n])
    return name, wanted[name]


def allow_open_files(config: RunConfig) -> None:
    """Raises the soft limit on open files if that is allowed; ConfigError if the levels need more."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    name, wanted = _most_in_flight(config)
    processes = max(config.workers, 1)
    need = -(-wanted // processes) + OPEN_FILES_SPARE  # the limit is a process's
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= need or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < need:
        most = max(hard - OPEN_FILES_SPARE, 0) * processes
        raise ConfigError(
            f"{need} open files are needed and the limit is {hard} (ulimit -n); at most {most} fit",
            at=("RunConfig", name),
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


def check_room(config: RunConfig, folder: RunFolder) -> None:
    """ConfigError if the plan cannot fit: its rows and chunks on the disk, its requests in flight in memory."""
    rng = random.Random(config.seed)
    scenarios = [s for s in map(parse_scenario, scenarios_of(config)) if s.sampled]
    most = [max(s.sample(rng).output_tokens or 1 for _ in range(20)) for s in scenarios] or [1]
    loads, seconds = len(loads_of(config)) * config.repeats, config.max_seconds
    each = max((config.requests_of(load) for load in loads_of(config)), default=1)
    requests = min(each + config.warmup_requests, seconds * ROWS_A_SECOND)
    chunks = sum(min(requests * tokens, seconds * CHUNKS_A_SECOND) for tokens in most)
    disk = loads * (requests * len(most) * ROW_BYTES + chunks * CHUNK_BYTES)
    in_flight = max([*config.concurrency, config.max_in_flight or 0])
    memory = in_flight * max(most) * IN_FLIGHT_BYTES
    free = shutil.disk_usage(folder.path).free
    if disk > free:
        raise _too_much("max_requests", disk, f"on the disk of {folder.path}", free)
    available = _available_memory()
    if available is not None and memory > available:
        raise _too_much("concurrency", memory, "of memory", available)


def _too_much(field: str, need: float, where: str, free: float) -> ConfigError:
    return ConfigError(
        f"the plan needs about {need / 1e9:.1f} GB {where}, but {free / 1e9:.1f} GB are free",
        at=("RunConfig", field),
    )


def _available_memory() -> int | None:
    """Bytes that are available without swapping; None if the system does not report them."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
