"""A folder of a bucket: objects are written, read, listed and deleted; each failure is one sentence without a secret."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..core.errors import StoreError
from .address import Storage
from .opening import open_store
from .troubles import BucketError, Trouble, is_of_bucket

T = TypeVar("T")
AT_ONCE = 32
RETRIES, RETRY_S = 4, 15.0


@dataclass(frozen=True, slots=True)
class Item:
    """An object of a bucket. `name`: within the folder; `size`: bytes; `modified`: by the store's clock."""

    name: str
    size: int
    e_tag: str | None
    modified: datetime
    version: str | None = None


class Bucket:
    """The folder of a Storage. Each method may raise BucketError; all may be called from any thread."""

    def __init__(self, storage: Storage, retries: int = RETRIES, retry_s: float = RETRY_S) -> None:
        self.storage, self._how = storage, (retries, retry_s)
        self._store: Any = None
        self.reopen()

    def reopen(self) -> None:
        """Reads credentials again."""
        self._store = open_store(self.storage, *self._how)

    def put(self, name: str, content: bytes | Path) -> str | None:
        """Writes an object, whole or not at all; its e_tag. FileNotFoundError if the file is gone."""
        import obstore

        if isinstance(content, Path):
            with content.open("rb") as file:  # one that another thread removes meanwhile is read to its end
                return self._write(lambda: obstore.put(self._store, self._key(name), file))
        return self._write(lambda: obstore.put(self._store, self._key(name), content))

    def create(self, name: str, content: bytes) -> str | None:
        """Writes an object that must not be there. FileExistsError if it is; its e_tag."""
        return self._conditional(name, content, "create")

    def replace(self, name: str, content: bytes, item: Item) -> str | None:
        """Writes an object if it still is `item`. FileExistsError if it is another; its e_tag."""
        version = {"e_tag": item.e_tag} | ({"version": item.version} if item.version is not None else {})
        return self._conditional(name, content, version)

    def _conditional(self, name: str, content: bytes, mode: Any) -> str | None:
        import obstore
        from obstore.exceptions import AlreadyExistsError, NotSupportedError, PreconditionError

        def put() -> Any:
            try:
                return obstore.put(self._store, self._key(name), content, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                raise FileExistsError(name) from None
            except NotSupportedError:
                raise self._error(None, Trouble.UNSUPPORTED) from None

        return self._write(put)

    def _write(self, put: Callable[[], Any]) -> str | None:
        try:
            e_tag: str | None = self._call(put)["e_tag"]
        except FileNotFoundError as error:  # of an object that is being written only the bucket can be missing
            raise self._error(error, Trouble.NO_BUCKET) from None
        return e_tag

    def get(self, name: str) -> bytes | None:
        """An object's bytes; None if there is none."""
        import obstore

        return self._or_none(lambda: bytes(obstore.get(self._store, self._key(name)).bytes()))

    def head(self, name: str) -> Item | None:
        """An object's size, tag and time; None if there is none."""
        import obstore

        return self._or_none(lambda: self._item(obstore.head(self._store, self._key(name))))

    def listed(self, prefix: str = "") -> list[Item]:
        """All objects of the folder, at any depth, or of a folder in it."""
        import obstore

        root = self._key(prefix)
        found = self._call(lambda: [one for page in obstore.list(self._store, root or None) for one in page])
        return [self._item(one) for one in found]

    def has_any(self) -> bool:
        """Whether there is an object in the folder; one page of the listing is asked for."""
        import obstore

        pages = self._call(lambda: obstore.list(self._store, self.storage.path or None, chunk_size=1))
        return bool(self._call(lambda: next(iter(pages), [])))

    def delete(self, names: Sequence[str]) -> None:
        """Deletes objects; one that is not there is no error."""
        import obstore

        def one(name: str) -> None:
            obstore.delete(self._store, self._key(name))

        for name in names:  # one by one: several stores have no deletion of many
            with contextlib.suppress(FileNotFoundError):
                self._call(partial(one, name))

    def fetch(self, names: Iterable[str], into: Path) -> list[str]:
        """Copies objects into a folder, AT_ONCE at a time; the names of those that are gone. StoreError if the disk is full."""

        def one(name: str) -> str | None:
            content = self.get(name)
            if content is None:
                return name
            target = into.joinpath(*name.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.new")
            try:
                beside.write_bytes(content)
                beside.replace(target)
            except OSError as error:
                why = error.strerror or error
                raise StoreError(
                    f"{self.storage} is read by way of {into}, which cannot be written ({why}); make room, or set TMPDIR"
                ) from None
            return None

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [name for name in pool.map(one, list(names)) if name is not None]

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self.storage.path, name) if part)

    def _item(self, meta: Any) -> Item:
        name = meta["path"].removeprefix(self.storage.path).lstrip("/")
        return Item(name, meta["size"], meta.get("e_tag"), meta["last_modified"], meta.get("version"))

    def _or_none(self, ask: Callable[[], T]) -> T | None:
        try:
            return self._call(ask)
        except FileNotFoundError:
            return None

    def _call(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (FileExistsError, BucketError):
            raise
        except FileNotFoundError as error:  # obstore's, too: the bucket may be missing
            if is_of_bucket(error):
                raise self._error(error) from None
            raise FileNotFoundError from None
        except Exception as error:
            raise self._error(error) from None

    def _error(self, error: Exception | None, trouble: Trouble | None = None) -> BucketError:
        return BucketError.of(self.storage, error, trouble)
