"""Folders and files of other tools that can be read as a Run: one `Importer` per tool, listed in `IMPORTERS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..results.store import RUN_FILE
from ..runs import Run
from ..storage.address import Place, Storage, as_place
from .genai_bench.reading import METADATA, read_genai_bench


@dataclass(frozen=True, slots=True)
class Importer:
    """`tool`: whose results it reads; `takes`: whether a path is one of them, from names and first bytes alone; `read`: the Run."""

    tool: str
    takes: Callable[[Path], bool]
    read: Callable[[Path], Run]


IMPORTERS: list[Importer] = [
    Importer("basetenkit", lambda path: (path / RUN_FILE).is_file(), Run.load),
    Importer("genai-bench", lambda path: (path / METADATA).is_file(), read_genai_bench),
]


def importer_of(path: Path) -> Importer | None:
    """The importer that takes what is at `path`; None if there is none."""
    return next((one for one in IMPORTERS if one.takes(path)), None)


def open_run(path: Place) -> Run:
    """The Run of a folder or file of any tool in `IMPORTERS`, or of a run in a bucket. StoreError if none takes it, or if it cannot
    be read."""
    place = as_place(path, "the run")
    importer = None if isinstance(place, Storage) else importer_of(place)
    return Run.load(place) if importer is None or isinstance(place, Storage) else importer.read(place)
