"""Lists and dicts that cannot be changed in place: those of a configuration, which was validated as it was made.

They are equal to, print as, and are saved as the plain ones.
"""

from __future__ import annotations

from typing import Any, NoReturn, Self

from .errors import ConfigError, Location


def _refuse(self: FrozenList | FrozenDict, *args: object, **kwargs: object) -> NoReturn:
    raise ConfigError(
        f"it cannot be changed in place; make a changed copy of the configuration, which is checked again: {self.cure}",
        at=self.at,
    )


class FrozenList(list[Any]):
    """A list that refuses every change with a ConfigError. `at`: where it is; `cure`: what to write in place of the change."""

    at: Location = ()
    cure: str = ""

    @classmethod
    def of(cls, value: list[Any], at: Location, cure: str) -> Self:
        """The list `value`, frozen."""
        made = cls(value)
        made.at, made.cure = at, cure
        return made

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return FrozenList.of, (list(self), self.at, self.cure)


class FrozenDict(dict[Any, Any]):
    """A dict that refuses every change with a ConfigError. `at`: where it is; `cure`: what to write in place of the change."""

    at: Location = ()
    cure: str = ""

    @classmethod
    def of(cls, value: dict[Any, Any], at: Location, cure: str) -> Self:
        """The dict `value`, frozen; a list or dict in it stays as it is."""
        made = cls(value)
        made.at, made.cure = at, cure
        return made

    clear = pop = popitem = setdefault = update = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return FrozenDict.of, (dict(self), self.at, self.cure)
