"""What must hold before anything is sent, and the document that a new run begins with."""

from __future__ import annotations

import os
import platform
import random
import secrets
import shutil
import time
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from . import __version__
from .analysis.precision import check as check_precision
from .config import RunConfig
from .engine.clock import stamps_here
from .errors import ConfigError, StoreError
from .findings import Finding
from .manifest import LevelEntry, Manifest, Metadata
from .run_plan import levels_of, loads_of, scenarios_of
from .scenario import FORMS, Image, ImagePrefix, ImageText, Scenario, parse_scenario
from .store import RunFolder
from .workload.images import check_size
from .workload.payload import carries_own_text

OPEN_FILES_SPARE = 64
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Of runs against the embedded endpoint: a row and a chunk on the disk, rounded up; a chunk in flight (its message of the body,
# its stamps, what is read out of it); and the most that one process takes in, so that a time limit bounds a plan, too.
ROW_BYTES, CHUNK_BYTES, IN_FLIGHT_BYTES = 400, 16, 600
ROWS_A_SECOND, CHUNKS_A_SECOND = 5_000, 500_000


def check_supported(config: RunConfig) -> None:
    if "=***" in config.endpoint.url:
        raise ConfigError(
            "a secret in its query was left out when it was saved (***); give the whole URL again",
            at=("Endpoint", "url"),
        )
    for text in config.scenarios:
        scenario = parse_scenario(text)
        if config.task not in scenario.tasks:
            raise ConfigError(
                f"scenario {text!r} is not for the task {config.task!r}; it is for {', '.join(scenario.tasks)}"
            )
        if not scenario.sampled:
            able = ", ".join(letters for letters, form in FORMS.items() if form.sampled)
            raise ConfigError(f"scenario {text!r} cannot be run by this version; it runs {able}")
        for part in scenario.parts:
            if isinstance(part, (Image, ImageText, ImagePrefix)):
                check_size(text, part.width, part.height, getattr(part, "count", None) or 1)
        _check_data(scenario, config)
    if config.workers and os.name == "nt":
        raise ConfigError("worker processes need Linux or macOS; use workers=0", at=("RunConfig", "workers"))
    if config.endpoint.http2 and find_spec("h2") is None:
        raise ConfigError("Endpoint.http2 needs the h2 package, which is not installed: pip install h2")
    _check_batch(config)
    check_precision(config.until)


def say_limits(config: RunConfig) -> None:
    """A warning before anything is sent where times will be Python's and not the kernel's."""
    if config.endpoint.by_httpx:
        why = "through a proxy or over HTTP/2 no byte has a kernel stamp"
    elif not stamps_here():
        why = f"{platform.system()} gives this process no kernel stamps"
    else:
        return
    warnings.warn(
        f"{why}: times are those at which Python read the bytes, and each row's error says by how much they may be late "
        "(some milliseconds, more with many requests in flight or a busy kernel); workers=1 keeps the kernel's work apart",
        stacklevel=3,
    )


def say_data(events: Sequence[dict[str, Any]]) -> None:
    """A warning before anything is sent for each part of a data set that was meant to be sent and is not."""
    for event in events:
        if event.get("lost"):
            warnings.warn(str(Finding.of(event)), stacklevel=3)


def _check_data(scenario: Scenario, config: RunConfig) -> None:
    if config.dataset is None and scenario.needs_data:
        raise ConfigError(
            f"scenario '{scenario}' sends the entries of a data set, and there is none; give RunConfig.dataset"
        )
    if config.dataset is not None and not scenario.takes_data:
        raise ConfigError(
            f"scenario '{scenario}' makes its own input and takes nothing from a data set; "
            "use scenarios='dataset' or leave the data set out",
            at=("RunConfig", "dataset"),
        )


def _check_batch(config: RunConfig) -> None:
    sizes = config.batch_size
    batched = [text for text in config.scenarios if parse_scenario(text).batched]
    if config.task != "text-to-embeddings":
        if sizes != [1]:
            raise ConfigError(f"{config.task} has one input a request; leave it at 1", at=("RunConfig", "batch_size"))
        if batched:
            raise ConfigError(f"scenario {batched[0]!r}: {config.task} has one input a request; leave its number out")
    if batched and sizes != [1]:
        raise ConfigError(
            f"scenario {batched[0]!r} says itself how many inputs a request has; leave one of them out",
            at=("RunConfig", "batch_size"),
        )
    if len(sizes) > 1 and carries_own_text(config):
        raise ConfigError(
            f"it is {sizes}, and request_params give the input of every request; give one of the two",
            at=("RunConfig", "batch_size"),
        )


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
    """Raises the soft limit on open files where that is allowed; ConfigError where the levels need more."""
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
    """ConfigError where what is planned cannot fit: its rows and chunks on the disk, what is in flight in memory."""
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
        f"what is planned needs about {need / 1e9:.1f} GB {where}, and {free / 1e9:.1f} GB are free",
        at=("RunConfig", field),
    )


def _available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def open_manifest(folder: RunFolder, config: RunConfig, tokenizer: str, events: Sequence[Finding] = ()) -> Manifest:
    """The run's manifest: of a folder begun before, with the levels that are missing; or a new one."""
    dumped = config.model_dump(mode="json")
    if folder.exists():
        manifest = folder.read_run()
        # of fields that an earlier version did not have
        defaults = RunConfig(endpoint=config.endpoint).model_dump(mode="json")
        saved = defaults | manifest.config
        if changed := [name for name in dumped if saved[name] != dumped[name]]:
            raise StoreError(
                f"{folder.path} holds another run: {', '.join(changed)} differ(s); give a new folder or the same config"
            )
        broken = {path.parent.name for path in folder.leave_out_broken() if not path.name.startswith("exchanges")}
        for level in manifest.levels:
            level.done = level.done and folder.level(level.index).name not in broken
        return manifest
    metadata = Metadata(
        salt=config.salt or secrets.token_hex(8),
        started_at=time.time(),
        tokenizer=tokenizer,
        key_sent=config.endpoint.authorization() is not None,
        events=list(events),
        versions={"basetenkit": __version__, "python": platform.python_version(), "polars": pl.__version__},
        machine={
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cpus": _cpus(),
        },
    )
    manifest = Manifest(config=dumped, metadata=metadata, levels=[*map(LevelEntry.planned, levels_of(config))])
    folder.write_run(manifest)
    return manifest


def _cpus() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
