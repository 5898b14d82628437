"""The part of the form that searches for a capacity: its own few settings, Start and Stop, and the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import ipywidgets as w

from ...config.budget import Budget
from ...config.loads import ClosedLoop, OpenLoop
from ...config.run_config import RunConfig
from ...core.errors import BasetenkitError
from ...core.markup import render
from ...studies.capacity import capacity
from ...studies.capacity_control import SearchControl
from ...studies.capacity_result import Capacity
from ..live.capacity_view import CapacityView

TITLE = "Find its capacity: the largest load that keeps the SLO"
_ABOUT = """<p>The largest load at which the share <code>goodput</code> of requests keeps the limits of the field <code>slo</code>.
Endpoint, scenario and price are those of the form; its loads are not used. A 10% answer takes about 15,000 requests.</p>"""
_WRONG = """<p role="alert" class="bk-wrong">{{ text }}</p>"""


class CapacityTab(w.VBox):  # type: ignore[misc]
    """Searches with the config that `config_now` gives when Start is pressed. `found`: the last Capacity, or None."""

    def __init__(self, config_now: Callable[[], RunConfig]) -> None:
        self._config_now = config_now
        self.found: Capacity | None = None
        self._task: asyncio.Task[None] | None = None
        self.goodput = w.FloatText(0.95, description="goodput", step=0.01)
        self.load = w.Dropdown(options=[OpenLoop.kind, ClosedLoop.kind], description="load")
        self.minutes = w.FloatText(30.0, description="minutes", step=5)
        self.usd = w.FloatText(0.0, description="US dollars", step=1)
        self.folder = w.Text("", description="save to", placeholder="a folder: the same search resumes there")
        self.start_button = w.Button(description="Search", button_style="primary", tooltip="Start the search")
        self.start_button.add_class("bk-search")
        self.start_button.on_click(lambda _: self.start())
        self.running, self.answer = w.VBox(), w.HTML()
        hint = w.HTML("0 US dollars: no such limit; it needs a price")
        settings = w.VBox([self.goodput, self.load, self.minutes, w.HBox([self.usd, hint]), self.folder])
        super().__init__([w.HTML(_ABOUT), settings, self.start_button, self.running, self.answer])
        self.add_class("bk-capacity-tab")

    @property
    def budget(self) -> Budget:
        return Budget(minutes=self.minutes.value or None, usd=self.usd.value or None)

    def start(self) -> None:
        """What the button does: the search goes on in the background."""
        self._task = asyncio.ensure_future(self.search())

    async def search(self) -> None:
        """One search to its end. Errors in the settings are shown."""
        self.start_button.disabled, self.answer.value = True, ""
        try:
            control, config = SearchControl(), self._config_now()
            going = asyncio.ensure_future(
                capacity(
                    config,
                    goodput=self.goodput.value,
                    load=self.load.value,
                    budget=self.budget,
                    save_to=self.folder.value.strip() or None,
                    control=control,
                )
            )
            view = CapacityView(control)
            self.running.children = (view,)
            await view.follow(going)
            self.found = await going
            self.answer.value = self.found._repr_mimebundle_()["text/html"]
        except (BasetenkitError, OSError) as error:
            self.answer.value = render(_WRONG, text=str(error))
        finally:
            self.start_button.disabled = False
