"""Charts that keep their colours when they are joined side by side, one below the other, or in layers.

altair shares one scale of colour between the parts of a composed chart: levels would take the colours of outcomes, and points
whose value the shared scale does not know would vanish. A chart from `composable` keeps its own scales and legends when it is
joined by `|`, `&` or `+`, and so does the joined chart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def composing(draw: Callable[P, T]) -> Callable[P, T]:
    """Makes the chart that a function draws `composable`."""

    @wraps(draw)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return composable(draw(*args, **kwargs))

    return call


def composable(chart: T) -> T:
    """The same chart, whose `|`, `&` and `+` keep every part's own scales of colour.

    bk.charts.latency_ecdf(run) | bk.charts.outcome_bars(run)
    """
    kinds: Any = _kind
    object.__setattr__(chart, "__class__", kinds(type(chart)))  # altair takes what is set for a part of the spec
    return chart


@cache
def _kind(kind: type[Any]) -> type[Any]:
    """The class of altair with operators that keep the parts' scales."""
    if issubclass(kind, _Composable):
        return kind
    return type(kind.__name__, (_Composable, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})


class _Composable:
    def properties(self, **kw: Any) -> Any:
        """As altair's; the width and height of a chart in panels are those of each panel."""
        inner = {name: kw.pop(name) for name in ("width", "height") if name in kw and self._in_panels()}
        chart: Any = super().properties(**kw)  # type: ignore[misc]
        if inner:
            chart.spec = chart.spec.properties(**inner)
        return chart

    def _in_panels(self) -> bool:
        import altair

        return isinstance(self, altair.FacetChart)

    def __or__(self, other: Any) -> Any:
        return _apart(super().__or__(other))  # type: ignore[misc]

    def __ror__(self, other: Any) -> Any:
        import altair

        joined: Any = altair.hconcat
        return _apart(joined(other, self))

    def __and__(self, other: Any) -> Any:
        return _apart(super().__and__(other))  # type: ignore[misc]

    def __rand__(self, other: Any) -> Any:
        import altair

        joined: Any = altair.vconcat
        return _apart(joined(other, self))

    def __add__(self, other: Any) -> Any:
        return _apart(super().__add__(other))  # type: ignore[misc]


def _apart(chart: Any) -> Any:
    """A composed chart whose parts have their own colours and legends."""
    return composable(chart.resolve_scale(color="independent").resolve_legend(color="independent"))
