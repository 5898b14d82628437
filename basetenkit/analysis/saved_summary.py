"""The figures of a run, saved beside its rows: a history of many runs reads one small file per run and not its rows.

The file says of which rows it is: it holds a digest of the names and sizes of their files, and of how the levels went. If they have
changed since, or if this version makes other figures, it is not used, and the figures are made of the rows.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import orjson
import polars as pl

from ..core.errors import BasetenkitError
from ..core.types import Row
from ..results.manifest import Manifest
from ..results.run_data import FolderSource, RunData
from ..results.store import RunFolder, write_whole
from .figures import summary_wide
from .summary import summary_schema

log = logging.getLogger(__name__)
SUMMARY_FILE = "summary.json"
FORMAT = 1  # one more whenever a figure's definition changes
KINDS = ("requests", "chunks")
CHUNKS_MOST = 10_000_000  # of more it would take long at the end of a run


def save_summary(folder: RunFolder) -> None:
    """Writes the figures of a run's folder into it. Nothing is raised: without the file, the figures are made when they are asked
    for. Of a run with very many chunks, or with files that cannot be read, nothing is written."""
    try:
        run = RunData(FolderSource(folder))
        many = run.chunks.select(pl.len()).collect().item() > CHUNKS_MOST
        if many or run.left_out:
            return
        found = {"of": state(run.manifest, sizes_in(folder)), "rows": summary_wide(run).to_dicts()}
        write_whole(folder.path / SUMMARY_FILE, orjson.dumps(found), folder.durable)
    except (BasetenkitError, OSError, ValueError, pl.exceptions.PolarsError) as error:
        log.warning("no %s was written to %s: %s", SUMMARY_FILE, folder.place, error)


def read_summary(file: Path, manifest: Manifest, sizes: Mapping[str, int]) -> list[Row] | None:
    """The rows of `summary_wide` as they were saved; None if they are not of this manifest and of files of these sizes."""
    try:
        found = orjson.loads(file.read_bytes())
        rows = found["rows"] if found["of"] == state(manifest, sizes) else None
        return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sizes_in(folder: RunFolder) -> dict[str, int]:
    """The files of a folder that figures are made of, by their names within it, with their sizes in bytes."""
    return {
        part.relative_to(folder.path).as_posix(): part.stat().st_size for kind in KINDS for part in folder.parts(kind)
    }


def state(manifest: Manifest, sizes: Mapping[str, int]) -> str:
    """What all figures follow from, in short: the same text for the same rows, levels and definitions."""
    config = [manifest.config.get(name) for name in ("slo", "price")]
    whole = [FORMAT, list(summary_schema()), sorted(sizes.items()), config, manifest.as_dict()["levels"]]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
