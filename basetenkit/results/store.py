"""A run as a folder: written during the run, read as a whole, with the same layout from the start to the end.

    run.json                         schema version, config (no secrets), metadata, levels, which are done and why each ended
    levels/000/requests-00001.parquet    rows of level 0, a part a second; one part once the level is done
    levels/000/chunks-00001.parquet      its output chunks
    levels/000/exchanges-00001.parquet   raw bytes with their arrival times, where `capture` kept them
    summary.json                     its figures, for a history of many runs; not needed
    aside/                           rows of levels that were begun and done again
    lock                             held by the writer

Each file appears whole: it is written beside its place, synced if the run is to last, and renamed. Reading a folder
executes nothing and follows no path out of it.
"""

from __future__ import annotations

import json
import os
import shutil
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import polars as pl

from ..config.coercions import as_path
from ..core.errors import StoreError
from ..core.findings import Finding
from ..core.interrupts import uninterrupted
from ..core.secrets import looks_secret, redact
from ..core.types import Cause, Exchange, Failure, NewRow, Outcome, Request
from . import migrations
from .manifest import SCHEMA_VERSION, Manifest
from .schema import CHUNK_SCHEMA, SCHEMA

RUN_FILE, LOCK_FILE = "run.json", "lock"

EXCHANGE_SCHEMA: dict[str, pl.DataType] = {
    "request_id": pl.String(),
    "status": pl.Int64(),
    "headers": pl.String(),
    "body": pl.Binary(),
    "reads": pl.Binary(),
    "sent_ns": pl.Int64(),
    "send_bound_ns": pl.Int64(),
    "failure": pl.String(),
    "request_body": pl.Binary(),
    "prompt": pl.String(),
    "output_tokens_target": pl.Int64(),
    "batch_size": pl.Int64(),
}
_VERSION = {"basetenkit_schema": str(SCHEMA_VERSION)}
SCHEMAS = {"requests": SCHEMA, "chunks": CHUNK_SCHEMA, "exchanges": EXCHANGE_SCHEMA}
_ROWS_AT_ONCE = {"requests": 2_000, "chunks": 250_000, "exchanges": 200}  # held in memory while parts are put together


def _readable_os_error(folder: Path, error: OSError, doing: str) -> StoreError:
    return StoreError(f"the run folder {folder} cannot be {doing}: {error.strerror or error}")


def write_whole(path: Path, data: bytes, durable: bool) -> None:
    """Writes a file so that it appears whole or not at all; `durable`: synced to the disk before it appears."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    beside.replace(path)


def _begun(path: Path) -> bool:
    """Whether a file is of a run that was killed before its run.json was there: nothing of a user's is in it."""
    return path.name == f".{RUN_FILE}.new" or (path.name == "levels" and path.is_dir() and not any(path.iterdir()))


