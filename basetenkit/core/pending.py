"""A call that must be awaited, with a clear error if it was not.

`run = bk.run(config)` without `await` gives no Run but a call that has not begun. Python's own coroutine answers then with
"'coroutine' object has no attribute 'summary'"; this one with the line to write. It is a coroutine in all else: `await`,
`asyncio.run`, `asyncio.create_task` and `asyncio.gather` take it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine, Generator
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from .errors import NotAwaitedError

P = ParamSpec("P")
T = TypeVar("T")


class Pending(Coroutine[object, object, T]):
    """What a function returns that is to be awaited. Any use of it but that raises NotAwaitedError."""

    def __init__(self, inner: Coroutine[object, object, T], name: str, instead: str) -> None:
        self._inner, self._name, self._instead, self._begun = inner, name, instead, False

    def __await__(self) -> Generator[object, object, T]:
        self._begun = True
        return self._inner.__await__()

    def send(self, value: object) -> object:
        self._begun = True
        return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        self._begun = True
        return self._inner.throw(*error)

    def close(self) -> None:
        self._begun = True
        self._inner.close()

    def told(self) -> NotAwaitedError:
        """The error, in one sentence."""
        return NotAwaitedError(
            f"{self._name} was not awaited, so nothing has been sent: write await {self._name}, or {self._instead}"
        )

    def _refuse(self, *_: object) -> NoReturn:
        raise self.told()

    if not TYPE_CHECKING:  # so that a type checker reports these uses too

        def __getattr__(self, name: str) -> object:
            if name.startswith(("_", "cr_")):  # what notebooks, debuggers and asyncio ask of any object
                raise AttributeError(name)
            raise self.told()

        __getitem__ = __iter__ = __len__ = __contains__ = _refuse

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{self.told()}>" if not self._begun else f"<{self._name}, awaited>"

    def __del__(self) -> None:
        if not self.__dict__.get("_begun", True):
            self._inner.close()  # Python's own warning would name a function that nobody called
            warnings.warn(str(self.told()), RuntimeWarning, stacklevel=2, source=self)


def awaited(call: str, instead: str) -> Callable[[Callable[P, Coroutine[object, object, T]]], Callable[P, Pending[T]]]:
    """Makes an async function return a Pending. `call`: how users write
    the call; `instead`: what they write if nothing can be awaited."""

    def decorate(function: Callable[P, Coroutine[object, object, T]]) -> Callable[P, Pending[T]]:
        @wraps(function)
        def begin(*args: P.args, **kwargs: P.kwargs) -> Pending[T]:
            return Pending(function(*args, **kwargs), call, instead)

        return begin

    return decorate
