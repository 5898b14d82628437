"""Loads a Hugging Face data set as a polars frame, with the optional package `datasets`.

It is given as in genai-bench's description: `{"source": {"type": "huggingface", "path": NAME, "huggingface_kwargs": {"name":
CONFIG, "split": "train[:500]"}}, ...}`, where the path is a name on the hub or a folder; a folder made by `save_to_disk` is
recognized. The package caches its downloads. With HF_HUB_OFFLINE=1 it uses only its cache. If the host name of the hub cannot
be resolved, basetenkit does the same, because the package would retry for 23 seconds.

Only those arguments of `load_dataset` that choose data are passed on. A loading script is code from others and is never run. A
token comes from HF_TOKEN or from `hf auth login`, never from a description, because that is saved with the run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

import polars as pl

from ..core.errors import DataError
from .tokenizer import is_offline

_KWARGS = ("name", "split", "revision", "data_dir", "data_files", "cache_dir")
_SAVED = ("state.json", "dataset_dict.json")
_INSTALL = (
    "dataset: a Hugging Face data set is read by the package datasets, which is not installed: pip install datasets"
)


class HubSplit(Protocol):
    """A `datasets.Dataset`, as far as it is used here."""

    @property
    def column_names(self) -> Sequence[str]: ...

    def select_columns(self, names: list[str]) -> HubSplit: ...

    def with_format(self, kind: None) -> HubSplit: ...

    def to_polars(self) -> pl.DataFrame: ...


Found: TypeAlias = HubSplit | dict[str, HubSplit]


def was_saved_to_disk(folder: Path) -> bool:
    """Whether a folder is one that `save_to_disk` made."""
    return any((folder / name).is_file() for name in _SAVED)


def read_hub(
    source: dict[str, object], columns: Collection[str] = (), known: Callable[[str], bool] = bool
) -> tuple[pl.DataFrame, list[str]]:
    """The data set that a description's `source` names, and the names of the columns that were not read: if it has all of
    `columns`, only these are read and those whose name is `known`.

    DataError, one sentence, if the package is missing, the source says what is not taken, or the data cannot be loaded.
    """
    path, wanted = source.get("path"), source.get("huggingface_kwargs") or {}
    if not isinstance(path, str) or not path:
        raise DataError("dataset: a huggingface source needs 'path': a name on the hub, or a folder")
    if not isinstance(wanted, dict) or set(wanted) - set(_KWARGS):
        name = next(iter(sorted(set(wanted) - set(_KWARGS))), "") if isinstance(wanted, dict) else wanted
        raise DataError(f"dataset: huggingface_kwargs has no {name!r}; it can have {', '.join(_KWARGS)}")
    found = _one_split(_load(path, wanted), path, wanted.get("split"))
    names = [str(name) for name in found.column_names]
    chosen = names
    if columns and set(columns) <= set(names):
        chosen = [name for name in names if name in columns or known(name)]
        found = found.select_columns(chosen)
    return found.with_format(None).to_polars(), [name for name in names if name not in chosen]


def _load(path: str, wanted: dict[str, object]) -> Found:
    try:
        import datasets
    except ImportError:
        raise DataError(_INSTALL) from None
    # Before version 4 the package asks on standard input whether a script may be run.
    no_scripts = {} if int(datasets.__version__.split(".")[0]) >= 4 else {"trust_remote_code": False}
    folder = Path(path).expanduser()
    try:
        if was_saved_to_disk(folder):
            found: Found = datasets.load_from_disk(str(folder))
        else:
            with _cache_alone_where_offline():
                found = datasets.load_dataset(str(folder) if folder.is_dir() else path, **wanted, **no_scripts)
    except Exception as error:  # whatever it, the hub's client, their readers and their HTTP library raise
        why = str(error).strip().splitlines()[0].rstrip(" .:")[:200] if str(error).strip() else type(error).__name__
        raise DataError(f"dataset: the data set {path!r} cannot be loaded ({why})") from None
    return found


@contextmanager
def _cache_alone_where_offline() -> Iterator[None]:
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = is_offline()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _one_split(found: Found, path: str, split: object) -> HubSplit:
    """The split that is wanted, or the only one."""
    if not isinstance(found, dict):
        return found
    names = [str(name) for name in found]
    if split is None and len(names) == 1:
        return found[names[0]]
    if split not in names:
        raise DataError(
            f"dataset: {path!r} has the splits {', '.join(names)}; give one as huggingface_kwargs={{'split': {names[0]!r}}}"
        )
    return found[str(split)]