class RunFolder:
    """One run's folder. `durable` folders are the user's and are synced; others are temporary. `notes`: findings on the folder
    itself, which are of now and are not saved; `here`: whether the folder is where the user wants the run."""

    own, here = frozenset({LOCK_FILE}), True

    def __init__(self, path: str | Path, durable: bool = True) -> None:
        self.path, self.durable = as_path(path, "the run folder"), durable
        self.left_out: set[Path] = set()
        self.notes: list[Finding] = []

    @property
    def place(self) -> str:
        """The address that the user gave, as text."""
        return str(self.path)

    @property
    def run_file(self) -> Path:
        return self.path / RUN_FILE

    def exists(self) -> bool:
        return self.run_file.is_file()

    def create(self) -> None:
        """StoreError if the folder cannot be made, is not a run folder but has files, or cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            others = [p.name for p in self.path.iterdir() if p.name not in self.own and not _begun(p)]
            if others and not self.exists():
                raise StoreError(
                    f"{self.path} has files but is not a run folder ({others[0]}); give a new or an empty folder"
                )
            (self.path / "levels").mkdir(exist_ok=True)
        except OSError as error:
            raise _readable_os_error(self.path, error, "made") from None

    def abandon(self) -> None:
        """Lets go of what `create` took, for a run that does not begin."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder's lock; StoreError if another writer has it. The lock goes with its process."""
        try:
            handle = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _readable_os_error(self.path, error, "written") from None
        try:
            if not _lock(handle):
                raise StoreError(f"another run is writing to {self.place}; wait for it, or give another folder")
            yield
        finally:
            os.close(handle)

    def write_run(self, manifest: Manifest) -> None:
        try:
            write_whole(self.run_file, manifest.to_json(), self.durable)
        except OSError as error:
            raise _readable_os_error(self.path, error, "written") from None

    def read_run(self) -> Manifest:
        """What run.json says; StoreError if it is missing, damaged, or of a newer schema."""
        try:
            return Manifest.from_json(self.run_file.read_bytes(), self.place)
        except FileNotFoundError:
            theirs = (self.path / "experiment_metadata.json").is_file()
            cure = "; it is a result folder of genai-bench: bk.read_genai_bench(folder) reads it" if theirs else ""
            raise StoreError(f"{self.place} is not a run folder: it has no {RUN_FILE}{cure}") from None
        except OSError as error:
            raise _readable_os_error(self.path, error, "read") from None

    def level(self, index: int) -> Path:
        return self.path / "levels" / f"{index:03d}"

    def unused(self, index: int) -> int:
        """The first index from `index` on under which no level's rows lie."""
        while self.level(index).is_dir():
            index += 1
        return index

    @uninterrupted
    def write_part(self, index: int, part: int, kind: str, frame: pl.DataFrame) -> None:
        """One part of level `index`: `kind` is "requests", "chunks" or "exchanges"."""
        folder = self.level(index)
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{kind}.new"
        frame.write_parquet(beside, compression="zstd", compression_level=1, metadata=_VERSION)
        self._put(beside, f"{kind}-{part:05d}.parquet")

    def _put(self, beside: Path, name: str) -> None:
        """Gives a file that is whole its name, once it is on the disk if that is requested."""
        if self.durable:
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
        beside.replace(beside.with_name(name))

    @uninterrupted
    def compact(self, index: int) -> None:
        """Merges a level's parts of each kind into one. As soon as it exists, it replaces the others."""
        for kind in SCHEMAS:
            parts = self.parts(kind, index)
            if len(parts) > 1:
                beside = self.level(index) / f".{kind}.new"
                try:
                    pl.scan_parquet(parts).sink_parquet(
                        beside, compression="zstd", metadata=_VERSION, row_group_size=_ROWS_AT_ONCE[kind]
                    )
                    self._put(beside, f"{kind}-whole.parquet")
                except (OSError, pl.exceptions.PolarsError) as error:
                    raise StoreError(f"the run folder {self.path} cannot be written: {error}") from None
                for part in parts:
                    part.unlink()

    def set_aside(self, index: int) -> None:
        """Moves the rows of a level that is to be done again out of the way; they are kept under aside/."""
        if self.level(index).is_dir():
            aside = self.path / "aside"
            aside.mkdir(exist_ok=True)
            self.level(index).rename(aside / f"{index:03d}-{len(list(aside.iterdir())) + 1}")
            self.left_out = {path for path in self.left_out if path.parent != self.level(index)}

    def parts(self, kind: str, index: int | None = None) -> list[Path]:
        """The Parquet files of one kind, in order; `index` None: of all levels. Those in `left_out` are not among them."""
        if index is None:
            folders = sorted(p for p in (self.path / "levels").glob("[0-9]*") if p.is_dir())
            return [part for folder in folders for part in self.parts(kind, int(folder.name))]
        whole = self.level(index) / f"{kind}-whole.parquet"
        found = [whole] if whole.is_file() else sorted(self.level(index).glob(f"{kind}-[0-9]*.parquet"))
        return [part for part in found if part not in self.left_out]

    def scan(self, kind: str, index: int | None = None) -> pl.LazyFrame:
        """All rows of one kind, lazily, in the order of the levels; of the level `index` alone if it is given."""
        schema = SCHEMAS[kind]
        parts = self.parts(kind, index)
        if not parts:
            return pl.LazyFrame(schema=schema)
        rows = pl.scan_parquet(parts, schema=schema, missing_columns="insert", extra_columns="ignore")
        return migrations.requests(rows) if kind == "requests" else rows

    def leave_out_broken(self) -> list[Path]:
        """Leaves out the parts that cannot be read, and returns them; each one's footer is looked at."""
        for path in [p for kind in SCHEMAS for p in self.parts(kind)]:
            try:
                pl.read_parquet_schema(path)
            except (pl.exceptions.PolarsError, OSError):
                self.left_out.add(path)
        return sorted(self.left_out)

    def copy_to(self, target: Path) -> None:
        """Copies the run, whole, to a folder that is not there yet or is empty."""
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise StoreError(f"{target} exists and is not empty; save to a new folder")
        beside = target.with_name(f".{target.name}.new")
        try:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.copytree(self.path, beside, ignore=shutil.ignore_patterns(LOCK_FILE, ".*"))
            if target.exists():
                target.rmdir()
            beside.rename(target)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            raise _readable_os_error(target, error, "written") from None


