"""RunData: the rows of a run, its chunks, raw exchanges and manifest, from any source.

A saved run's folder is one source, frames in memory are another; an importer of another tool's results makes the latter.
Analysis takes a RunData and nothing else, and `Run` is one, with the figures as attributes. Nothing is read before it is asked
for, except run.json.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self

import polars as pl

from ..config.run_config import RunConfig
from ..core.errors import StoreError
from ..core.types import Exchange
from ..storage.address import Place, Storage, as_place
from . import migrations
from .bucket_run import BucketSource, upload
from .manifest import Manifest
from .schema import SCHEMA, STORED
from .store import SCHEMAS, RunFolder, exchange_from_row
from .window import BY_RULE, Window, mark_window

TEXTS = ("text", "warnings")
NO_TEXT = [name for name in SCHEMA if name not in TEXTS]


class Source(Protocol):
    """The source of a run's data. `scan` takes "requests", "chunks" or "exchanges"."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def left_out(self) -> list[str]: ...

    @property
    def path(self) -> Path | None: ...

    def scan(self, kind: str) -> pl.LazyFrame: ...

    def save(self, target: Path) -> None: ...


class FolderSource:
    """A run's folder. A temporary one is removed when nothing refers to it any more."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.manifest = folder, folder.read_run()
        if folder.notes:
            self.manifest.metadata.events = [*self.manifest.metadata.events, *folder.notes]
        if not folder.durable:
            weakref.finalize(self, shutil.rmtree, folder.path, ignore_errors=True)

    @property
    def path(self) -> Path | None:
        return self.folder.path if self.folder.here else None

    @cached_property
    def left_out(self) -> list[str]:
        """The files that cannot be read, by their names within the folder."""
        return [str(path.relative_to(self.folder.path)) for path in self.folder.leave_out_broken()]

    def scan(self, kind: str) -> pl.LazyFrame:
        _ = self.left_out  # looked at once, before the first part is read
        return self.folder.scan(kind)

    def save(self, target: Path) -> None:
        if target.resolve() != self.folder.path.resolve():
            self.folder.copy_to(target)


@dataclass(frozen=True)
class FrameSource:
    """Frames in memory; a column of the schema that a frame lacks is null."""

    manifest: Manifest
    frames: dict[str, pl.DataFrame]
    left_out: list[str] = field(default_factory=list)
    path: Path | None = None

    def scan(self, kind: str) -> pl.LazyFrame:
        schema, frame = SCHEMAS[kind], self.frames.get(kind)
        if frame is None:
            return pl.LazyFrame(schema=schema)
        columns = [
            pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
            for name, dtype in schema.items()
        ]
        rows = frame.lazy().select(columns)
        return migrations.requests(rows) if kind == "requests" else rows

    def save(self, target: Path) -> None:
        """Writes a run folder: the rows of each level in its own part; those of no level (the preflight's) in one behind them."""
        with tempfile.TemporaryDirectory(prefix="basetenkit-") as beside:
            folder = RunFolder(beside)
            folder.create()
            self._fill(folder)
            folder.copy_to(target)

    def _fill(self, folder: RunFolder) -> None:
        rows, belongs = self.scan("requests").collect(), pl.lit(False)
        for entry in self.manifest.levels:
            same = pl.all_horizontal(pl.col(name) == value for name, value in entry.plan.columns.items())
            mine = same & (pl.col("phase") != "preflight")
            self._write(folder, entry.index, rows.filter(mine))
            belongs |= mine
        if (others := rows.filter(~belongs)).height:
            self._write(folder, folder.unused(len(self.manifest.levels)), others)
        folder.write_run(self.manifest)

    def _write(self, folder: RunFolder, index: int, rows: pl.DataFrame) -> None:
        folder.write_part(index, 1, "requests", rows.select(list(STORED)))
        ids = rows.lazy().select("request_id")
        for kind in ("chunks", "exchanges"):
            if kind in self.frames:
                mine = self.scan(kind).join(ids, on="request_id", how="semi", maintain_order="left").collect()
                folder.write_part(index, 1, kind, mine)


def _collected(rows: pl.LazyFrame) -> pl.DataFrame:
    """The rows; StoreError if a file is whole at its end and damaged before it."""
    try:
        return rows.collect()
    except pl.exceptions.PolarsError as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise StoreError(f"the rows of the run are damaged and cannot be read ({first})") from None


class RunData:
    """A run's data. `window`: what of each level is measured; None keeps the column `in_window` as the source has it."""

    def __init__(self, source: Source, window: Window | None = BY_RULE) -> None:
        self._source, self._window = source, window

    @property
    def folder(self) -> Path | None:
        """`path`, under the name that the form shows. A folder that was not chosen is temporary: `save` keeps the run."""
        return self.path

    @classmethod
    def load(cls, path: Place) -> Self:
        """The run saved in a folder, here or in a bucket. StoreError if there is none or it cannot be read."""
        place = as_place(path, "the run folder")
        return cls(BucketSource(place) if isinstance(place, Storage) else FolderSource(RunFolder(place)))

    @classmethod
    def of_frames(
        cls,
        manifest: Manifest,
        requests: pl.DataFrame,
        chunks: pl.DataFrame | None = None,
        exchanges: pl.DataFrame | None = None,
        window: Window | None = BY_RULE,
    ) -> Self:
        """A run of frames in memory, in the schemas of `basetenkit.results.schema`; columns that they lack are null."""
        given = {"requests": requests, "chunks": chunks, "exchanges": exchanges}
        return cls(FrameSource(manifest, {kind: frame for kind, frame in given.items() if frame is not None}), window)

    @property
    def window(self) -> Window:
        """The measured window: which requests of each level and repeat figures use."""
        return self._window or BY_RULE

    @property
    def manifest(self) -> Manifest:
        """run.json: the configuration, what surrounded the run, and how each level went."""
        return self._source.manifest

    @cached_property
    def config(self) -> RunConfig:
        """The run's configuration, less its secrets."""
        return RunConfig.model_validate(self.manifest.config)

    @property
    def path(self) -> Path | None:
        """The folder that it was read from, or that it was spooled to; None for frames in memory and for a run in a bucket."""
        return self._source.path

    @property
    def left_out(self) -> list[str]:
        """Files of the run that cannot be read; none of their rows is here."""
        return self._source.left_out

    @cached_property
    def requests(self) -> pl.DataFrame:
        """One row per request sent, in the schema of `basetenkit.results.schema.SCHEMA`."""
        return self._marked(_collected(self._source.scan("requests"))).select(list(SCHEMA))

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The requests without their texts: of a long run half a gigabyte, which no figure needs."""
        if "requests" in self.__dict__:
            return self.requests.select(NO_TEXT)
        return self._marked(_collected(self._source.scan("requests").drop(TEXTS))).select(NO_TEXT)

    def _marked(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows if self._window is None else mark_window(rows, self._window)

    @property
    def chunks(self) -> pl.LazyFrame:
        """A LazyFrame (`.collect()` reads it), one row per output chunk: request_id,
        index, arrival_s (s since the send), error_s, tokens, text_start, text_end."""
        return self._source.scan("chunks")

    @property
    def captured(self) -> list[str]:
        """The ids of the requests whose raw bytes `capture` kept, for `exchange`."""
        ids: list[str] = self._source.scan("exchanges").select("request_id").collect()["request_id"].to_list()
        return ids

    def exchange(self, request_id: str) -> Exchange:
        """The raw bytes of one exchange with their arrival times; KeyError if `capture` did not keep it."""
        rows = self._source.scan("exchanges").filter(pl.col("request_id") == request_id).collect()
        if not rows.height:
            raise KeyError(
                f"no raw bytes of {request_id!r} were kept (capture={self.config.capture!r}); run with capture='all'"
            )
        return exchange_from_row(rows.row(0, named=True))

    def exchanges(self) -> list[Exchange]:
        """Every exchange whose raw bytes were kept, in the order of the rows."""
        return [exchange_from_row(row) for row in self._source.scan("exchanges").collect().iter_rows(named=True)]

    def with_window(
        self,
        skip_first: int | None = None,
        skip_last: int | None = None,
        from_s: float | None = None,
        until_s: float | None = None,
    ) -> Self:
        """The same run with another measured window, of each level and repeat: without the first and the last so many requests
        by start order, and of those only what started from `from_s` to before `until_s`, in s since the level's start.

        Any of them replaces the rule by which the window is chosen; `run.window` says which is in use. The saved run stays as
        it is. ConfigError if a number is negative or `until_s` does not come after `from_s`."""
        return type(self)(self._source, Window(skip_first, skip_last, from_s, until_s))

    def save(self, path: Place) -> None:
        """Saves the run, whole, to a new or empty folder, here or in a bucket; StoreError if it is neither. A run's own folder is
        left as it is."""
        place = as_place(path, "save")
        if not isinstance(place, Storage):
            self._source.save(place)
            return
        with tempfile.TemporaryDirectory(prefix="basetenkit-") as beside:
            self._source.save(Path(beside) / "run")
            upload(Path(beside) / "run", place)
