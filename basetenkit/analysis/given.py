"""What a figure, a chart or a report is made of: a Run, or the folder of a saved one wherever a Run would serve."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import polars as pl

from ..coercions import as_path, is_path, metric_name
from ..errors import ConfigError
from ..pending import Pending

P = ParamSpec("P")
T = TypeVar("T")


def as_run(given: Any, where: str) -> Any:
    """The Run that was given, or that is saved in the folder that was. `where` begins the ConfigError for anything else;
    StoreError if the folder is not a saved run; NotAwaitedError for `bk.run(config)` without `await`."""
    refuse_pending(given)
    if is_path(given):
        import basetenkit  # by its public name: what a folder opens as is decided in the storey above

        return basetenkit.load(as_path(given, where))
    if not hasattr(type(given), "requests") and not hasattr(given, "requests"):  # the class's: it reads no rows
        raise ConfigError(f"{where} takes a Run, not {type(given).__name__}; or the folder of a saved one")
    return given


def figure_name(name: Any, known: Iterable[str], where: str) -> str:
    """The figure of `known` that `name` means ("ttft" for ttft_s); ConfigError with the nearest ones if there is none."""
    names = list(known)
    if found := metric_name(name, names):
        return found
    near = difflib.get_close_matches(str(name), names, 3, 0.5) or names[:3]
    raise ConfigError(f"{where}: metric={name!r} is no figure of the summary; e.g. {', '.join(near)}")


def refuse_pending(given: Any) -> None:
    """NotAwaitedError if `given` is a call that was not awaited."""
    if isinstance(given, Pending):
        raise given.told()


def of_run(function: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Lets a function of a run take the folder of a saved one; frames go through as they are."""

    @wraps(function)
    def call(run: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        frame = isinstance(run, pl.DataFrame | pl.LazyFrame)
        return function(run if frame else as_run(run, function.__name__), *args, **kwargs)

    return call  # type: ignore[return-value]  # it takes `run` by its name, too