def _lock(handle: int) -> bool:
    """An exclusive lock that ends with the process; False if another holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt  # type: ignore[import-not-found, unused-ignore]

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def redact_exchange(exchange: Exchange, secrets: Sequence[bytes]) -> None:
    """Blots out, in what a server sent back, what it had been sent in confidence: an asterisk a byte, so that every offset
    stays. Error pages that repeat the request's headers, and redirects that repeat its query, are common."""
    for secret in secrets:
        if secret in exchange.body:
            exchange.body = exchange.body.replace(secret, b"*" * len(secret))
        text = secret.decode("utf-8", "replace")
        if any(text in value for _, value in exchange.headers):
            exchange.headers = [(name, value.replace(text, "***")) for name, value in exchange.headers]
        if exchange.failure is not None:
            exchange.failure = replace(exchange.failure, message=exchange.failure.message.replace(text, "***"))


def exchange_frame(exchanges: Sequence[Exchange]) -> pl.DataFrame:
    """Raw bytes with their arrival times, as rows; what looks like a secret in headers and in the request's body is left out."""
    rows = [
        {
            "request_id": x.request.request_id,
            "status": x.status,
            "headers": json.dumps([(k, "***" if looks_secret(k) else v) for k, v in x.headers]),
            "body": bytes(x.body),
            "reads": x.reads.tobytes(),
            "sent_ns": x.sent_ns,
            "send_bound_ns": x.send_bound_ns,
            "failure": None
            if x.failure is None
            else json.dumps([x.failure.outcome.value, x.failure.message, x.failure.cause]),
            "request_body": _body_to_keep(x.request.body),
            "prompt": x.request.prompt,
            "output_tokens_target": x.request.output_tokens_target,
            "batch_size": x.request.batch_size,
        }
        for x in exchanges
    ]
    return pl.DataFrame(rows, schema=EXCHANGE_SCHEMA)


def _body_to_keep(body: bytes) -> bytes:
    """A request's body, byte for byte, except for texts under a key that looks like a secret's."""
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    kept = redact(sent)
    return body if kept == sent else orjson.dumps(kept)


def exchange_from_row(row: NewRow) -> Exchange:
    """The Exchange that `exchange_frame` made a row of, less its schedule and its request's targets."""
    reads = array("q")
    reads.frombytes(row["reads"])
    failure = None
    if row["failure"] is not None:
        outcome, message, *cause = json.loads(row["failure"])  # version 1 kept no cause
        failure = Failure(Outcome(outcome), message, Cause(cause[0]) if cause and cause[0] else None)
    return Exchange(
        Request(
            row["request_id"],
            row["request_body"],
            "",
            prompt=row["prompt"],
            output_tokens_target=row["output_tokens_target"],
            batch_size=row["batch_size"],
        ),
        sent_ns=row["sent_ns"],
        send_bound_ns=row["send_bound_ns"],
        status=row["status"],
        headers=[(k, v) for k, v in json.loads(row["headers"])],
        body=row["body"],
        reads=reads,
        failure=failure,
    )
