"""A run in a bucket: the same files as in a folder. It is written by way of a local folder, and read into one, kind by kind."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import polars as pl

from ..core.errors import StoreError
from ..core.findings import finding
from ..storage import lock, mirror, spool
from ..storage.address import Storage
from ..storage.bucket import Bucket
from .manifest import Manifest
from .store import LOCK_FILE, RUN_FILE, SCHEMAS, RunFolder

log = logging.getLogger(__name__)
NOT_UPLOADED, NOT_LOCKED = "not_uploaded", "not_locked"
_STAY = (LOCK_FILE,)
_KINDS = ("requests", "chunks")  # raw bytes may be many, and are fetched when they are asked for


def replaces_others(name: str) -> bool:
    """Whether a file must be there before others are deleted: what a level's parts were put together in, and rows set aside."""
    return "-whole." in name or name.startswith("aside/")


class BucketFolder(RunFolder):
    """A run's folder on this machine that is kept in a bucket, too. It goes when all of it is there and nobody reads it."""

    own, here = frozenset({LOCK_FILE, spool.IDENTITY, mirror.LEDGER}), False

    def __init__(self, storage: Storage) -> None:
        super().__init__(spool.spool_of(storage), durable=True)
        self.storage = storage
        self._held = ExitStack()
        self._mirror: mirror.Mirror | None = None

    @property
    def place(self) -> str:
        return self.storage.url

    def create(self) -> None:
        """Takes both locks, and makes the local folder what the next call goes on from. StoreError if the bucket cannot be used or
        holds something else."""
        bucket = Bucket(self.storage)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            identity = spool.identity(self.path)
        except OSError as error:
            raise StoreError(
                f"{self.storage}: the run is kept in {self.path} until it is uploaded, and that folder cannot be written "
                f"({error.strerror or error}); give another with BASETENKIT_SPOOL or bk.Storage(url, spool=...)"
            ) from None
        with ExitStack() as held:
            held.enter_context(self._lock_here())
            held.callback(self._remove_unused)
            bucket.listed()  # reading is allowed, and the bucket is there
            taken = lock.BucketLock.take(bucket, identity)
            held.callback(_release, taken)
            self._reconcile(bucket)
            super().create()
            self._held = held.pop_all()
        if not taken.conditional:
            self.notes.append(finding(NOT_LOCKED, url=self.storage.url))
        begins = not (self.exists() and any(level.done for level in self.read_run().levels))
        begins &= RUN_FILE not in mirror.Ledger(self.path).stamps
        self._mirror = mirror.Mirror(bucket, self.path, RUN_FILE, replaces_others, _STAY, taken, begins)

    @contextmanager
    def _lock_here(self) -> Iterator[None]:
        with RunFolder.locked(self):
            yield

    def abandon(self) -> None:
        self._held.close()

    def _remove_unused(self) -> None:
        """Removes the local folder, whose lock is held, if no run was begun in it."""
        if not self.exists():
            shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The time in which the run is written: `create` has taken the locks, and a thread uploads."""
        made = self._mirror
        if made is None:
            raise StoreError(f"{self.storage} was not opened for writing")
        with self._held:
            made.start()
            try:
                yield
            finally:
                left = made.finish()
                if left is None:
                    self._let_go()
                else:
                    why, where = left.message.rstrip("."), str(self.path)
                    self.notes.append(
                        finding(NOT_UPLOADED, files=left.files, url=self.storage.url, message=why, spool=where)
                    )

    def _let_go(self) -> None:
        """All of it is in the bucket: this copy is from now on the reader's, under a name that no later call uses."""
        own = self.path.with_name(f".done-{secrets.token_hex(8)}")
        self.path.rename(own)
        self.path, self.durable, self.left_out = own, False, set()

    def write_run(self, manifest: Manifest) -> None:
        super().write_run(manifest)
        if self._mirror is not None:
            self._mirror.wake()

    def _reconcile(self, bucket: Bucket) -> None:
        """Makes the local folder the newer of itself and the bucket's. What another machine has done since is kept; the local
        run is then copied to another name."""
        there, item = bucket.get(RUN_FILE), bucket.head(RUN_FILE)
        if there is None or item is None:
            others = [one.name for one in bucket.listed() if not lock.is_lock(one.name)]
            ours = mirror.Ledger(self.path).stamps
            if strange := [
                name for name in others if name not in ours and not (name.startswith("levels/") and self.exists())
            ]:
                raise StoreError(_holds_something_else(self.storage, strange))
            return
        manifest = Manifest.from_json(there, self.storage.url)
        if self.exists():
            here = self.run_file.read_bytes()
            if here == there or mirror.Ledger(self.path).e_tag == item.e_tag:
                return
            if (
                any(level.done for level in self.read_run().levels)
                or self.read_run().metadata.salt == manifest.metadata.salt
            ):
                log.warning(
                    "%s was written by another machine; the run in %s is kept", self.storage, self._keep_aside()
                )
        self._pull(bucket, there, item.e_tag)

    def _keep_aside(self) -> Path:
        """A copy of the local run under another name; the folder itself, whose lock is held, is emptied."""
        number = 1
        while (target := self.path.with_name(f"{self.path.name}.{number}")).exists():
            number += 1
        shutil.copytree(self.path, target, ignore=shutil.ignore_patterns(LOCK_FILE, ".*"))
        return target

    def _pull(self, bucket: Bucket, manifest: bytes, e_tag: str | None) -> None:
        for name in ("levels", "aside"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        found = [one.name for one in bucket.listed()]
        bucket.fetch([name for name in found if name.startswith(("levels/", "aside/"))], self.path)
        (self.path / RUN_FILE).write_bytes(manifest)
        ledger = mirror.Ledger(self.path)
        ledger.stamps, ledger.e_tag = mirror.files_of(self.path, _STAY), e_tag
        ledger.save()


def _release(taken: lock.BucketLock) -> None:
    try:
        taken.release()
    except (StoreError, OSError) as error:
        log.warning("the lock of a bucket stays: %s", error)


def _holds_something_else(storage: Storage, names: list[str]) -> str:
    if any(name.startswith("levels/") for name in names):
        return (
            f"{storage} has rows of a run but no {RUN_FILE}: its upload has not ended; call again on the machine where it ran, or "
            "give a new folder"
        )
    if any(name.endswith(f"/{RUN_FILE}") for name in names):
        return f"{storage} has several runs and is none itself; give a name in it, e.g. {storage}/first"
    return f"{storage} has objects but is not a run ({names[0]}); give a new or an empty folder"


class BucketSource:
    """A run in a bucket, as a source of RunData. The parts of a kind are fetched when the kind is first asked for."""

    def __init__(self, storage: Storage, known: list[str] | None = None) -> None:
        self.storage, self._bucket = storage, Bucket(storage)
        content = self._bucket.get(RUN_FILE)
        if content is None:
            names = [one.name for one in self._bucket.listed()]
            raise StoreError(
                _holds_something_else(storage, names)
                if names
                else f"there is no run in {storage}: it has no {RUN_FILE}"
            )
        self.manifest = Manifest.from_json(content, storage.url)
        self._folder = RunFolder(tempfile.mkdtemp(prefix="basetenkit-"), durable=False)
        weakref.finalize(self, shutil.rmtree, self._folder.path, ignore_errors=True)
        self._folder.run_file.write_bytes(content)
        self._fetched: set[str] = set()
        self._broken: set[str] = set()

    @cached_property
    def _names(self) -> list[str]:
        return [one.name for one in self._bucket.listed("levels")]

    @property
    def path(self) -> Path | None:
        return None

    @property
    def left_out(self) -> list[str]:
        """Those of the requests and chunks; of raw bytes once they were asked for."""
        self._fetch(_KINDS)
        return sorted(self._broken)

    def scan(self, kind: str) -> pl.LazyFrame:
        self._fetch(_KINDS if kind in _KINDS else (kind,))
        return self._folder.scan(kind)

    def save(self, target: Path) -> None:
        self._fetch(tuple(SCHEMAS))
        self._folder.copy_to(target)

    def _fetch(self, kinds: tuple[str, ...]) -> None:
        if wanted := [kind for kind in kinds if kind not in self._fetched]:
            gone = self._bucket.fetch(parts_of(self._names, wanted), self._folder.path)
            self._fetched.update(wanted)
            self._broken.update(gone)
            broken = self._folder.leave_out_broken()
            self._broken.update(path.relative_to(self._folder.path).as_posix() for path in broken)


def parts_of(names: list[str], kinds: list[str]) -> list[str]:
    """Of the files of a run those that hold these kinds; of a level that was put together the whole file alone."""
    wanted = []
    for name in names:
        folder, _, file = name.rpartition("/")
        kind = file.partition("-")[0]
        if folder.startswith("levels/") and kind in kinds and file.endswith(".parquet"):
            whole = f"{folder}/{kind}-whole.parquet"
            if name == whole or whole not in names:
                wanted.append(name)
    return wanted


def folder_at(place: Path | Storage, durable: bool = True) -> RunFolder:
    """The folder of a run that is written to `place`."""
    return BucketFolder(place) if isinstance(place, Storage) else RunFolder(place, durable)


def upload(folder: Path, storage: Storage) -> None:
    """Uploads a whole run to a folder of a bucket that is empty. StoreError if it is not, or if the store fails for `retry_s`."""
    bucket = Bucket(storage)
    if names := [one.name for one in bucket.listed() if not lock.is_lock(one.name)]:
        raise StoreError(f"{storage} is not empty ({names[0]}); save to a new folder")
    taken = lock.BucketLock.take(bucket, spool.identity(folder))
    left = mirror.Mirror(bucket, folder, RUN_FILE, replaces_others, _STAY, taken).finish()
    if left is not None:
        raise StoreError(f"{left.files} file(s) of the run are not in {storage}: {left.message}; save it again")
