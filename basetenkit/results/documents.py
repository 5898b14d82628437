"""Single files beside runs: a report, the state of a search. They are written whole, here or in a bucket."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import StoreError
from ..storage.address import Storage
from ..storage.bucket import Bucket
from .store import write_whole


def read_document(place: Path | Storage) -> bytes | None:
    """The bytes of a file; None if there is none. StoreError if it cannot be read."""
    if isinstance(place, Storage):
        return Bucket(place).get("")
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{place} cannot be read: {error.strerror or error}") from None


def write_document(place: Path | Storage, content: bytes) -> None:
    """Writes a file, whole or not at all; the folder is made, and a file that is there is replaced. StoreError if it cannot be."""
    if isinstance(place, Storage):
        Bucket(place).put("", content)
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, content, durable=True)
    except OSError as error:
        raise StoreError(f"{place} cannot be written: {error.strerror or error}") from None
