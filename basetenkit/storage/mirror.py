"""A thread that copies a local folder to a folder of a bucket while it is written.

Each pass looks at the local files and uploads what is new, in an order in which a kill at any moment leaves a folder that can
be read: first what replaces other files, then deletions, then the rest, and last the file that says what is there (`last`), as
it was when the pass began. A note beside the local files says which are uploaded, so that a later call goes on from there.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import StoreError
from .bucket import Bucket
from .lock import BucketLock, LockLost

log = logging.getLogger(__name__)
LEDGER = ".uploaded"
EVERY_S, PAUSE_MOST_S = 5.0, 20.0
Stamp = list[int]  # size, time of the last change


@dataclass(frozen=True)
class Unfinished:
    """The files that are not in the bucket when a mirror has given up. `files`: how many; `message`: why."""

    files: int
    message: str


class Ledger:
    """What of a local folder is in the bucket: by file, its stamp; and the e_tag of `last`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / LEDGER
        self.stamps: dict[str, Stamp] = {}
        self.e_tag: str | None = None
        try:
            found = json.loads(self._file.read_bytes())
            self.stamps, self.e_tag = dict(found["stamps"]), found["e_tag"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # a new folder, or a note cut short: everything is uploaded again

    def save(self) -> None:
        beside = self._file.with_name(f"{self._file.name}.new")
        beside.write_text(json.dumps({"stamps": self.stamps, "e_tag": self.e_tag}))
        beside.replace(self._file)


def files_of(folder: Path, left_out: tuple[str, ...] = ()) -> dict[str, Stamp]:
    """The files below a folder by their name in it, "/" between the parts, with their stamps; hidden ones are left out."""
    found: dict[str, Stamp] = {}
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(at).relative_to(folder).as_posix()
        for name in files:
            whole = name if inside == "." else f"{inside}/{name}"
            if name.startswith(".") or whole in left_out:
                continue
            try:
                stat = (Path(at) / name).stat()
            except FileNotFoundError:
                continue
            found[whole] = [stat.st_size, stat.st_mtime_ns]
    return found


class Mirror:
    """Uploads `folder` to `bucket` until `finish`. `last`: the file that says what the others are; `first`: which files replace
    others; `left_out`: files that stay here; `begins`: `last` says nothing of other files yet, and goes ahead of them once."""

    def __init__(
        self,
        bucket: Bucket,
        folder: Path,
        last: str,
        first: Callable[[str], bool],
        left_out: tuple[str, ...] = (),
        lock: BucketLock | None = None,
        begins: bool = False,
    ) -> None:
        self._bucket, self._folder, self._last, self._first, self._left_out = bucket, folder, last, first, left_out
        self.ledger, self._lock, self._begins = Ledger(folder), lock, begins
        self._wake, self._ending = threading.Event(), False
        self._trouble: StoreError | OSError | None = None
        self._failures, self._well = 0, time.monotonic()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="basetenkit-upload", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something that should not wait for the next pass."""
        self._wake.set()

    @property
    def trouble(self) -> str:
        """Why the last pass failed; empty if it did not."""
        return str(self._trouble or "")

    def finish(self) -> Unfinished | None:
        """Waits until all is there, or until the store has failed for `retry_s`, and releases the lock. None if all is uploaded."""
        self._ending = True
        self._wake.set()
        if self._thread is None:
            self._work()
        else:
            self._thread.join()
        left = self._left()
        return Unfinished(len(left), self.trouble or "it was interrupted") if left else None

    def _left(self) -> list[str]:
        present = files_of(self._folder, self._left_out)
        new = [name for name, stamp in present.items() if self.ledger.stamps.get(name) != stamp]
        return [*new, *(name for name in self.ledger.stamps if name not in present)]

    def _work(self) -> None:
        self._well = time.monotonic()
        while True:
            self._wake.clear()
            ending = self._ending  # then this pass is of files that change no more
            whole = self._try()
            if isinstance(self._trouble, LockLost):
                return
            if ending and (whole or time.monotonic() - self._well > self._bucket.storage.retry_s):
                break
            self._wake.wait(self._pause(ending))
        self._release()

    def _pause(self, ending: bool) -> float:
        if not self._failures:
            return 0.0 if ending else EVERY_S
        return float(min(0.5 * 2 ** min(self._failures, 10), PAUSE_MOST_S))

    def _try(self) -> bool:
        """A pass; whether all of it is in the bucket."""
        try:
            if self._failures:
                self._bucket.reopen()  # with the credentials of now
            if self._lock is not None:
                self._lock.renew()
            whole = self._pass()
            self._trouble, self._failures, self._well = None, 0, time.monotonic()
        except LockLost as error:
            self._trouble = error
            log.warning("%s", error)
            return False
        except (StoreError, OSError) as error:
            self._failures += 1
            if str(error) != self.trouble:
                log.warning("upload failed and is tried again: %s", error)
            self._trouble = error
            return False
        return whole

    def _release(self) -> None:
        if self._lock is None:
            return
        try:
            self._lock.release()
        except (StoreError, OSError) as error:
            log.warning("the lock stays in %s: %s", self._bucket.storage, error)

    def _pass(self) -> bool:
        """Makes the bucket's folder the same as the local one. False if a file went away meanwhile: the next pass sees why."""
        said, stamp = self._say()
        if self._begins and said is not None:
            self._put_last(said, stamp)
            self._begins = False
        present = files_of(self._folder, (*self._left_out, self._last))
        new = [name for name, at in sorted(present.items()) if self.ledger.stamps.get(name) != at]
        gone = [name for name in self.ledger.stamps if name not in present and name != self._last]
        changed = bool(new or gone)
        whole = True
        try:
            for name in (one for one in new if self._first(one)):
                whole = self._put(name, present[name]) and whole
            if gone:
                self._bucket.delete(gone)
                for name in gone:
                    del self.ledger.stamps[name]
            for name in (one for one in new if not self._first(one)):
                whole = self._put(name, present[name]) and whole
            if whole and said is not None and stamp != self.ledger.stamps.get(self._last):
                self._put_last(said, stamp)
        finally:
            if changed:
                self.ledger.save()
        return whole

    def _put_last(self, said: bytes, stamp: Stamp) -> None:
        self.ledger.e_tag = self._bucket.put(self._last, said)
        self.ledger.stamps[self._last] = stamp
        self.ledger.save()

    def _say(self) -> tuple[bytes | None, Stamp]:
        file = self._folder / self._last
        try:
            stat = file.stat()
            return file.read_bytes(), [stat.st_size, stat.st_mtime_ns]
        except FileNotFoundError:
            return None, []

    def _put(self, name: str, stamp: Stamp) -> bool:
        try:
            self._bucket.put(name, self._folder.joinpath(*name.split("/")))
        except FileNotFoundError:
            return False
        self.ledger.stamps[name] = stamp
        self._well = time.monotonic()
        if self._lock is not None:
            self._lock.renew()
        return True
