"""One writer per folder of a bucket: an object that only one process can create, and that this process renews.

The object holds a random token: a create whose answer was lost is repeated by the client, finds its own object there, and must
know it. Ages are taken by the store's clock alone, so that no machine's clock matters. A lock that was not renewed for LEASE_S
is the lock of a process that has ended; it is taken over by a conditional write, so that one of several succeeds.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import time
from typing import Self

from ..core.errors import StoreError
from .bucket import Bucket, Item
from .troubles import BucketError, Trouble

log = logging.getLogger(__name__)
NAME, CLOCK = "lock", ".clock"
LEASE_S, RENEW_S = 120.0, 20.0


def is_lock(name: str) -> bool:
    """Whether an object of a folder is its lock, or one of those by which its age is found."""
    return name == NAME or name.startswith(f"{CLOCK}-")


class LockLost(StoreError):
    """Another writer has taken the lock."""


class BucketLock:
    """The lock of a folder, held. `conditional`: False if the store has no conditional writes, so that nothing is certain."""

    def __init__(self, bucket: Bucket, spool: str) -> None:
        self._bucket, self._spool, self._token = bucket, spool, secrets.token_hex(16)
        self.conditional, self._renewals, self._renewed = True, 0, time.monotonic()

    @classmethod
    def take(cls, bucket: Bucket, spool: str) -> Self:
        """Takes the lock of a folder. `spool`: a name that only one local folder has, of which the caller holds the lock on this
        machine; a lock with this name is then one that a process left behind. StoreError if another holds it, BucketError if the
        store fails."""
        lock = cls(bucket, spool)
        try:
            bucket.create(NAME, lock._content())
        except FileExistsError:
            lock._take_over()
        except BucketError as error:
            if error.trouble is not Trouble.UNSUPPORTED:
                raise
            lock.conditional = False
            lock._take_unconditionally()
        return lock

    def _content(self) -> bytes:
        self._renewals += 1  # so that no two contents, and no two e_tags, are the same
        who = {"host": socket.gethostname(), "process": os.getpid(), "spool": self._spool}
        return json.dumps({"token": self._token, **who, "written": self._renewals}).encode()

    def _read(self) -> tuple[dict[str, object], Item | None]:
        item, content = self._bucket.head(NAME), self._bucket.get(NAME)
        try:
            found = json.loads(content or b"{}")
        except ValueError:
            found = {}
        return (found if isinstance(found, dict) else {}), item

    def _take_over(self) -> None:
        found, item = self._read()
        if found.get("token") == self._token:  # the answer to our own create was lost
            return
        if item is None:  # it was released meanwhile
            self._again()
            return
        if found.get("spool") != self._spool and (age := self._age(item)) < LEASE_S:
            raise self._refused(found, age)
        try:
            self._bucket.replace(NAME, self._content(), item)
        except FileExistsError:
            if self._read()[0].get("token") != self._token:
                raise self._refused(found, 0.0) from None
        log.info("%s: took over the lock of %s", self._bucket.storage, found.get("host"))

    def _again(self) -> None:
        try:
            self._bucket.create(NAME, self._content())
        except FileExistsError:
            found, _ = self._read()
            if found.get("token") != self._token:
                raise self._refused(found, 0.0) from None

    def _take_unconditionally(self) -> None:
        found, item = self._read()
        if item is not None and found.get("spool") != self._spool and (age := self._age(item)) < LEASE_S:
            raise self._refused(found, age)
        self._bucket.put(NAME, self._content())

    def _age(self, item: Item) -> float:
        """How long ago it was renewed, in s, by the store's clock."""
        own = f"{CLOCK}-{self._token}"  # several may ask at once
        self._bucket.put(own, b"")
        now = self._bucket.head(own)
        self._bucket.delete([own])
        return 0.0 if now is None else (now.modified - item.modified).total_seconds()

    def _refused(self, found: dict[str, object], age: float) -> StoreError:
        host = str(found.get("host") or "another tool")
        process = f", process {found['process']}" if "process" in found else ""
        return StoreError(
            f"another run is writing to {self._bucket.storage}: {host}{process}, last seen {max(age, 0):.0f} s ago; wait for it, "
            f"or give another name. If that process has ended, call again in {max(LEASE_S - age, 1):.0f} s"
        )

    def renew(self, force: bool = False) -> None:
        """Says that its holder lives, at most once in RENEW_S. LockLost if another has it, BucketError if the store fails."""
        if not force and time.monotonic() - self._renewed < RENEW_S:
            return
        found, item = self._read()
        if found.get("token") != self._token:
            raise LockLost(
                f"another run has taken over {self._bucket.storage}: {found.get('host', 'its lock is gone')}; this machine was "
                f"not heard of for {LEASE_S:.0f} s"
            )
        try:
            if item is not None and self.conditional:
                self._bucket.replace(NAME, self._content(), item)
            else:
                self._bucket.put(NAME, self._content())
        except FileExistsError:
            if self._read()[0].get("token") != self._token:
                raise LockLost(f"another run has taken over {self._bucket.storage}") from None
        self._renewed = time.monotonic()

    def release(self) -> None:
        """Deletes the lock if it is still this one's."""
        if self._read()[0].get("token") == self._token:
            self._bucket.delete([NAME])
