"""The local folder of a run that goes to a bucket, until all of it is there: one per address, the same for each call."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from pathlib import Path

from ..config.coercions import as_path
from .address import Storage

IDENTITY = ".spool"


def spool_of(storage: Storage) -> Path:
    """The local folder of a run's address; nothing is made."""
    named = re.sub(r"[^A-Za-z0-9._-]+", "-", storage.url.partition("://")[2])[-60:].strip("-.")
    whole = f"{storage.option('endpoint') or ''} {storage.url}"
    return spool_root(storage) / f"{named}-{hashlib.sha256(whole.encode()).hexdigest()[:10]}"


def spool_root(storage: Storage) -> Path:
    given = storage.spool or os.environ.get("BASETENKIT_SPOOL")
    if given:
        return as_path(given, "the spool folder").expanduser()
    mac = Path("~/Library/Caches").expanduser() if sys.platform == "darwin" else None
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or mac or Path("~/.cache").expanduser()
    return Path(cache) / "basetenkit" / "spool"


def identity(spool: Path) -> str:
    """A name that this folder has and no other, on this machine or on another one."""
    file = spool / IDENTITY
    try:
        return file.read_text()
    except FileNotFoundError:
        file.write_text(secrets.token_hex(16))
        return file.read_text()
