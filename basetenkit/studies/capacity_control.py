"""A search for a capacity seen from elsewhere: how far it is, and a way to stop it that keeps all it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..stats.capacity import Posterior
from .capacity_blocks import BlockRecord


@dataclass(frozen=True)
class SearchProgress:
    """A search at one moment. `doing`: a sentence; `sent`, `planned`: requests of the present block; `records`: the blocks so far;
    `posterior`: of the capacity, None until there is a bracket; `seconds`, `requests`, `usd`: spent (`usd` None without a price);
    `left`: of each limit of the budget, in its own unit."""

    doing: str
    unit: str
    goodput: float
    sent: int = 0
    planned: int = 0
    records: Sequence[BlockRecord] = ()
    posterior: Posterior | None = None
    seconds: float = 0.0
    requests: int = 0
    usd: float | None = None
    left: dict[str, float] = field(default_factory=dict)

    @property
    def left_text(self) -> str:
        """The rest of the budget, e.g. "12.3 minutes, 4.10 US dollars left"."""
        names = {"minutes": "{:.1f} minutes", "requests": "{:,.0f} requests", "tokens": "{:,.0f} tokens"}
        parts = [(names | {"usd": "{:.2f} US dollars"})[name].format(value) for name, value in self.left.items()]
        return f"{', '.join(parts)} left" if parts else ""

    @property
    def posterior_text(self) -> str:
        """The interval so far, in words."""
        if self.posterior is None:
            return "no interval yet: the load doubles until the goal is missed"
        now = self.posterior
        return f"{now.value:.3g} {self.unit} (95% interval {now.low:.3g} to {now.high:.3g})"


class SearchControl:
    """Give one to `bk.capacity(..., control=control)`; from any thread, `progress` is then how far the search is, and `stop()`
    ends it: the answer is made of the blocks so far. `progress` is None before the first request.

    >>> control = bk.SearchControl()
    >>> search = asyncio.create_task(bk.capacity(config, control=control))
    >>> control.stop()
    >>> found = await search
    """

    def __init__(self) -> None:
        self.progress: SearchProgress | None = None
        self.stopped = False

    def stop(self) -> None:
        """End the search. The block that is being sent ends at once; it is kept in `runs`, but does not count."""
        self.stopped = True
