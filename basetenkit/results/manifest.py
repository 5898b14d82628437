"""run.json as a model: the run's configuration, how each of its levels ended, and on which machine.

A field that this version does not know is kept, so that a folder from a later version can be resumed without a loss. A field that
was not set is not written.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, PlainValidator, ValidationError

from ..config.loads import LevelKey
from ..config.plan import PlannedLevel
from ..core.errors import StoreError
from ..core.findings import Finding
from ..core.reasons import Stop
from . import migrations

SCHEMA_VERSION = 2  # what earlier ones saved is read by `migrations`
Json = dict[str, JsonValue]
log = logging.getLogger(__name__)


def _saved(kind: type[Stop] | type[Finding]) -> PlainValidator:
    """Takes an object as it is, or makes it of what its `saved` gave."""

    def read(given: object) -> Stop | Finding:
        try:
            if isinstance(given, kind):
                return given
            return kind.of(given if isinstance(given, Mapping) else {})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{given!r} is not a saved {kind.__name__}") from error

    return PlainValidator(read)


SavedStop = Annotated[Stop, _saved(Stop), PlainSerializer(Stop.saved)]
SavedFinding = Annotated[Finding, _saved(Finding), PlainSerializer(Finding.saved)]


class _Kept(BaseModel):
    """A part of run.json."""

    model_config = ConfigDict(extra="allow")


class WorkerReport(_Kept):
    """What one worker process sent of a level, and what it took of that process."""

    sent: int
    cpu_share: float | None = None
    loop_lag_p99_s: float | None = None


class HostReport(_Kept):
    """One Dask worker of a run over a cluster. `clock_offset_s`: its monotonic clock less that of who leads, s;
    `clock_offset_error_s`: how far that may be off; `clock_drift_s`: how far it moved over the last level, 0.0 if no more than
    the bounds tell; `sent`: requests over all levels; `cpu_share`, `loop_lag_p99_s`: the worst of its stages."""

    host: str
    address: str
    versions: dict[str, str] = {}
    clock_offset_s: float | None = None
    clock_offset_error_s: float | None = None
    clock_drift_s: float | None = None
    sent: int = 0
    cpu_share: float | None = None
    loop_lag_p99_s: float | None = None

    def add(self, report: LevelReport) -> None:
        """Takes in what a stage of it did in a level."""
        self.sent += report.sent
        for name in ("cpu_share", "loop_lag_p99_s"):
            seen = [x for x in (getattr(self, name), getattr(report, name)) if x is not None]
            setattr(self, name, max(seen, default=None))

    def clock_seen(self, offset_s: float, error_s: float) -> None:
        """Takes in a measurement of its clock; `clock_drift_s` is how far it moved since the last one."""
        if self.clock_offset_s is not None and self.clock_offset_error_s is not None:
            moved = abs(offset_s - self.clock_offset_s)
            self.clock_drift_s = moved if moved > error_s + self.clock_offset_error_s else 0.0
        self.clock_offset_s, self.clock_offset_error_s = offset_s, error_s


class LostWorker(_Kept):
    """A worker process that ended before its level did. `requests`: those of which only this is known."""

    worker: int
    why: str | None = None
    requests: int = 0


class UntilReached(_Kept):
    """How precise a level with `until` became: half of each figure's interval over the figure, None without an upper bound."""

    reached: dict[str, float | None]
    enough: bool
    n: int


class LevelReport(_Kept):
    """How a level went: counts, why it ended, and what it took of the process that sent it. `ended_by`: None if it ended by itself;
    `cut_s`: when it was cut, in s since its start; `goal`: measured requests that it was to have; `seconds`: how long it ran."""

    sent: int = 0
    peak_in_flight: int = 0
    held_back: int = 0
    ended_by: SavedStop | None = None
    cut_s: float | None = None
    tokens_guard: bool = False
    goal: int | None = None
    seconds: float | None = None
    cpu_share: float | None = None
    loop_lag_p99_s: float | None = None
    workers: list[WorkerReport] = []
    workers_lost: list[LostWorker] = []
    until: UntilReached | None = None
    whole: bool = Field(True, exclude=True)  # whether each sender did its part


class _Place(_Kept):
    """Which level and repeat an entry is of."""

    index: int = 0
    scenario: str
    load: str
    level: float
    repeat: int = 0
    done: bool = False


class LevelEntry(LevelReport, _Place):
    """One level and repeat of a run. `done`: it ran to its end; `started_at`: s since 1970."""

    started_at: float | None = None

    @classmethod
    def planned(cls, level: PlannedLevel) -> Self:
        """The entry of a level that was not sent yet."""
        return cls.model_validate({"index": level.index, **level.columns, "done": False, "sent": 0})

    @property
    def key(self) -> LevelKey:
        return LevelKey.of({"scenario": self.scenario, "load": self.load, "level": self.level})

    @property
    def plan(self) -> PlannedLevel:
        return PlannedLevel(self.index, self.key, self.repeat)

    def take(self, report: LevelReport) -> None:
        """Takes over what a report says, and only that."""
        for name in report.model_fields_set:
            setattr(self, name, getattr(report, name))


class Metadata(_Kept):
    """What surrounded a run. `events`: what a reader must know beside the rows, and of which findings are made; `timed_by`: the
    tool that measured, if it was another one."""

    salt: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    tokenizer: str = "unknown"
    key_sent: bool = False
    events: list[SavedFinding] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    machine: Json = Field(default_factory=dict)
    timed_by: str | None = None
    hosts: list[HostReport] = Field(default_factory=list)
    genai_bench: Json | None = None


class Manifest(BaseModel):
    """The whole document. `config`: a RunConfig less its secrets, as JSON."""

    config: Json
    metadata: Metadata
    levels: list[LevelEntry]

    def of_level(self, key: LevelKey) -> list[LevelEntry]:
        """The entries of a level, one per repeat."""
        return [entry for entry in self.levels if entry.key == key]

    def to_json(self) -> bytes:
        """The bytes of run.json."""
        document = {"schema": SCHEMA_VERSION, **self.as_dict()}
        return orjson.dumps(document, option=orjson.OPT_INDENT_2)

    def as_dict(self) -> Json:
        """The document as plain values."""
        dumped: Json = self.model_dump(mode="json", exclude_unset=True)
        return dumped

    @classmethod
    def from_json(cls, data: bytes, folder: Path | str) -> Self:
        """Reads the bytes of a folder's run.json; StoreError, in one sentence, if they are damaged or of a newer schema."""
        file = f"{folder}/run.json"
        try:
            document = json.loads(data)
        except ValueError as error:
            raise StoreError(f"{file} is damaged: it is not JSON ({error})") from None
        if not isinstance(document, dict) or not isinstance(document.get("schema"), int):
            raise StoreError(f"{file} is not a run of basetenkit: it has no schema version")
        if (schema := document["schema"]) > SCHEMA_VERSION:
            raise StoreError(f"{folder} is of schema {schema}, newer than this version reads ({SCHEMA_VERSION})")
        if schema < SCHEMA_VERSION:
            log.debug("%s is of schema %d and is read as schema %d", file, schema, SCHEMA_VERSION)
        try:
            return cls.model_validate(migrations.document(document))
        except (AttributeError, KeyError, TypeError) as error:
            raise StoreError(f"{file} is damaged ({error!r}); give a new folder") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            what = f"it has no {where!r}" if first["type"] == "missing" else f"{where}: {first['msg']}"
            raise StoreError(f"{file} is damaged: {what}; give a new folder") from None
