"""Checks before anything is sent, and the first run.json of a new run."""

from __future__ import annotations

import os
import platform
import secrets
import time
import warnings
from collections.abc import Sequence
from importlib.util import find_spec

import polars as pl

from ..analysis.precision import check as check_precision
from ..config.plan import levels_of
from ..config.run_config import RunConfig
from ..config.scenarios import FORMS, Image, ImagePrefix, ImageText, Scenario, parse_scenario
from ..config.tasks import TASKS
from ..core.errors import ConfigError, StoreError
from ..core.findings import Finding
from ..core.version import __version__
from ..loadgen.prepared import Prepared
from ..loadgen.request_source import request_head
from ..results.manifest import LevelEntry, Manifest, Metadata
from ..results.store import RunFolder
from ..transport.clock import stamps_here
from ..workload import datasets
from ..workload.images import check_size
from ..workload.payload import carries_own_text
from ..workload.tokenizer import load_tokenizer
from .limits import allow_open_files, check_ports


def prepare(config: RunConfig) -> Prepared:
    """Checks all that can be checked before anything is sent, and reads the tokenizer and the data set: once. ConfigError, or
    another error in one sentence, if the run cannot begin; a warning if its times or its data are not what they seem."""
    check_supported(config)
    head = request_head(config.endpoint)  # a missing key is told now
    entries = datasets.load(config)
    events = datasets.events(config, entries)
    tokenizer = load_tokenizer(config.tokenizer)
    check_ports(config)
    allow_open_files(config)
    say_limits(config)
    say_data(events)
    return Prepared(
        config,
        tokenizer,
        head,
        entries,
        secrets=tuple(config.endpoint.secrets()),
        levels=tuple(levels_of(config)),
        events=tuple(map(Finding.of, events)),
    )


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
    """Warn, before anything is sent, if times will be taken in Python and not by the OS kernel."""
    if config.endpoint.by_httpx:
        why = "there are no OS receive timestamps with a proxy or HTTP/2"
    elif not stamps_here():
        why = f"there are no OS receive timestamps in this process ({platform.system()})"
    else:
        return
    warnings.warn(
        f"{why}: times are when Python read the data and may be late by a few ms (see `*_error_s` of each row), or later "
        "with many requests in flight or a busy notebook kernel; workers=1 avoids the effect of a busy notebook kernel",
        stacklevel=4,
    )


def say_data(events: Sequence[dict[str, object]]) -> None:
    """A warning before anything is sent for each part of a data set that was meant to be sent and is not."""
    for event in events:
        if event.get("lost"):
            warnings.warn(str(Finding.of(event)), stacklevel=4)


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
    if TASKS[config.task].generates:
        if sizes != [1]:
            raise ConfigError(f"{config.task} has one input per request; leave it at 1", at=("RunConfig", "batch_size"))
        if batched:
            raise ConfigError(f"scenario {batched[0]!r}: {config.task} has one input per request; leave its number out")
    if batched and sizes != [1]:
        raise ConfigError(
            f"scenario {batched[0]!r} sets the number of inputs per request; leave one of the two out",
            at=("RunConfig", "batch_size"),
        )
    if len(sizes) > 1 and carries_own_text(config):
        raise ConfigError(
            f"it is {sizes}, and request_params give the input of every request; give one of the two",
            at=("RunConfig", "batch_size"),
        )


def open_manifest(folder: RunFolder, prepared: Prepared) -> Manifest:
    """The run's manifest: of a folder begun before, with the levels that are missing; or a new one."""
    config = prepared.config
    dumped = config.model_dump(mode="json")
    if folder.exists():
        manifest = folder.read_run()
        # of fields that an earlier version did not have
        defaults = RunConfig(endpoint=config.endpoint).model_dump(mode="json")
        saved = defaults | manifest.config
        if changed := [name for name in dumped if saved[name] != dumped[name]]:
            raise StoreError(
                f"{folder.place} contains another run: {', '.join(changed)} differ(s); give a new folder or the same config"
            )
        broken = {path.parent.name for path in folder.leave_out_broken() if not path.name.startswith("exchanges")}
        for level in manifest.levels:
            level.done = level.done and folder.level(level.index).name not in broken
        return manifest
    metadata = Metadata(
        salt=config.salt or secrets.token_hex(8),
        started_at=time.time(),
        tokenizer=prepared.tokenizer.name,
        key_sent=config.endpoint.authorization() is not None,
        events=list(prepared.events),
        versions={"basetenkit": __version__, "python": platform.python_version(), "polars": pl.__version__},
        machine={
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cpus": _cpus(),
        },
    )
    manifest = Manifest(config=dumped, metadata=metadata, levels=[*map(LevelEntry.planned, prepared.levels)])
    folder.write_run(manifest)
    return manifest


def _cpus() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
