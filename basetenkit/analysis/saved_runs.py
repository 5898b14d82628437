"""The runs of a folder, here or in a bucket, for `history`: listed once, and each read only as far as needed.

In a bucket one listing says which runs there are and whether they have changed. The files of many runs are fetched at once, and are
kept only until the figures are made.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from ..config.coercions import as_path
from ..core.errors import BasetenkitError, StoreError
from ..core.types import Row
from ..results.bucket_run import parts_of
from ..results.run_data import FolderSource, RunData
from ..results.store import RUN_FILE, RunFolder
from ..storage.address import Storage, as_place
from ..storage.bucket import Bucket, Item
from .figures import figures_by_level
from .noise_floor import FILE as NOISE_FILE
from .saved_summary import KINDS, SUMMARY_FILE, read_summary, sizes_in

KEPT = 10_000
Key = tuple[object, ...]
_made: OrderedDict[Key, tuple[list[Row], list[str]]] = OrderedDict()


class SavedRun:
    """One run of a folder of runs. `run`: None if `problem` says what is wrong with it."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.problem = folder, ""
        self.run: RunData | None = None
        try:
            self.run = RunData(FolderSource(folder))
        except BasetenkitError as error:
            self.problem = str(error)

    @property
    def name(self) -> str:
        return self.folder.place

    @property
    def started_at(self) -> float | None:
        return None if self.run is None else self.run.manifest.metadata.started_at

    def key(self, chunks: bool) -> Key:
        """What changes when the run's files do."""
        folder = self.folder
        files = [folder.run_file, *folder.parts("requests"), *(folder.parts("chunks") if chunks else [])]
        stats = [(file, file.stat()) for file in files]
        return (folder.path.resolve(), chunks, *((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats))

    def figures(self, chunks: bool) -> tuple[list[Row], list[str]]:
        """The figures of each level, and the files that they leave out: those that were saved with the run, or else made of its
        rows, once in a process as long as the run's files stay as they are. Without `chunks` inter-token latencies may be null;
        that costs a tenth."""
        key = self.key(chunks)
        if key not in _made:
            _made[key] = self.saved() or self._of_rows(chunks)
            while len(_made) > KEPT:
                _made.popitem(last=False)
        return _made[key]

    def sizes(self) -> dict[str, int]:
        """The files that figures are made of, by their names in the run, with their sizes in bytes."""
        return sizes_in(self.folder)

    def saved(self) -> tuple[list[Row], list[str]] | None:
        """The figures that were saved with the run, if they are of the rows that it has now."""
        if self.run is None:
            return None
        rows = read_summary(self.folder.path / SUMMARY_FILE, self.run.manifest, self.sizes())
        return None if rows is None else (rows, [])

    def _of_rows(self, chunks: bool) -> tuple[list[Row], list[str]]:
        run = RunData(FolderSource(self.folder))
        found: list[Row] = [*figures_by_level(run, run.chunks if chunks else None)]
        return found, run.left_out


class SavedRuns(Protocol):
    """The runs of one folder."""

    def found(self) -> list[SavedRun]:
        """The runs by their names, including those that cannot be read."""
        ...

    def prepare(self, runs: Sequence[SavedRun], chunks: bool) -> None:
        """Brings here what the summaries of these runs are made of."""

    def release(self, runs: Sequence[SavedRun]) -> None:
        """These runs' summaries are made."""


def saved_runs(path: object) -> SavedRuns:
    """The runs of a folder. StoreError if there is no such folder."""
    place = as_place(path, "history")
    return BucketRuns(place) if isinstance(place, Storage) else LocalRuns(as_path(place, "history"))


class LocalRuns:
    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise StoreError(f"there is no folder {root}; bk.history takes a folder to which runs were saved")
        self._root = root

    def found(self) -> list[SavedRun]:
        return [SavedRun(RunFolder(path)) for path in sorted(_run_folders(self._root), key=lambda p: p.as_posix())]

    def prepare(self, runs: Sequence[SavedRun], chunks: bool) -> None:
        """They are here."""

    def release(self, runs: Sequence[SavedRun]) -> None:
        """They stay."""


def _run_folders(root: Path) -> Iterator[Path]:
    """Folders with a run.json, and the lowest ones without: what lies inside a run, or inside what `bk.noise` kept, is not looked
    at."""
    if (root / RUN_FILE).exists():
        yield root
        return
    inside = [p for p in root.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith(".")]
    for folder in inside:
        if (folder / NOISE_FILE).exists():
            continue
        below = list(_run_folders(folder))
        yield from below or [folder]


class _Fetched(RunFolder):
    """The copy of a run in a bucket, as far as it was fetched. `items`: its objects by their names in it."""

    here = False

    def __init__(self, path: Path, storage: Storage, items: dict[str, Item]) -> None:
        super().__init__(path)
        self.storage, self.items = storage, items

    @property
    def place(self) -> str:
        return self.storage.url


class _InBucket(SavedRun):
    folder: _Fetched

    def key(self, chunks: bool) -> Key:
        wanted = [RUN_FILE, *self.wanted(chunks)]
        return (self.name, chunks, *((name, self.folder.items[name].e_tag) for name in wanted))

    def wanted(self, chunks: bool) -> list[str]:
        return parts_of(list(self.folder.items), list(KINDS) if chunks else ["requests"])

    def sizes(self) -> dict[str, int]:
        return {name: self.folder.items[name].size for name in self.wanted(chunks=True)}

    @property
    def has_summary(self) -> bool:
        """Whether there is a saved summary; here it may be of other rows."""
        return SUMMARY_FILE in self.folder.items


class BucketRuns:
    """A run.json that was fetched is kept as long as the listing names the same one."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self._bucket = storage, Bucket(storage)
        self._here = Path(tempfile.mkdtemp(prefix="basetenkit-"))
        weakref.finalize(self, shutil.rmtree, self._here, ignore_errors=True)
        self._seen: dict[str, tuple[str | None, object]] = {}
        if not self._bucket.has_any():
            raise StoreError(f"there is nothing in {storage}; bk.history takes a folder to which runs were saved")

    def found(self) -> list[SavedRun]:
        grouped = by_run(self._bucket.listed())
        files = {f"{name}/{RUN_FILE}".lstrip("/"): items.get(RUN_FILE) for name, items in grouped.items()}
        news = {
            name: (item.e_tag, item.modified)
            for name, item in files.items()
            if item is not None and self._seen.get(name) != (item.e_tag, item.modified)
        }
        self._bucket.fetch(news, self._here)
        self._seen |= news
        return [_InBucket(self._folder(name, items)) for name, items in sorted(grouped.items())]

    def _folder(self, name: str, items: dict[str, Item]) -> _Fetched:
        return _Fetched(self._here.joinpath(*name.split("/")), self._storage / name, items)

    def prepare(self, runs: Sequence[SavedRun], chunks: bool) -> None:
        missing = [run for run in runs if isinstance(run, _InBucket) and run.key(chunks) not in _made]
        self._fetch((run, [SUMMARY_FILE]) for run in missing if run.has_summary)
        self._fetch((run, run.wanted(chunks)) for run in missing if run.saved() is None)

    def _fetch(self, wanted: Iterable[tuple[_InBucket, list[str]]]) -> None:
        within = [f"{run.folder.storage.path}/{name}" for run, names in wanted for name in names]
        self._bucket.fetch([name.removeprefix(self._storage.path).lstrip("/") for name in within], self._here)

    def release(self, runs: Sequence[SavedRun]) -> None:
        for run in runs:
            shutil.rmtree(run.folder.path / "levels", ignore_errors=True)


def by_run(items: Iterable[Item]) -> dict[str, dict[str, Item]]:
    """The objects below a folder by the run that they are of: the name of its folder, "" for the folder itself, and the object's
    name in it. Objects of no run are under the folder in which they are, without what lies below `levels` and `aside`."""
    listed = list(items)
    runs = {one.name.removesuffix(RUN_FILE).rstrip("/") for one in listed if f"/{one.name}".endswith(f"/{RUN_FILE}")}
    found: dict[str, dict[str, Item]] = {}
    for one in listed:
        parts = one.name.split("/")[:-1]
        above = ["/".join(parts[:n]) for n in range(len(parts) + 1)]
        run = next((name for name in above if name in runs), None)
        if run is None:
            cut = next((n for n, part in enumerate(parts) if part in ("levels", "aside")), len(parts))
            run = "/".join(parts[:cut])
            if not run:  # a file beside the runs
                continue
        found.setdefault(run, {})[one.name.removeprefix(run).lstrip("/")] = one
    return {name: items for name, items in found.items() if name in runs or not _has_run_below(name, runs)}


def _has_run_below(name: str, runs: set[str]) -> bool:
    return any(run.startswith(f"{name}/") for run in runs)
