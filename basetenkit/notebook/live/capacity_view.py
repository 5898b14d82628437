"""A search for a capacity in a cell: its posterior and blocks so far, the rest of the budget, and a Stop that keeps all."""

from __future__ import annotations

import asyncio

import ipywidgets as w

from ...core.markup import render
from ...studies.capacity_control import SearchControl, SearchProgress
from ...studies.capacity_result import Capacity
from .live import style

EVERY_S = 0.5
_WIDTH, _HEIGHT = 480, 70
_NOW = """
<p role="status"><b>{{ doing }}</b>{% if planned %}: {{ sent }} of {{ planned }} requests{% endif %}</p>
<p>The largest load that keeps the SLO: {{ posterior }}.</p>
<p>{{ spent }}{% if left %}; {{ left }}{% endif %}</p>"""
_MASS = """
<svg width="{{ width }}" height="{{ height }}" role="img" aria-label="{{ said }}"><title>{{ said }}</title>
<polygon points="0,{{ height }} {{ points }} {{ width }},{{ height }}" fill="currentColor" opacity="0.35"/></svg>
<p>{{ lowest }} &hellip; {{ highest }} {{ unit }}</p>"""
_BLOCKS = """
<table><tr><th>block</th><th>for</th><th>{{ unit }}</th><th>sent</th><th>good</th><th>ended</th></tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table>"""


def now_html(seen: SearchProgress) -> str:
    """The present block, the interval so far, and how much was spent and is left."""
    spent = f"{seen.requests:,} requests in {seen.seconds / 60:.1f} minutes"
    spent += "" if seen.usd is None else f" for {seen.usd:.2f} US dollars"
    shown = {"doing": seen.doing, "sent": seen.sent, "planned": seen.planned, "posterior": seen.posterior_text}
    return render(_NOW, **shown, spent=spent, left=seen.left_text)


def posterior_svg(seen: SearchProgress) -> str:
    """The posterior over the load, on a logarithmic axis; nothing before there is one."""
    if seen.posterior is None:
        return ""
    loads, mass = seen.posterior.loads, seen.posterior.mass
    top = float(mass.max()) or 1.0
    step = _WIDTH / (len(mass) - 1)
    points = " ".join(f"{k * step:.0f},{_HEIGHT - m / top * (_HEIGHT - 4):.1f}" for k, m in enumerate(mass))
    said = f"posterior of the capacity: {seen.posterior_text}"
    ends = {"lowest": f"{loads[0]:.3g}", "highest": f"{loads[-1]:.3g}", "unit": seen.unit}
    return render(_MASS, width=_WIDTH, height=_HEIGHT, points=points, said=said, **ends)


def blocks_html(seen: SearchProgress) -> str:
    """One row per block so far."""
    rows = [
        (k + 1, r.kind, f"{r.load:.3g}", r.sent, f"{r.evidence.share:.1%}", "early" if r.abandoned else "")
        for k, r in enumerate(seen.records)
    ]
    return render(_BLOCKS, rows=rows, unit=seen.unit) if rows else ""


class CapacityView(w.VBox):  # type: ignore[misc]
    """Shows a search that was started with `control`, and stops it.

    >>> control = bk.SearchControl()
    >>> search = asyncio.create_task(bk.capacity(config, slo={"ttft_s": 0.5}, control=control))
    >>> bk.CapacityView(control, search)
    >>> found = await search
    """

    def __init__(self, control: SearchControl, search: asyncio.Future[Capacity] | None = None) -> None:
        self._control = control
        self.now, self.posterior, self.blocks = w.HTML("<p role='status'>not started yet</p>"), w.HTML(), w.HTML()
        self.stop_button = w.Button(
            description="Stop", tooltip="End the search; the answer is made of the blocks so far"
        )
        self.stop_button.on_click(lambda _: self.stop())
        self.stop_button.add_class("bk-stop")
        super().__init__([style(), self.now, self.posterior, self.stop_button, self.blocks])
        self.add_class("bk-capacity")
        self._following = None if search is None else asyncio.ensure_future(self.follow(search))

    def stop(self) -> None:
        """What the button does."""
        self._control.stop()
        self.stop_button.disabled = True

    async def follow(self, search: asyncio.Future[Capacity]) -> None:
        """Shows the search until it is over; raises nothing of it."""
        while not search.done():
            self.show()
            await asyncio.wait([search], timeout=EVERY_S)
        self.stop_button.disabled = True
        self.show()
        if not search.cancelled() and search.exception() is None:
            self.now.value = render("<p role='status'>{{ said }}</p>", said=search.result().sentence)

    def show(self) -> None:
        """Draws the search as it is now."""
        if (seen := self._control.progress) is not None:
            self.now.value, self.posterior.value, self.blocks.value = (
                now_html(seen),
                posterior_svg(seen),
                blocks_html(seen),
            )

    def __repr__(self) -> str:
        seen = self._control.progress
        return (
            "<CapacityView: not started yet>"
            if seen is None
            else f"<CapacityView: {seen.doing}; {seen.posterior_text}>"
        )
