"""What must hold before anything is sent, and the document that a new run begins with."""

from __future__ import annotations

import os
import platform
import secrets
import time
from dataclasses import asdict
from typing import Any

import polars as pl

from . import __version__
from .conductor import plan
from .config import RunConfig
from .errors import ConfigError, StoreError
from .scenario import parse_scenario
from .store import RunFolder

OPEN_FILES_SPARE = 64


def check_supported(config: RunConfig) -> None:
    if "=***" in config.endpoint.url:
        raise ConfigError(
            "Endpoint.url: a secret in its query was left out when it was saved (***); give the whole URL again"
        )
    for text in config.scenarios:
        scenario = parse_scenario(text)
        if config.task not in scenario.tasks:
            raise ConfigError(
                f"scenario {text!r} is not for the task {config.task!r}; it is for {', '.join(scenario.tasks)}"
            )
        if not scenario.sampled:
            raise ConfigError(f"scenario {text!r} cannot be run by this version; it runs D, N and U, e.g. D(100,100)")
    for name, value, only in (
        ("task", config.task, "text-to-text"),
        ("dataset", config.dataset, None),
        ("workers", config.workers, 0),
    ):
        if value != only:
            raise ConfigError(f"RunConfig.{name}: this version runs only {name}={only!r}")


def allow_open_files(config: RunConfig) -> None:
    """Raises the soft limit on open files where that is allowed; ConfigError where the levels need more."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    wanted = {"concurrency": max(config.concurrency, default=0), "max_in_flight": config.max_in_flight or 0}
    name = max(wanted, key=lambda n: wanted[n])
    need = wanted[name] + OPEN_FILES_SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= need or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < need:
        most = max(hard - OPEN_FILES_SPARE, 0)
        raise ConfigError(
            f"RunConfig.{name}: {need} open files are needed and the limit is {hard} (ulimit -n); at most {most} fit"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


def open_document(folder: RunFolder, config: RunConfig, tokenizer: str) -> dict[str, Any]:
    """The run's document: of a folder begun before, with the levels that are missing; or a new one."""
    dumped = config.model_dump(mode="json")
    if folder.exists():
        document = folder.read_run()
        if missing := {"config", "metadata", "levels"} - document.keys():
            raise StoreError(f"{folder.run_file} is damaged: it has no {sorted(missing)[0]!r}; give a new folder")
        if document["config"] != dumped:
            changed = [k for k in dumped if document["config"].get(k) != dumped[k]]
            raise StoreError(
                f"{folder.path} holds another run: {', '.join(changed)} differ(s); give a new folder or the same config"
            )
        return document
    metadata = {
        "salt": config.salt or secrets.token_hex(8),
        "started_at": time.time(),
        "tokenizer": tokenizer,
        "key_sent": config.endpoint.authorization() is not None,
        "versions": {"basetenkit": __version__, "python": platform.python_version(), "polars": pl.__version__},
        "machine": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cpus": _cpus(),
        },
    }
    levels = [asdict(key) | {"done": False, "sent": 0} for key in plan(config)]
    document = {"config": dumped, "metadata": metadata, "levels": levels}
    folder.write_run(document)
    return document


def _cpus() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
