"""The form's part that designs a run for a question and a budget, and fills in the form with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as w

from ...core.errors import BasetenkitError
from ...core.markup import render
from ...studies.design import Design, design

if TYPE_CHECKING:
    from ...config.run_config import RunConfig
    from ...runs import Run

_WRONG = """<p role="alert" class="bk-wrong">{{ text }}</p>"""
_CALL = (
    """<p role="status">Run it in a cell: <code>{{ call }}</code> with <code>found = form.designing.found</code></p>"""
)


class Designing(w.VBox):  # type: ignore[misc]
    """Question and budget -> a Design, in `found`. `form`: gives the config of the form's values, or raises; `last_run`: the form's
    last run, a pilot if it has these levels; `use`: fills in the form."""

    def __init__(
        self, form: Callable[[], RunConfig], last_run: Callable[[], Run | None], use: Callable[[RunConfig], None]
    ) -> None:
        self._form, self._last_run, self._use = form, last_run, use
        self.found: Design | None = None
        wide = w.Layout(width="auto")
        self.question = w.Text(value="ttft p99 within 10%", description="question", layout=wide)
        self.budget = w.Text(value="20 minutes", description="budget", layout=wide)
        self.make = w.Button(description="Design", tooltip="Levels, requests and repeats for this question and budget")
        self.take = w.Button(description="Use it", tooltip="Fill in the form with this design", disabled=True)
        self.shown = w.HTML()
        self.make.on_click(lambda _: self._made())
        self.take.on_click(lambda _: self._taken())
        buttons = w.HBox([self.make, self.take])
        super().__init__([self.question, self.budget, buttons, self.shown])
        self.add_class("bk-design")

    def _made(self) -> None:
        self.found, self.take.disabled = None, True
        try:
            config = self._form()
            run = self._last_run()
            pilot = run if run is not None and _has_levels(run, config) else None
            self.found = design(self.question.value, self.budget.value, config=config, pilot=pilot)
        except BasetenkitError as error:
            self.shown.value = render(_WRONG, text=str(error))
            return
        call = "" if self.found.kind == "precision" else render(_CALL, call=self.found.call)
        self.shown.value = self.found._repr_mimebundle_()["text/html"] + call
        self.take.disabled = False

    def _taken(self) -> None:
        if self.found is not None:
            self._use(self.found.config)


def _has_levels(run: Run, config: RunConfig) -> bool:
    """Whether a run measured the same endpoint, scenarios and levels."""
    mine = run.config
    same = (mine.endpoint.url, mine.endpoint.model, mine.scenarios) == (
        config.endpoint.url,
        config.endpoint.model,
        config.scenarios,
    )
    return same and (mine.concurrency, mine.request_rate) == (config.concurrency, config.request_rate)
