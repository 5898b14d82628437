"""Reads the argument of a figure, a chart or a report: a Run, or the folder of a saved one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import polars as pl

from ..config.coercions import is_path, metric_name
from ..core.errors import ConfigError
from ..core.pending import Pending
from ..results.run_data import RunData
from ..storage.address import Place, Storage, as_place

Given = RunData | Place  # a run, or the folder of a saved one
Rows = Given | pl.DataFrame | pl.LazyFrame
P = ParamSpec("P")
T = TypeVar("T")


def as_run(given: object, where: str) -> RunData:
    """The run that was given, or that is saved in the folder that was. `where` begins the ConfigError for anything else;
    StoreError if the folder is not a saved run; NotAwaitedError for `bk.run(config)` without `await`."""
    refuse_pending(given)
    if isinstance(given, RunData):
        return given
    if isinstance(given, Storage) or is_path(given):
        return RunData.load(as_place(given, where))
    raise ConfigError(f"{where} takes a Run, not {type(given).__name__}; or the folder of a saved one")


def figure_name(name: object, known: Iterable[str], where: str) -> str:
    """The figure of `known` that `name` means ("ttft" for ttft_s); ConfigError with the nearest ones if there is none."""
    names = list(known)
    if found := metric_name(name, names):
        return found
    near = difflib.get_close_matches(str(name), names, 3, 0.5) or names[:3]
    raise ConfigError(f"{where}: metric={name!r} is not a figure of the summary; e.g. {', '.join(near)}")


def refuse_pending(given: object) -> None:
    """NotAwaitedError if `given` is a call that was not awaited."""
    if isinstance(given, Pending):
        raise given.told()


def of_run(function: Callable[Concatenate[RunData, P], T]) -> Callable[Concatenate[Given, P], T]:
    """Lets a function of a run take the folder of a saved one."""

    @wraps(function)
    def call(run: Given, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(as_run(run, function.__name__), *args, **kwargs)

    return call  # type: ignore[return-value]  # it takes `run` by its name, too


def of_rows(function: Callable[Concatenate[RunData | pl.DataFrame, P], T]) -> Callable[Concatenate[Rows, P], T]:
    """Lets a function of a run or of its rows take the folder of a saved run."""

    @wraps(function)
    def call(run: Rows, *args: P.args, **kwargs: P.kwargs) -> T:
        if isinstance(run, pl.LazyFrame):
            return function(run.collect(), *args, **kwargs)
        return function(run if isinstance(run, pl.DataFrame) else as_run(run, function.__name__), *args, **kwargs)

    return call  # type: ignore[return-value]  # it takes `run` by its name, too
